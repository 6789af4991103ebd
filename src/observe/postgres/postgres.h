// The PostgreSQL collector: what a server says of itself, under the metric names, types and labels of
// postgres_exporter.
//
// One object watches one server, over one connection that is kept from pass to pass (with all_databases, one more for
// each database). Each part (stat_database, locks, …) fails alone: pg_scrape_collector_success{collector} is 0 then,
// and what changed is logged once. A server that is down or refuses is pg_up 0; trouble() says why and what to do.
//
// A statement gets half of the time that the pass has left, so that one that hangs leaves time for the others. What a
// pass leaves running at the server ends there by statement_timeout.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "observe/collector.h"

namespace qd::observe::postgres {

struct Options {
  std::string address = "127.0.0.1:5432";
  std::string socket;         // of the same server; when set it is asked there, as `peer`
  std::optional<uid_t> peer;  // a user of this machine
  std::string user = "postgres";
  std::string password;
  std::string database = "postgres";
  std::string sslmode = "prefer";
  std::string ca_file;
  std::string queries_file;
  bool all_databases = false;
  std::int64_t statements_limit = 100;
  std::int64_t statements_text_length = 0;
  bool legacy_names = false;  // families under the names of older exporters too: exporters.legacy_names

  bool operator==(const Options&) const = default;
};

// With all_databases: how many databases are asked. A connection of the server's is held for each.
inline constexpr std::size_t kDatabasesMax = 50;
// Of one answer.
inline constexpr std::size_t kRowsMax = 100'000;
inline constexpr std::size_t kAnswerBytesMax = std::size_t{32} * 1024 * 1024;

class PostgresCollector final : public Collector {
 public:
  // `clock` and `log` outlive it.
  PostgresCollector(Options options, const base::Clock& clock, base::Log& log);
  ~PostgresCollector() override;
  PostgresCollector(const PostgresCollector&) = delete;
  PostgresCollector& operator=(const PostgresCollector&) = delete;

  std::string_view name() const override { return "postgres"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qd::observe::postgres
