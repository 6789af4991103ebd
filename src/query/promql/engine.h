// Answers PromQL queries.
//
// A range query is evaluated series by series: each one is decoded once into columns, a window slides over the steps,
// aggregations fold the row into its group's and forget it, and the series are dealt to all cores. An instant query is
// a range of one step. Semantics are those of Prometheus 3: ranges and lookback are open on the left, stale markers end
// a series, and so on.
//
// Thread-safe: any number of queries may run at once; they share the pool's threads.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "query/promql/ast.h"
#include "query/promql/options.h"
#include "query/promql/value.h"
#include "store/metrics/querier.h"

namespace qd::query::promql {

// kInvalid unless a range query can step over it: a scalar or an instant vector.
base::Status check_range_type(const Expr& expr);

class Engine {
 public:
  // Without a pool, queries run on the caller's thread alone. Pool and clock outlive the engine.
  Engine(base::ThreadPool* pool, const base::Clock& clock) : pool_(pool), clock_(clock) {}

  // kInvalid: the query is wrong, or its data cannot be matched; kLimit names the setting; kTimeout, kCancelled; and
  // what the querier fails with.
  base::Result<QueryResult> instant(const store::metrics::Querier& querier, std::string_view text,
                                    model::TimestampMs time_ms, const QueryOptions& options = {}) const;
  // Steps start_ms, start_ms + step_ms, ... up to end_ms.
  base::Result<QueryResult> range(const store::metrics::Querier& querier, std::string_view text,
                                  model::TimestampMs start_ms, model::TimestampMs end_ms, std::int64_t step_ms,
                                  const QueryOptions& options = {}) const;

  // For a tree that is kept, as rules keep theirs. `text` is what it was parsed from.
  base::Result<QueryResult> instant(const store::metrics::Querier& querier, const Expr& expr, std::string_view text,
                                    model::TimestampMs time_ms, const QueryOptions& options = {}) const;
  base::Result<QueryResult> range(const store::metrics::Querier& querier, const Expr& expr, std::string_view text,
                                  model::TimestampMs start_ms, model::TimestampMs end_ms, std::int64_t step_ms,
                                  const QueryOptions& options = {}) const;

 private:
  base::ThreadPool* const pool_;
  const base::Clock& clock_;
};

}  // namespace qd::query::promql
