#include "observe/postgres/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace qd::observe::postgres {
namespace {

constexpr connect::postgres::AnswerLimits kLimits{kRowsMax, kAnswerBytesMax};

const std::string kFactsSql =
    "SELECT version(), current_setting('server_version_num'), "
    "pg_has_role(current_user, 'pg_monitor', 'USAGE')::int, "
    "(SELECT quote_ident(nspname) || ' ' || extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace "
    "WHERE extname = 'pg_stat_statements'), "
    "(SELECT quote_ident(nspname) || ' ' || extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace "
    "WHERE extname = 'pg_buffercache')";

// "public 1.10" as "public" and 110. A schema's name may have spaces.
void read_extension(std::string_view text, std::string& schema, int& version) {
  const auto space = text.rfind(' ');
  schema = text.substr(0, space == std::string_view::npos ? 0 : space);
  version = 0;
  if (schema.empty()) return;
  int major = 0;
  int minor = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + space + 1, end, major);
  if (error != std::errc{} || at == end) return;
  if (std::from_chars(at + 1, end, minor).ec == std::errc{} && major < 100 && minor < 100)
    version = major * 100 + minor;
}

}  // namespace

Session::Session(const Options& options, std::string database, const base::Clock& clock)
    : options_(options), database_(std::move(database)), clock_(clock), connection_(clock), sql_(statements().size()) {}

base::Status Session::connect(std::int64_t deadline_ns) {
  QD_TRY(connection_.open({.address = options_.socket.empty() ? options_.address : options_.socket,
                           .user = options_.user,
                           .password = options_.password,
                           .database = database_,
                           .sslmode = options_.sslmode,
                           .ca_file = options_.ca_file,
                           .peer = options_.peer},
                          deadline_ns));
  // An abandoned statement ends, a lock that somebody holds is not waited for, and times are written in one way.
  const std::int64_t left_ms = (deadline_ns - clock_.monotonic_ns()) / 1'000'000;
  const auto sql = fmt::format("SET statement_timeout = {}; SET lock_timeout = 1000; SET DateStyle = 'ISO'",
                               std::clamp<std::int64_t>(left_ms, 1000, 60'000));
  auto status = connection_.query(sql, deadline_ns, kLimits, [](const connect::postgres::Row&) {});
  if (!status) connection_.close();
  return status;
}

base::Status Session::learn(std::int64_t deadline_ns) {
  known_.clear();
  QD_TRY(connection_.query(kFactsSql, deadline_ns, kLimits, [&](const auto& row) { known_.add(row); }));
  if (known_.rows() != 1 || known_.columns() != 5)
    return base::fail(base::ErrorCode::kCorrupt,
                      fmt::format("{}: it does not answer as PostgreSQL does", options_.address));
  ServerFacts facts;
  version_text_ = known_.text(0, 0).value_or("");
  facts.version = static_cast<int>(std::clamp(known_.number(0, 1).value_or(0), 0.0, 1e9));
  sees_everything_ = known_.number(0, 2) == 1;
  read_extension(known_.text(0, 3).value_or(""), facts.statements_schema, facts.statements_version);
  read_extension(known_.text(0, 4).value_or(""), facts.buffercache_schema, facts.buffercache_version);
  facts.statements_limit = options_.statements_limit;
  facts.statements_text_length = options_.statements_text_length;
  if (facts == facts_) return {};
  facts_ = std::move(facts);
  std::ranges::transform(statements(), sql_.begin(), [&](const Statement& one) { return one.sql(facts_); });
  return {};
}

base::Status Session::begin(std::int64_t deadline_ns) {
  const bool kept = connection_.is_open();
  if (!kept) QD_TRY(connect(deadline_ns));
  auto status = learn(deadline_ns);
  // What was kept may be gone since: the server restarted.
  if (!status && kept && !connection_.is_open() && status.error().code() == base::ErrorCode::kUnavailable) {
    QD_TRY(connect(deadline_ns));
    status = learn(deadline_ns);
  }
  return status;
}

base::Status Session::ask(const std::string& sql, std::int64_t deadline_ns, Table& table) {
  if (!connection_.is_open()) QD_TRY(connect(deadline_ns));
  auto limits = kLimits;
  limits.rows_max -= std::min(limits.rows_max, table.rows());
  return connection_.query(sql, deadline_ns, limits, [&](const auto& row) { table.add(row); });
}

void Session::settle() {
  if (!connection_.is_idle()) connection_.close();
}

}  // namespace qd::observe::postgres
