#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/assert.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/data_dir.h"
#include "cli/settings.h"
#include "store/state/tokens.h"

namespace qd::cli {

namespace {

// Works on the state database, whether or not a server runs on it. A first token may come before the first start.
base::Result<std::unique_ptr<store::state::Database>> open_state(const SettingFlags& flags, bool make,
                                                                 base::Files& files) {
  QD_ASSIGN(const auto settings, load_settings(flags.invocation(), files));
  if (make) QD_TRY(files.create_directories(settings->data_dir));
  QD_TRY(check_data_dir(files, settings->data_dir));
  return store::state::Database::open(std::filesystem::path(settings->data_dir) / "state.db");
}

using Work = std::function<base::Result<int>(store::state::Tokens&)>;

int with_tokens(const SettingFlags& flags, bool make, const Work& work) {
  base::PosixFiles files;
  auto database = open_state(flags, make, files);
  if (!database) return failed(database.error());
  store::state::Tokens tokens(**database);
  const auto code = work(tokens);
  if (code) return *code;
  failed(code.error());
  const bool no =
      code.error().code() == base::ErrorCode::kNotFound || code.error().code() == base::ErrorCode::kConflict;
  return no ? kExitNo : kExitFailed;
}

base::Result<int> list(store::state::Tokens& tokens, bool as_json) {
  QD_ASSIGN(const auto all, tokens.list());
  boost::json::array array;
  for (const auto& token : all) {
    const auto state = token.revoked_ms == 0 ? std::string("valid") : "revoked " + base::format_time(token.revoked_ms);
    if (as_json) {
      array.push_back({{"id", token.id},
                       {"name", token.name},
                       {"scope", store::state::to_string(token.scope)},
                       {"created", base::format_time(token.created_ms)},
                       {"revoked", token.revoked_ms == 0 ? "" : base::format_time(token.revoked_ms)}});
    } else {
      fmt::print("{}  {}  {:24}  {:4}  {}\n", token.id, base::format_time(token.created_ms), token.name,
                 store::state::to_string(token.scope), state);
    }
  }
  if (as_json)
    fmt::print("{}\n", boost::json::serialize(array));
  else if (all.empty())
    fmt::print("There are no tokens: `quarterdeck token add NAME` makes one.\n");
  return kExitYes;
}

}  // namespace

void add_token(CommandLine& root) {
  auto token = root.add_command("token", "Access tokens: who may act through the API",
                                "Example: quarterdeck token add deploy --data-dir /var/lib/quarterdeck");
  auto flags = std::make_shared<SettingFlags>();
  auto name = std::make_shared<std::string>();
  auto output = std::make_shared<Output>();
  const auto add = [&](const char* command, const char* help, const char* example) {
    auto made = token.add_command(command, help, example);
    flags->add_to(made);
    return made;
  };
  auto make = add("add", "Make a token and print it, once",
                  "Examples:\n"
                  "  quarterdeck token add deploy\n"
                  "  quarterdeck token add web-1 --scope send");
  make.option("NAME", *name, "what it is for", {.required = true});
  auto scope = std::make_shared<std::string>("all");
  make.option("--scope", *scope, "what it may: everything, only look, or only send data in, as a host that forwards",
              {.shows_default = true, .one_of = {"all", "read", "send"}});
  make.action([=] {
    return with_tokens(*flags, true, [&](store::state::Tokens& tokens) -> base::Result<int> {
      const auto may = store::state::parse_scope(*scope);
      QD_ASSERT(may.has_value(), *scope);
      QD_ASSIGN(const auto secret, tokens.add(*name, *may, base::SystemClock().wall_ms()));
      fmt::print("{}\n", secret);
      return kExitYes;
    });
  });
  auto show = add("list", "Show all tokens, without their secrets", "Example: quarterdeck token list --output json");
  output->add_to(show);
  show.action([=] {
    return with_tokens(*flags, false, [&](store::state::Tokens& tokens) { return list(tokens, output->json()); });
  });
  auto revoke = add("revoke", "Make a token worthless, at once", "Example: quarterdeck token revoke deploy");
  revoke.option("NAME", *name, "its name or id", {.required = true});
  revoke.action([=] {
    return with_tokens(*flags, false, [&](store::state::Tokens& tokens) -> base::Result<int> {
      QD_TRY(tokens.revoke(*name, base::SystemClock().wall_ms()));
      fmt::print("revoked\n");
      return kExitYes;
    });
  });
}

}  // namespace qd::cli
