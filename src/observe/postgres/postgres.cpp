#include "observe/postgres/postgres.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/files.h"
#include "model/config/node.h"
#include "observe/postgres/custom_queries.h"
#include "observe/postgres/families.h"
#include "observe/postgres/session.h"
#include "observe/postgres/settings.h"
#include "observe/postgres/trouble.h"

namespace qd::observe::postgres {
namespace {

constexpr std::string_view kCustom = "custom_queries";
// Less than this is not worth a statement: it could only fail.
constexpr std::int64_t kLeastNs = 2'000'000;
// How often a pass connects anew after a statement that broke the connection.
constexpr int kBreaksMax = 3;

const std::string kDatabasesSql = fmt::format(
    "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database() "
    "AND has_database_privilege(oid, 'CONNECT') ORDER BY datname LIMIT {}",
    kDatabasesMax);

// What is told of a part of a pass.
struct Part {
  std::string_view name;
  bool ran = false;
  bool ok = true;
  bool was_ok = true;  // in the last pass
  double seconds = 0;
};

struct Custom {
  CustomQuery query;
  Table kept;
  std::int64_t kept_until_ns = 0;
};

// "15.20.0", as the exporter shortens 150020.
std::string short_version(int version) {
  return fmt::format("{}.{}.0", version / 10'000, version % 10'000);
}

}  // namespace

struct PostgresCollector::State {
  State(Options given, const base::Clock& the_clock, base::Log& the_log)
      : options(std::move(given)),
        clock(the_clock),
        log(the_log),
        asker{options.socket.empty() ? options.address : options.socket, options.user, options.database,
              !options.password.empty()},
        main(options, options.database, clock),
        teller(options.address, options.legacy_names),
        custom_teller(options.address) {
    const auto add = [this](std::string_view name) {
      if (std::ranges::find(parts, name, &Part::name) == parts.end()) parts.push_back({name});
    };
    add("settings");
    for (const Statement& statement : statements()) add(statement.collector);
    add(kCustom);
  }

  Part& part(std::string_view name) { return *std::ranges::find(parts, name, &Part::name); }
  std::int64_t share_ns() const;
  bool late() const { return breaks > kBreaksMax || clock.monotonic_ns() + kLeastNs >= deadline_ns; }
  void run(std::string_view name, const std::function<base::Status()>& work);
  void fail(std::string_view name, const Session& session, const base::Error& error);
  base::Status ask(Session& session, const std::string& sql, Table& answer);
  void find_databases();
  void tell_settings(Sink& sink);
  base::Status tell_statement(std::size_t i, Sink& sink);
  void tell_statements(Sink& sink);
  void load_queries();
  base::Status tell_custom(Custom& custom, Sink& sink);
  void tell_custom_queries(Sink& sink);
  void tell_up(bool up, Sink& sink);
  void finish_parts(Sink& sink);

  const Options options;
  const base::Clock& clock;
  base::Log& log;
  const Asker asker;
  Session main;
  std::vector<std::unique_ptr<Session>> others;
  Teller teller;
  CustomTeller custom_teller;
  Settings settings;
  Table table;
  std::vector<Part> parts;
  std::vector<Custom> customs;
  std::filesystem::file_time_type queries_time;
  std::optional<base::Error> queries_error;
  // Of the pass.
  std::int64_t begun_ns = 0;
  std::int64_t deadline_ns = 0;
  int breaks = 0;
  const Session* speaker = nullptr;  // who answered last
  std::optional<base::Error> trouble;
  std::uint64_t passes = 0;
};

std::int64_t PostgresCollector::State::share_ns() const {
  const std::int64_t now_ns = clock.monotonic_ns();
  return now_ns + (deadline_ns - now_ns) / 2;
}

base::Status PostgresCollector::State::ask(Session& session, const std::string& sql, Table& answer) {
  if (late()) {
    return base::fail(base::ErrorCode::kTimeout,
                      fmt::format("{}: the time of the pass was over before its turn", options.address));
  }
  speaker = &session;
  auto status = session.ask(sql, share_ns(), answer);
  if (!status && status.error().code() != base::ErrorCode::kInvalid &&
      status.error().code() != base::ErrorCode::kPermission) {
    ++breaks;
  }
  return status;
}

void PostgresCollector::State::fail(std::string_view name, const Session& session, const base::Error& error) {
  Part& failed = part(name);
  base::Error known = no_part(asker, name, error, session.said());
  if (failed.was_ok && failed.ok) {
    log.warn("a part of a PostgreSQL server is not read", {{"part", name}, {"error", known}});
  }
  failed.ok = false;
  if (!trouble) trouble = std::move(known);
}

void PostgresCollector::State::run(std::string_view name, const std::function<base::Status()>& work) {
  const std::int64_t from_ns = clock.monotonic_ns();
  speaker = &main;
  const base::Status status = work();
  Part& ran = part(name);
  ran.ran = true;
  ran.seconds += static_cast<double>(clock.monotonic_ns() - from_ns) / 1e9;
  if (!status) fail(name, *speaker, status.error());
}

void PostgresCollector::State::find_databases() {
  if (!options.all_databases) return;
  table.clear();
  if (const auto status = ask(main, kDatabasesSql, table); !status) {
    if (!trouble) trouble = no_part(asker, "the list of databases", status.error(), main.said());
    return;
  }
  std::vector<std::unique_ptr<Session>> found;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto name = table.text(row, 0);
    if (!name) continue;
    const auto known = std::ranges::find_if(others, [&](const auto& one) { return one && one->database() == *name; });
    found.push_back(known != others.end() ? std::move(*known)
                                          : std::make_unique<Session>(options, std::string(*name), clock));
  }
  others = std::move(found);
  if (table.rows() == kDatabasesMax && !trouble) {
    trouble =
        base::Error(base::ErrorCode::kLimit,
                    fmt::format("PostgreSQL at {}: only the first {} databases are told (a connection is held for "
                                "each); declare the others as servers of their own at observe.postgres",
                                options.address, kDatabasesMax));
  }
  // Of a database that cannot be asked, nothing is told; it stays on the list and is tried in the next pass.
  for (auto& session : others) {
    if (late()) return;
    if (const auto status = session->begin(share_ns()); !status && !trouble) {
      trouble =
          no_part(asker, fmt::format("database {}", quote_name(session->database())), status.error(), session->said());
    }
  }
}

void PostgresCollector::State::tell_settings(Sink& sink) {
  run("settings", [&]() -> base::Status {
    table.clear();
    QD_TRY(ask(main, std::string(kSettingsSql), table));
    settings.tell(table, sink);
    return {};
  });
}

base::Status PostgresCollector::State::tell_statement(std::size_t i, Sink& sink) {
  const Statement& statement = statements()[i];
  table.clear();
  base::Status status;
  const auto ask_one = [&](Session& session) {
    if (session.sql(i).empty()) return false;
    if (auto answer = ask(session, session.sql(i), table); !answer) status = std::move(answer);
    return true;
  };
  bool asked = ask_one(main);
  for (auto& session : others) {
    if (statement.scope == Scope::kServer || (statement.scope == Scope::kExtensions && asked)) break;
    asked = ask_one(*session) || asked;
  }
  // One database that fails does not silence the others.
  if (status || statement.scope == Scope::kDatabase) teller.tell(statement, table, sink);
  return status;
}

void PostgresCollector::State::tell_statements(Sink& sink) {
  for (std::size_t i = 0; i < statements().size(); ++i) {
    const auto has = [i](const Session& session) { return !session.sql(i).empty(); };
    if (!has(main) && std::ranges::none_of(others, [&](const auto& one) { return has(*one); })) continue;
    run(statements()[i].collector, [&] { return tell_statement(i, sink); });
  }
}

// The file is read again when its time changes; one that is wrong leaves the queries as they were.
void PostgresCollector::State::load_queries() {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(options.queries_file, error);
  if (!error && time == queries_time) return;
  if (!error) queries_time = time;
  queries_error.reset();
  const auto read = [&]() -> base::Result<std::vector<CustomQuery>> {
    base::PosixFiles files;
    QD_ASSIGN(const std::string text, base::read_file(files, options.queries_file, model::config::kYamlBytesMax));
    QD_ASSIGN(const model::config::Node node, model::config::parse_yaml(text, options.queries_file));
    return read_custom_queries(node);
  };
  auto queries = read();
  if (!queries) {
    queries_error = queries.error().within("the queries of the PostgreSQL server at " + options.address);
    return;
  }
  customs.clear();
  for (CustomQuery& query : *queries) customs.push_back({std::move(query), {}, 0});
}

base::Status PostgresCollector::State::tell_custom(Custom& custom, Sink& sink) {
  const CustomQuery& query = custom.query;
  const auto wanted = [&](const Session& session) {
    return session.version() != 0 && (!query.versions || query.versions->contains(session.version()));
  };
  if (!wanted(main)) return {};
  Table& answer = query.cache_ms > 0 ? custom.kept : table;
  base::Status status;
  if (query.cache_ms == 0 || clock.monotonic_ns() >= custom.kept_until_ns) {
    answer.clear();
    const auto ask_one = [&](Session& session) {
      if (auto asked = ask(session, query.sql, answer); !asked && status)
        status = base::fail(asked.error().within("query " + query.name));
      session.settle();
    };
    ask_one(main);
    for (auto& session : others) {
      if (!query.master && wanted(*session)) ask_one(*session);
    }
    if (status) custom.kept_until_ns = clock.monotonic_ns() + query.cache_ms * 1'000'000;
  }
  custom_teller.tell(query, main.version(), answer, sink);
  return status;
}

void PostgresCollector::State::tell_custom_queries(Sink& sink) {
  if (options.queries_file.empty()) return;
  load_queries();
  custom_teller.begin();
  if (queries_error) {
    run(kCustom, [&]() -> base::Status { return {}; });
    Part& custom = part(kCustom);
    if (custom.was_ok) log.warn("a file of queries for PostgreSQL is not read", {{"error", *queries_error}});
    custom.ok = false;
    if (!trouble) trouble = queries_error;
  }
  for (Custom& custom : customs) run(kCustom, [&] { return tell_custom(custom, sink); });
}

void PostgresCollector::State::finish_parts(Sink& sink) {
  const auto tell = [&](std::string_view name, auto value) {
    const FamilyInfo& info = family(name);
    bool begun = false;
    for (const Part& one : parts) {
      if (!one.ran) continue;
      if (!std::exchange(begun, true)) sink.family(info.name, info.type, info.help);
      sink.sample({{"collector", one.name}}, value(one));
    }
  };
  tell("pg_scrape_collector_duration_seconds", [](const Part& one) { return one.seconds; });
  tell("pg_scrape_collector_success", [](const Part& one) { return one.ok ? 1.0 : 0.0; });
  for (Part& one : parts) {
    if (one.ran && one.ok && !one.was_ok) {
      log.info("a part of a PostgreSQL server is read again", {{"server", options.address}, {"part", one.name}});
    }
    if (one.ran) one.was_ok = one.ok;
    one.ran = false;
    one.ok = true;
    one.seconds = 0;
  }
}

void PostgresCollector::State::tell_up(bool up, Sink& sink) {
  const auto tell = [&](std::string_view name, double value) {
    const FamilyInfo& info = family(name);
    sink.family(info.name, info.type, info.help);
    sink.sample(value);
  };
  if (up) {
    const FamilyInfo& info = family("pg_static");
    const std::string version = short_version(main.version());
    sink.family(info.name, info.type, info.help);
    sink.sample({{"version", main.version_text()}, {"short_version", version}, {"server", options.address}}, 1);
  }
  const bool all = up && std::ranges::all_of(parts, &Part::ok);
  tell("pg_exporter_last_scrape_duration_seconds", static_cast<double>(clock.monotonic_ns() - begun_ns) / 1e9);
  tell("pg_exporter_last_scrape_error", all ? 0 : 1);
  tell("pg_exporter_scrapes_total", static_cast<double>(passes));
  tell("pg_up", up ? 1 : 0);
}

PostgresCollector::PostgresCollector(Options options, const base::Clock& clock, base::Log& log)
    : state_(std::make_unique<State>(std::move(options), clock, log)) {}

PostgresCollector::~PostgresCollector() = default;

const base::Error* PostgresCollector::trouble() const {
  return state_->trouble ? &*state_->trouble : nullptr;
}

base::Status PostgresCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  State& state = *state_;
  state.begun_ns = state.clock.monotonic_ns();
  state.deadline_ns = deadline_ns;
  state.breaks = 0;
  state.trouble.reset();
  ++state.passes;
  const base::Status begun = state.main.begin(deadline_ns);
  if (!begun) state.trouble = no_connection(state.asker, begun.error(), state.main.said());
  if (begun) {
    if (!state.main.sees_everything()) state.trouble = no_rights(state.asker);
    state.find_databases();
    state.tell_settings(sink);
    state.tell_statements(sink);
    state.tell_custom_queries(sink);
  }
  state.tell_up(begun.has_value(), sink);
  state.finish_parts(sink);
  return {};
}

}  // namespace qd::observe::postgres
