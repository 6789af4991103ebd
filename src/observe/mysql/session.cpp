#include "observe/mysql/session.h"

#include <fmt/format.h>

#include <utility>

#include "connect/stream.h"

namespace qd::observe::mysql {
namespace {

// What the server gives up by itself, should we be gone: metadata locks of others are not waited for, and no statement
// of ours runs on behind a connection that was cut.
constexpr std::string_view kMariadbSettings = "SET SESSION lock_wait_timeout = 2, max_statement_time = 30";
constexpr std::string_view kMysqlSettings = "SET SESSION lock_wait_timeout = 2, max_execution_time = 30000";
constexpr std::string_view kOldSettings = "SET SESSION lock_wait_timeout = 2";

constexpr std::size_t kVersionBytesMax = 200;

}  // namespace

Session::Session(connect::mysql::Target target, const base::Clock& clock)
    : address_(target.address), client_(std::move(target), clock), clock_(clock) {}

base::Status Session::begin(std::int64_t deadline_ns) {
  deadline_ns_ = deadline_ns;
  reopens_ = 0;
  denied_ = false;
  // A server that was started anew has closed the old connection.
  if (client_.is_open() && client_.ping(deadline_ns_)) return {};
  return open();
}

base::Status Session::open() {
  const auto status = client_.open(deadline_ns_);
  denied_ = !status && status.error().code() == base::ErrorCode::kPermission;
  if (denied_) read_greeting();
  if (!status) return status;
  return introduce();
}

// The library forgets the greeting of a server that refuses. Once only: servers count those who leave without signing
// on, and block a host after a hundred in a row.
void Session::read_greeting() {
  if (!server_.version.empty() || std::exchange(greeting_read_, true)) return;
  const auto stream = connect::Stream::open({address_, {}}, clock_, deadline_ns_);
  if (!stream) return;
  constexpr std::size_t kHeaderBytes = 5;  // length, number, and the protocol's version: 10, or 255 for an error
  const auto header = (*stream)->read_exact(kHeaderBytes, deadline_ns_);
  if (!header || (*header)[kHeaderBytes - 1] != 10) return;
  std::string version;
  while (version.size() < kVersionBytesMax) {
    const auto byte = (*stream)->read_exact(1, deadline_ns_);
    if (!byte) return;
    if (byte->front() == '\0') {
      set_version(server_, version);
      return;
    }
    version += byte->front();
  }
}

base::Status Session::introduce() {
  QD_TRY(client_.query("SELECT @@version, CURRENT_USER()", table_, deadline_ns_));
  server_ = {};
  if (table_.rows() == 1 && table_.columns() == 2) {
    set_version(server_, table_.text(0, 0));
    server_.account = quoted_account(table_.text(0, 1));
  }
  // A server that does not know these, or a proxy before it, is read all the same; only a lost connection counts.
  if (!client_.query(server_.is_mariadb             ? kMariadbSettings
                     : server_.is_at_least(5, 7, 8) ? kMysqlSettings
                                                    : kOldSettings,
                     table_, deadline_ns_) &&
      !client_.is_open()) {
    return base::fail(base::ErrorCode::kUnavailable, "the connection broke while it was set up");
  }
  if (client_.query("SHOW GRANTS", table_, deadline_ns_)) {
    server_.has_process = false;
    for (std::size_t row = 0; row < table_.rows() && table_.columns() > 0; ++row) {
      const auto found = grants_process(table_.text(row, 0));
      if (found == true) {
        server_.has_process = true;
        break;
      }
      if (!found) server_.has_process = std::nullopt;
    }
  }
  return {};
}

base::Result<const connect::mysql::Table*> Session::ask(std::string_view sql) {
  denied_ = false;
  if (!client_.is_open()) {
    if (++reopens_ > kReopensMax) {
      return base::fail(base::ErrorCode::kUnavailable,
                        fmt::format("the connection broke {} times in one pass", kReopensMax + 1));
    }
    const Server known = server_;
    QD_TRY(open());
    server_.performance_schema = known.performance_schema;
    server_.user_statistics = known.user_statistics;
    server_.binary_log = known.binary_log;
    server_.response_times = known.response_times;
  }
  const auto status = client_.query(sql, table_, deadline_ns_);
  denied_ = !status && status.error().code() == base::ErrorCode::kPermission;
  if (!status) return base::fail(status.error());
  return &table_;
}

}  // namespace qd::observe::mysql
