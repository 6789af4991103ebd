#include "observe/discovery/credentials.h"

#include <initializer_list>
#include <optional>
#include <utility>

#include "observe/discovery/command_line.h"

namespace qd::observe::discovery {
namespace {

// What images understand as their settings; NAME_FILE names a file that holds the value.
class Given {
 public:
  Given(const Container& container, const Knowledge& knowledge) : container_(container), knowledge_(knowledge) {}

  std::optional<std::string> first(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (auto value = variable(std::string(name)); value && !value->empty()) return value;
      if (const auto path = variable(std::string(name) + "_FILE"); path && path->starts_with('/')) {
        if (auto value = file(*path); value && !value->empty()) return value;
      }
    }
    return std::nullopt;
  }

  bool says_yes(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (const auto value = variable(std::string(name)); value && !value->empty() && *value != "no") return true;
    }
    return false;
  }

  std::optional<std::string> variable(const std::string& name) const {
    const auto found = container_.environment.find(name);
    return found == container_.environment.end() ? std::nullopt : std::optional(found->second);
  }

  // A label's text, or what it refers to: file:/path as the container sees it, env:NAME of its environment.
  std::optional<std::string> label(const std::string& name) const {
    const auto found = container_.labels.find(name);
    if (found == container_.labels.end()) return std::nullopt;
    const std::string& text = found->second;
    if (text.starts_with("file:/")) return file(text.substr(5));
    if (text.starts_with("env:")) return variable(text.substr(4));
    return text;
  }

  // The first line of a file as the container sees it.
  std::optional<std::string> file(const std::string& path) const { return knowledge_.read_secret(container_, path); }

  const Container& container() const { return container_; }

 private:
  const Container& container_;
  const Knowledge& knowledge_;
};

Credentials of_postgres(const Given& given) {
  Credentials found;
  // Bitnami's image: the superuser's password stands apart where another user is made.
  if (auto password = given.first({"POSTGRESQL_POSTGRES_PASSWORD", "POSTGRES_POSTGRES_PASSWORD"})) {
    found.user = "postgres";
    found.password = std::move(*password);
  } else {
    found.user = given.first({"POSTGRES_USER", "POSTGRESQL_USERNAME"}).value_or("postgres");
    found.password = given.first({"POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"}).value_or("");
  }
  found.database = given.first({"POSTGRES_DB", "POSTGRESQL_DATABASE"}).value_or(found.user);
  return found;
}

Credentials of_mysql(const Given& given) {
  Credentials found;
  found.database = given.first({"MYSQL_DATABASE", "MARIADB_DATABASE"}).value_or("");
  const auto root_host = given.first({"MYSQL_ROOT_HOST", "MARIADB_ROOT_HOST"});
  const bool root_is_local = root_host && (*root_host == "localhost" || *root_host == "127.0.0.1");
  const auto root = given.first({"MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"});
  if (root && !root_is_local) return {"root", *root, std::move(found.database)};
  if (auto user = given.first({"MYSQL_USER", "MARIADB_USER"})) {
    found.user = std::move(*user);
    found.password = given.first({"MYSQL_PASSWORD", "MARIADB_PASSWORD"}).value_or("");
    return found;
  }
  const bool empty = given.says_yes({"MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
                                     "MARIADB_ALLOW_EMPTY_PASSWORD", "ALLOW_EMPTY_PASSWORD"});
  if (empty && !root_is_local) found.user = "root";
  return found;
}

Credentials of_redis(const Given& given) {
  Credentials found;
  const Environment& environment = given.container().environment;
  const auto read = [&given](const std::string& path) { return given.file(path); };
  // The server takes its own options over what the image makes of variables.
  const auto words = command_words(given.container().command, environment, read);
  if (auto password = option(words, {"--requirepass"}); password && !is_substituted(*password)) {
    found.password = std::move(*password);
    return found;
  }
  for (const char* name : {"REDIS_ARGS", "REDIS_EXTRA_FLAGS", "VALKEY_ARGS", "VALKEY_EXTRA_FLAGS"}) {
    const auto flags = given.variable(name);
    if (!flags) continue;
    if (auto password = option(shell_words(*flags, environment, read), {"--requirepass"})) {
      found.password = std::move(*password);
      return found;
    }
  }
  found.password = given.first({"REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD"}).value_or("");
  return found;
}

}  // namespace

Credentials credentials_of(const Container& container, std::string_view kind, const Knowledge& knowledge) {
  const Given given(container, knowledge);
  Credentials found;
  if (kind == "postgres") found = of_postgres(given);
  if (kind == "mysql") found = of_mysql(given);
  if (kind == "redis") found = of_redis(given);
  const auto user = given.label("quarterdeck.user");
  const auto password = given.label("quarterdeck.password");
  // Another user's password is not this one's.
  if (user && *user != found.user) found.password.clear();
  if (user) found.user = *user;
  if (password) found.password = *password;
  if (const auto database = given.label("quarterdeck.database")) found.database = *database;
  return found;
}

}  // namespace qd::observe::discovery
