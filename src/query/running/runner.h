// Runs queries for people and rules: an engine with a name for everyone who asks.
//
// Each query is noted in the file of running queries while it runs, range queries go by the cache, and each that ended
// is counted, written to the query log, and told when it was slow. How many run at once is the Gate's business.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "query/promql/engine.h"
#include "query/running/active_queries.h"
#include "query/running/asker.h"
#include "query/running/query_log.h"
#include "query/running/range_cache.h"
#include "query/running/settings.h"
#include "store/metrics/change_log.h"
#include "store/metrics/querier.h"

namespace qd::query::running {

// What came before a query ran.
struct Waits {
  std::int64_t queue_ns = 0;  // until its turn
  std::int64_t parse_ns = 0;
};

class Runner {
 public:
  // What it works with; all of it outlives the runner.
  struct Parts {
    const promql::Engine& engine;
    const store::metrics::Querier& querier;
    const store::metrics::ChangeLog& changes;
    ActiveQueries& active;
    base::Files& files;
    const base::Clock& clock;
    base::Log& log;
    base::Registry& registry;
  };

  Runner(const Parts& parts, const RunnerSettings& settings);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Of a reload: also opens the query log anew.
  void apply(const RunnerSettings& settings);

  // As the engine's.
  base::Result<promql::QueryResult> instant(const Asker& asker, const promql::Expr& expr, std::string_view text,
                                            model::TimestampMs time_ms, const promql::QueryOptions& options,
                                            Waits waits = {});
  base::Result<promql::QueryResult> range(const Asker& asker, const RangeQuery& query,
                                          const promql::QueryOptions& options, Waits waits = {});

 private:
  struct Metrics;
  struct Times {
    model::TimestampMs start_ms;
    model::TimestampMs end_ms;
    std::int64_t step_ms;  // 0: an instant query
  };
  template <typename Run>
  base::Result<promql::QueryResult> run(const Asker& asker, std::string_view text, const Times& times, Waits waits,
                                        Run&& run);

  const promql::Engine& engine_;
  const store::metrics::Querier& querier_;
  ActiveQueries& active_;
  const base::Clock& clock_;
  base::Log& log_;
  const std::unique_ptr<Metrics> metrics_;
  QueryLog query_log_;
  RangeCache cache_;
  std::atomic<std::int64_t> slow_threshold_ns_;
};

}  // namespace qd::query::running
