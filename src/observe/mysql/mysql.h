// The MySQL and MariaDB collector: what a server says of itself, under the metric names, types and labels of
// mysqld_exporter.
//
// One object watches one server over one connection, which is kept. A pass asks one statement after the other; each
// part fails alone: mysql_exporter_collector_success{collector} is 0 then. A server that is down, hangs or refuses
// gives mysql_up 0 and nothing else; trouble() says why, with the statement that cures it.
//
// What an answer may hold is bounded (connect/mysql/client.h: Limits); digests of statements by Options::digests_limit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "connect/mysql/client.h"
#include "observe/collector.h"

namespace qd::observe::mysql {

// Of one server: an item of observe.mysql.
struct Options {
  std::string address = "127.0.0.1:3306";  // or the path of its socket
  std::string socket;                      // of the same server; when set it is asked there
  std::string user;
  std::string password;
  connect::mysql::Tls tls;
  // Parts to run beyond those that run by themselves, as mysqld_exporter names its collectors ("info_schema.tables");
  // with a '-' in front, parts that are not to run.
  std::vector<std::string> collect;
  std::int64_t digests_limit = 100;
  std::string heartbeat_table = "heartbeat.heartbeat";  // pt-heartbeat's, as database.table
  // Also the names that older exporters and servers gave.
  bool legacy_names = false;

  bool operator==(const Options&) const = default;
};

class Part;
class Session;

class MysqlCollector final : public Collector {
 public:
  // `clock` outlives it.
  MysqlCollector(const Options& options, const base::Clock& clock);
  ~MysqlCollector() override;
  MysqlCollector(const MysqlCollector&) = delete;
  MysqlCollector& operator=(const MysqlCollector&) = delete;

  std::string_view name() const override { return "mysql"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  struct Entry {
    std::string label;  // "collect.global_status"
    std::unique_ptr<Part> part;
    double seconds = 0;
    bool ok = true;
    std::uint64_t failures = 0;
  };
  void run(Entry& entry, Sink& sink);
  void tell_own(Sink& sink, double connecting_seconds);
  base::Error refused(const base::Error& why);
  base::Error hidden() const;

  const Options options_;
  const base::Clock& clock_;
  std::unique_ptr<Session> session_;
  std::vector<Entry> entries_;
  std::optional<base::Error> trouble_;
  std::uint64_t passes_ = 0;
  // Of the pass that runs.
  std::string denied_;  // labels of the parts that lack a right
  std::optional<base::Error> denial_;
  std::optional<base::Error> failure_;
};

}  // namespace qd::observe::mysql
