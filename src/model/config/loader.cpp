#include "model/config/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/assert.h"
#include "base/format.h"
#include "base/strings.h"

namespace qd::model::config {

using base::ErrorCode;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kSecretBytesMax = 64 * 1024;
// Up to so many known keys are named in the error of an unknown one.
constexpr std::size_t kKeysListedMax = 12;

std::string environment_name(std::string_view path) {
  std::string name(kEnvironmentPrefix);
  for (const char c : path) {
    if (c >= 'a' && c <= 'z') {
      name.push_back(static_cast<char>(c - 'a' + 'A'));
    } else {
      name.push_back(c == '.' || c == '-' ? '_' : c);
    }
  }
  return name;
}

Location outside(std::string_view origin) {
  return {std::make_shared<const std::string>(origin), 0, 0};
}

// Names that a mapping of this section may hold.
std::vector<std::string> keys_of(const Schema& schema, const std::string& section) {
  const std::string before = section.empty() ? "" : section + ".";
  std::vector<std::string> keys;
  for (const Setting& setting : schema.settings()) {
    if (!setting.path().starts_with(before)) continue;
    std::string key = setting.path().substr(before.size());
    key.resize(std::min(key.size(), key.find('.')));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
  return keys;
}

std::vector<std::string> paths_of(const Schema& schema) {
  std::vector<std::string> paths;
  for (const Setting& setting : schema.settings()) paths.push_back(setting.path());
  return paths;
}

// The path of a setting elsewhere whose last part is `key`: the right key in the wrong section.
std::optional<std::string> elsewhere(const Schema& schema, std::string_view key) {
  for (const Setting& setting : schema.settings()) {
    const auto dot = setting.path().rfind('.');
    if (dot != std::string::npos && std::string_view(setting.path()).substr(dot + 1) == key) return setting.path();
  }
  return std::nullopt;
}

bool is_at_or_below(std::string_view path, std::string_view above) {
  return above.empty() || path == above || (path.starts_with(above) && path[above.size()] == '.');
}

}  // namespace

void Loader::report(const Location& location, std::string_view what) {
  if (++count_ > kErrorsMax) return;
  const std::string where = location.to_string();
  problems_.push_back({location, where.empty() ? std::string(what) : fmt::format("{}: {}", where, what)});
}

Status Loader::result() const {
  if (count_ == 0) return {};
  std::vector<Problem> sorted = problems_;
  // As one meets them in the file; what was written elsewhere comes after it.
  std::sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tuple(a.location.line == 0, a.location.line, a.location.column, std::string_view(a.message)) <
           std::tuple(b.location.line == 0, b.location.line, b.location.column, std::string_view(b.message));
  });
  if (sorted.size() == 1 && count_ == 1) return base::fail(ErrorCode::kInvalid, sorted[0].message);
  std::string message = fmt::format("{} errors in the configuration:", count_);
  for (const Problem& problem : sorted) message += "\n  " + problem.message;
  if (count_ > sorted.size()) message += fmt::format("\n  and {} more", count_ - sorted.size());
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

Result<std::string> Loader::resolve_secret(const std::string& written) const {
  if (is_foreign()) return written;
  if (written.starts_with("env:")) {
    const std::string name = written.substr(4);
    const auto it = sources_->environment.find(name);
    if (it == sources_->environment.end()) {
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("the environment has no variable {} for this secret; set it", name));
    }
    return it->second;
  }
  if (!written.starts_with("file:")) return written;
  const std::string path = written.substr(5);
  if (!path.starts_with('/')) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("the file of this secret must be an absolute path, as in file:/run/secrets/x"));
  }
  if (sources_->files == nullptr)
    return base::fail(ErrorCode::kInvalid, "secrets are not read from files here; write it another way");
  QD_ASSIGN(std::string secret, base::read_file(*sources_->files, path, kSecretBytesMax));
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  return secret;
}

void Loader::report_unknown_key(const Schema& schema, const Node& key, const std::string& section) {
  const std::vector<std::string> known = keys_of(schema, section);
  const std::string around = schema.shown_path(section);
  std::string message = fmt::format("unknown key {}{}", describe(key), around.empty() ? "" : " in " + around);
  if (key.text().find('.') != std::string::npos && schema.by_path_.contains(key.text())) {
    message += "; write it as nested mappings, one for each part";
  } else if (const auto near = base::nearest(key.text(), known)) {
    message += fmt::format("; did you mean \"{}\"?", *near);
  } else if (const auto path = elsewhere(schema, key.text())) {
    message += fmt::format("; did you mean {}?", schema.shown_path(*path));
  } else if (known.size() <= kKeysListedMax) {
    message += fmt::format("; known here: {}", base::join(known, ", "));
  } else {
    message += "; remove it";
  }
  report(key.location(), message);
}

void Loader::find_values(Schema& schema, const Node& mapping, const std::string& section,
                         std::map<std::string, Node>& found) {
  if (mapping.is_null()) return;
  if (!mapping.is_mapping()) {
    const std::string around = schema.shown_path(section);
    report(mapping.location(),
           fmt::format("{}{}expected a mapping with keys such as {}, found {}", around, around.empty() ? "" : ": ",
                       keys_of(schema, section).front(), describe(mapping)));
    return;
  }
  for (const auto& [key, value] : mapping.entries()) {
    const bool one_part = key.text().find('.') == std::string::npos && !key.text().empty();
    const std::string path = section.empty() ? key.text() : section + "." + key.text();
    if (one_part && schema.by_path_.contains(path)) {
      found[path] = value;
      schema.places_[path] = value.is_null() ? key.location() : value.location();
    } else if (one_part && !keys_of(schema, path).empty()) {
      schema.places_[path] = key.location();
      find_values(schema, value, path, found);
    } else {
      report_unknown_key(schema, key, section);
    }
  }
}

void Loader::fill_setting(Schema& schema, Setting& setting, const Node& value, std::set<std::string>& failed) {
  const std::string shown = schema.shown_path(setting.path_);
  if (value.is_null()) {
    // Commented-out content leaves a list or a mapping empty, which is well meant; elsewhere the value was forgotten.
    if (is_foreign() || setting.form_ != Setting::Form::kScalar) {
      schema.places_.erase(setting.path_);
      return;
    }
    report(schema.places_[setting.path_],
           fmt::format("{} has no value; write one ({}) or remove the key", shown, setting.type_));
    failed.insert(setting.path_);
    return;
  }
  const std::size_t before = count_;
  if (const Status status = setting.fill_(value, *this); !status)
    report(value.location(), fmt::format("{}: {}", shown, status.error().message()));
  if (count_ != before) failed.insert(setting.path_);
}

void Loader::run_checks(Schema& schema, const std::set<std::string>& failed) {
  for (const Schema::Check& check : schema.checks_) {
    const bool already = std::any_of(failed.begin(), failed.end(),
                                     [&](const std::string& path) { return is_at_or_below(path, check.path); });
    if (already) continue;
    const Status status = check.look();
    if (status) continue;
    const auto place = schema.places_.find(check.path);
    const std::string shown = schema.shown_path(check.path);
    report(place == schema.places_.end() ? schema.location_ : place->second,
           shown.empty() ? status.error().message() : fmt::format("{}: {}", shown, status.error().message()));
  }
}

void Loader::fill(Schema& schema, const Node& node, const std::map<std::string, Node>& overrides) {
  QD_ASSERT(!schema.loaded_, schema.prefix_);
  QD_ASSERT(!schema.settings_.empty(), "a schema without settings: " + schema.prefix_);
  schema.location_ = node.location();
  std::map<std::string, Node> values;
  const bool is_readable = node.is_mapping() || node.is_null();
  find_values(schema, node, "", values);
  for (const auto& [path, value] : overrides) {
    values[path] = value;
    schema.places_[path] = value.location();
  }
  std::set<std::string> failed;
  for (Setting& setting : schema.settings_) {
    if (const auto it = values.find(setting.path_); it != values.end()) {
      fill_setting(schema, setting, it->second, failed);
    } else if (setting.required_ && is_readable) {
      report(schema.location_,
             fmt::format("{} is missing; write it ({})", schema.shown_path(setting.path_), setting.type_));
      failed.insert(setting.path_);
    }
  }
  if (is_readable) run_checks(schema, failed);
  for (Setting& setting : schema.settings_) {
    if (setting.show_) setting.effective_ = setting.show_();
    // They hold references to fields and captures that end before the schema does.
    setting.show_ = nullptr;
    setting.fill_ = nullptr;
  }
  schema.checks_.clear();
  schema.loaded_ = true;
}

void Loader::add_override(const Schema& schema, const std::string& origin, const std::string& path,
                          const std::string& value, std::map<std::string, Node>& into) {
  const auto it = schema.by_path_.find(path);
  if (it == schema.by_path_.end()) {
    std::string message = fmt::format("there is no setting {}", path);
    if (schema.sections_.contains(path)) {
      message = fmt::format("{} is a section; set one of its keys: {}", path, base::join(keys_of(schema, path), ", "));
    } else if (const auto near = base::nearest(path, paths_of(schema))) {
      message += fmt::format("; did you mean {}?", *near);
    } else if (const auto other = elsewhere(schema, std::string_view(path).substr(path.rfind('.') + 1))) {
      message += fmt::format("; did you mean {}?", *other);
    } else {
      message += "; docs/configuration.md lists all";
    }
    report(outside(origin), message);
    return;
  }
  const Setting& setting = *it->second;
  // "[::1]:9090" begins so as well, and is an address.
  const bool bracketed = value.starts_with('[') && value.ends_with(']');
  if (setting.form_ == Setting::Form::kScalar) {
    into[path] = Node::scalar(value, Node::Style::kPlain, outside(origin));
  } else if (setting.form_ == Setting::Form::kStrings && !bracketed) {
    std::vector<Node> items;
    for (const std::string_view item : base::split(value, ','))
      if (!base::trim(item).empty())
        items.push_back(Node::scalar(std::string(base::trim(item)), Node::Style::kPlain, outside(origin)));
    into[path] = Node::sequence(std::move(items), outside(origin));
  } else if (auto node = parse_yaml(value, origin)) {
    into[path] = std::move(*node);
  } else {
    report({}, node.error().message());
  }
}

std::map<std::string, Node> Loader::overrides(const Schema& schema) {
  std::map<std::string, Node> found;
  std::map<std::string, std::string> by_name;  // of the environment, to path
  for (const Setting& setting : schema.settings_)
    QD_ASSERT(by_name.emplace(environment_name(setting.path_), setting.path_).second, setting.path_);

  for (const auto& [name, value] : sources_->environment) {
    if (!name.starts_with(kEnvironmentPrefix)) continue;
    const auto& others = sources_->other_environment_names;
    if (std::find(others.begin(), others.end(), name) != others.end()) continue;
    if (const auto it = by_name.find(name); it != by_name.end()) {
      add_override(schema, "environment " + name, it->second, value, found);
      continue;
    }
    std::vector<std::string> names;
    names.reserve(by_name.size());
    for (const auto& [known, path] : by_name) names.push_back(known);
    const auto near = base::nearest(name, names);
    report(outside("environment " + name),
           near ? fmt::format("no setting has this name; did you mean {}?", *near)
                : fmt::format("no setting has this name; unset it, or name it without {}", kEnvironmentPrefix));
  }
  for (const std::string& set : sources_->sets) {
    const auto equals = set.find('=');
    if (equals == std::string::npos) {
      report(outside("--set " + set), "expected path=value, as in --set observe.interval=15s");
      continue;
    }
    const std::string path(base::trim(std::string_view(set).substr(0, equals)));
    add_override(schema, "--set " + path, path, set.substr(equals + 1), found);
  }
  for (const Sources::Flag& flag : sources_->flags) add_override(schema, flag.origin, flag.path, flag.value, found);
  return found;
}

}  // namespace qd::model::config
