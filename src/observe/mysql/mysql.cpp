#include "observe/mysql/mysql.h"

#include <fmt/format.h>

#include <algorithm>

#include "observe/mysql/families.h"
#include "observe/mysql/part.h"
#include "observe/mysql/session.h"

namespace qd::observe::mysql {
namespace {

bool is_wanted(const PartInfo& info, const std::vector<std::string>& collect) {
  bool wanted = info.by_default;
  for (const std::string_view entry : collect) {
    if (entry == info.name) wanted = true;
    if (entry.starts_with('-') && entry.substr(1) == info.name) wanted = false;
  }
  return wanted;
}

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

}  // namespace

MysqlCollector::MysqlCollector(const Options& options, const base::Clock& clock)
    : options_(options),
      clock_(clock),
      session_(
          std::make_unique<Session>(connect::mysql::Target{options.socket.empty() ? options.address : options.socket,
                                                           options.user, options.password, options.tls},
                                    clock)) {
  for (const PartInfo& info : parts()) {
    if (!is_wanted(info, options.collect)) continue;
    entries_.push_back({fmt::format("collect.{}", info.name), info.make(options_)});
  }
}

MysqlCollector::~MysqlCollector() = default;

base::Status MysqlCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  static const FamilyInfo& kUp = family("mysql_up");
  ++passes_;
  trouble_.reset();
  denied_.clear();
  denial_.reset();
  failure_.reset();

  const std::int64_t from_ns = clock_.monotonic_ns();
  const auto begun = session_->begin(deadline_ns);
  tell(sink, kUp);
  sink.sample(begun ? 1 : 0);
  if (!begun) {
    trouble_ = session_->was_denied() ? refused(begun.error()) : begun.error();
  } else {
    const double connecting_seconds = seconds(clock_.monotonic_ns() - from_ns);
    for (Entry& entry : entries_) run(entry, sink);
    tell_own(sink, connecting_seconds);
    if (denial_ || session_->server().has_process == false) {
      trouble_ = hidden();
    } else if (failure_) {
      trouble_ = failure_;
    }
  }
  return {};
}

void MysqlCollector::run(Entry& entry, Sink& sink) {
  const std::int64_t from_ns = clock_.monotonic_ns();
  const base::Status status =
      session_->is_late() ? base::fail(base::ErrorCode::kTimeout, fmt::format("{}: the pass had no time left for {}",
                                                                              options_.address, entry.label))
                          : entry.part->collect({sink, *session_});
  entry.seconds = seconds(clock_.monotonic_ns() - from_ns);
  entry.ok = status.has_value();
  if (status) return;
  ++entry.failures;
  if (session_->was_denied()) {
    denied_ += (denied_.empty() ? "" : ", ") + entry.label;
    if (!denial_) denial_ = status.error();
  } else if (!failure_) {
    failure_ = base::Error(status.error().code(), fmt::format("{} ({})", status.error().message(), entry.label));
  }
}

void MysqlCollector::tell_own(Sink& sink, double connecting_seconds) {
  static const FamilyInfo& kDuration = family("mysql_exporter_collector_duration_seconds");
  static const FamilyInfo& kSuccess = family("mysql_exporter_collector_success");
  tell(sink, kDuration);
  sink.sample({{"collector", "connection"}}, connecting_seconds);
  for (const Entry& entry : entries_) sink.sample({{"collector", entry.label}}, entry.seconds);
  tell(sink, kSuccess);
  for (const Entry& entry : entries_) sink.sample({{"collector", entry.label}}, entry.ok ? 1 : 0);
  if (!options_.legacy_names) return;

  tell(sink, family("mysql_exporter_scrapes_total"));
  sink.sample(static_cast<double>(passes_));
  tell(sink, family("mysql_exporter_last_scrape_error"));
  sink.sample(std::ranges::all_of(entries_, &Entry::ok) ? 0 : 1);
  if (std::ranges::all_of(entries_, [](const Entry& entry) { return entry.failures == 0; })) return;
  tell(sink, family("mysql_exporter_scrape_errors_total"));
  for (const Entry& entry : entries_) {
    if (entry.failures > 0) sink.sample({{"collector", entry.label}}, static_cast<double>(entry.failures));
  }
}

base::Error MysqlCollector::refused(const base::Error& why) {
  const std::string account = refused_account(why.message()).value_or(quoted_account(options_.user + "@%"));
  Server& server = session_->server();
  return {why.code(),
          fmt::format("{}; give the right user and password in observe.mysql, or make the account: CREATE USER {} "
                      "IDENTIFIED BY '…'; {}{}",
                      why.message(), account, grant_statement(server, account),
                      server.version.empty() ? " (MariaDB from 10.5 on: SLAVE MONITOR as well)" : "")};
}

base::Error MysqlCollector::hidden() const {
  const Server& server = session_->server();
  const std::string what =
      denial_ ? fmt::format("{}; so there is nothing of {}", denial_->message(), denied_)
              : fmt::format("{}: {} sees no connections but its own", options_.address, server.account);
  const bool with_slave_hosts = denied_.find("slave_hosts") != std::string::npos;
  return {base::ErrorCode::kPermission, fmt::format("{}; let an administrator of the server run: {}", what,
                                                    grant_statement(server, server.account, with_slave_hosts))};
}

}  // namespace qd::observe::mysql
