// Answers to range queries, kept so that a dashboard that asks again has only its new end computed.
//
// An answer is kept by its expression, step, phase of the steps, number of steps (to a power of two), and the options
// that change values; whoever asks gets the same. A step of it is used again only while no sample at or before the step
// has come or gone since the answer was computed, which the store's ChangeLog tells: samples that come late, deletions
// and imports are seen by the next query, and nothing is ever waited for or guessed. Expressions that do not split into
// steps (cacheable.h) go past the cache, as do answers whose annotations cannot be told apart by step.
//
// Values are those of a query without the cache, but for the last bits of sums over many series, which are added up in
// another order when other series take part.
//
// Thread-safe. Memory: `bytes_max` for answers; the least recently used goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/counters.h"
#include "base/mutex.h"
#include "base/result.h"
#include "query/promql/engine.h"
#include "store/metrics/change_log.h"
#include "store/metrics/querier.h"

namespace qd::query::running {

struct RangeQuery {
  const promql::Expr& expr;
  std::string_view text;
  model::TimestampMs start_ms = 0;
  model::TimestampMs end_ms = 0;
  std::int64_t step_ms = 0;
};

class RangeCache {
 public:
  // All outlive this. Counts itself as quarterdeck_query_cache_*.
  RangeCache(const promql::Engine& engine, const store::metrics::Querier& querier,
             const store::metrics::ChangeLog& changes, base::Registry& registry, std::uint64_t bytes_max);

  // 0 keeps nothing.
  void set_bytes_max(std::uint64_t bytes_max) QD_EXCLUDES(mutex_);

  // What engine.range gives, or fails with; statistics are of what was computed.
  base::Result<promql::QueryResult> range(const RangeQuery& query, const promql::QueryOptions& options)
      QD_EXCLUDES(mutex_);

 private:
  struct Answer;
  using AnswerPtr = std::shared_ptr<const Answer>;

  AnswerPtr find(const std::string& key) QD_EXCLUDES(mutex_);
  void keep(const std::string& key, AnswerPtr answer) QD_EXCLUDES(mutex_);
  void shrink() QD_REQUIRES(mutex_);
  base::Result<promql::QueryResult> compute(const RangeQuery& query, model::TimestampMs start_ms,
                                            model::TimestampMs end_ms, const promql::QueryOptions& options) const;
  // Nothing where the kept answer is of no use.
  base::Result<std::optional<promql::QueryResult>> extend(const Answer& kept, const RangeQuery& query,
                                                          const promql::QueryOptions& options) const;

  const promql::Engine& engine_;
  const store::metrics::Querier& querier_;
  const store::metrics::ChangeLog& changes_;
  base::Counter& hits_;
  base::Counter& misses_;
  base::Gauge& bytes_gauge_;

  struct Kept {
    std::string key;
    AnswerPtr answer;
  };
  mutable base::Mutex mutex_;
  std::uint64_t bytes_max_ QD_GUARDED_BY(mutex_);
  std::uint64_t bytes_ QD_GUARDED_BY(mutex_) = 0;
  std::list<Kept> recent_ QD_GUARDED_BY(mutex_);  // the last used first
  std::unordered_map<std::string_view, std::list<Kept>::iterator> by_key_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::query::running
