#include "query/running/range_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "model/histogram_arithmetic.h"
#include "query/running/cacheable.h"

namespace qd::query::running {

namespace {

using base::Result;
using model::TimestampMs;
using promql::Matrix;
using promql::MatrixSeries;
using promql::QueryResult;

// No answer takes more than this share of the cache.
constexpr std::uint64_t kAnswerShare = 4;
// A kept answer that covers less than this share of the steps saves less than asking twice costs.
constexpr std::int64_t kUsefulShare = 8;
// Of an answer and of a series in it, beside samples and labels.
constexpr std::uint64_t kAnswerBytes = 512;
constexpr std::uint64_t kSeriesBytes = 96;

// The last of start, start + step, … that is not after `end`.
TimestampMs last_step(TimestampMs start_ms, TimestampMs end_ms, std::int64_t step_ms) {
  return start_ms + (end_ms - start_ms) / step_ms * step_ms;
}

std::int64_t phase(TimestampMs start_ms, std::int64_t step_ms) {
  return ((start_ms % step_ms) + step_ms) % step_ms;
}

std::string key_of(const RangeQuery& query, const promql::QueryOptions& options) {
  const auto steps = static_cast<std::uint64_t>((query.end_ms - query.start_ms) / query.step_ms + 1);
  return fmt::format("{} {} {} {} {} {} {} {}", query.step_ms, phase(query.start_ms, query.step_ms),
                     std::bit_width(steps), options.lookback_ms, options.subquery_step_ms, options.experimental,
                     options.delayed_name_removal, promql::to_string(query.expr));
}

// Whatever else a series comes to hold must be cut and joined as well.
static_assert(sizeof(MatrixSeries) == sizeof(model::LabelSet) + sizeof(std::vector<model::Sample>) +
                                          sizeof(std::vector<promql::HistogramSample>));

template <typename Sample>
void append_between(std::vector<Sample>& to, const std::vector<Sample>& from, TimestampMs from_ms, TimestampMs to_ms) {
  const auto begin = std::ranges::lower_bound(from, from_ms, {}, &Sample::time_ms);
  const auto end = std::ranges::upper_bound(from, to_ms, {}, &Sample::time_ms);
  if (begin < end) to.insert(to.end(), begin, end);
}

// The samples of a series in [from_ms, to_ms].
void append_samples(MatrixSeries& to, const MatrixSeries& from, TimestampMs from_ms, TimestampMs to_ms) {
  append_between(to.samples, from.samples, from_ms, to_ms);
  append_between(to.histograms, from.histograms, from_ms, to_ms);
}

struct Piece {
  const Matrix* matrix;
  TimestampMs from_ms;
  TimestampMs to_ms;
};

// Pieces in order of time, each in label order, as one matrix.
Matrix joined(std::span<const Piece> pieces) {
  Matrix out;
  std::array<std::size_t, 3> next{};
  for (;;) {
    const model::LabelSet* least = nullptr;
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      if (next[p] == pieces[p].matrix->size()) continue;
      const model::LabelSet& labels = (*pieces[p].matrix)[next[p]].labels;
      if (least == nullptr || labels < *least) least = &labels;
    }
    if (least == nullptr) return out;
    MatrixSeries series{.labels = *least};
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      if (next[p] == pieces[p].matrix->size()) continue;
      const MatrixSeries& here = (*pieces[p].matrix)[next[p]];
      if (here.labels != series.labels) continue;
      append_samples(series, here, pieces[p].from_ms, pieces[p].to_ms);
      ++next[p];
    }
    if (!series.samples.empty() || !series.histograms.empty()) out.push_back(std::move(series));
  }
}

std::uint64_t bytes_of(const Matrix& matrix) {
  std::uint64_t bytes = kAnswerBytes;
  for (const MatrixSeries& series : matrix) {
    bytes += kSeriesBytes + series.labels.bytes().size() + series.samples.size() * sizeof(model::Sample);
    for (const auto& one : series.histograms) bytes += sizeof(one) + model::memory_bytes(*one.histogram);
  }
  return bytes;
}

void add_missing(std::vector<std::string>& all, const std::vector<std::string>& more) {
  for (const std::string& text : more) {
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
  }
}

}  // namespace

struct RangeCache::Answer {
  TimestampMs start_ms;
  TimestampMs last_ms;  // a step
  std::string text;     // annotations tell places in it
  std::uint64_t generation;
  std::uint64_t bytes;
  Matrix matrix;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;

  bool annotated() const { return !warnings.empty() || !infos.empty(); }
};

RangeCache::RangeCache(const promql::Engine& engine, const store::metrics::Querier& querier,
                       const store::metrics::ChangeLog& changes, base::Registry& registry, std::uint64_t bytes_max)
    : engine_(engine),
      querier_(querier),
      changes_(changes),
      hits_(registry.counter("quarterdeck_query_cache_hits_total",
                             "Range queries of which a part was answered from the cache.")),
      misses_(registry.counter("quarterdeck_query_cache_misses_total",
                               "Range queries that could be cached and were computed as a whole.")),
      bytes_gauge_(registry.gauge("quarterdeck_query_cache_bytes", "What cached answers take.")),
      bytes_max_(bytes_max) {}

void RangeCache::set_bytes_max(std::uint64_t bytes_max) {
  base::MutexLock lock(mutex_);
  bytes_max_ = bytes_max;
  shrink();
}

RangeCache::AnswerPtr RangeCache::find(const std::string& key) {
  base::MutexLock lock(mutex_);
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, it->second);
  return it->second->answer;
}

void RangeCache::keep(const std::string& key, AnswerPtr answer) {
  base::MutexLock lock(mutex_);
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    const auto old = it->second;
    bytes_ -= old->answer->bytes;
    by_key_.erase(it);
    recent_.erase(old);
  }
  bytes_ += answer->bytes;
  recent_.push_front({key, std::move(answer)});
  by_key_.emplace(recent_.front().key, recent_.begin());
  shrink();
}

void RangeCache::shrink() {
  while (bytes_ > bytes_max_) {
    bytes_ -= recent_.back().answer->bytes;
    by_key_.erase(recent_.back().key);
    recent_.pop_back();
  }
  bytes_gauge_.set(static_cast<double>(bytes_));
}

Result<QueryResult> RangeCache::compute(const RangeQuery& query, TimestampMs start_ms, TimestampMs end_ms,
                                        const promql::QueryOptions& options) const {
  return engine_.range(querier_, query.expr, query.text, start_ms, end_ms, query.step_ms, options);
}

Result<std::optional<QueryResult>> RangeCache::extend(const Answer& kept, const RangeQuery& query,
                                                      const promql::QueryOptions& options) const {
  const std::int64_t step = query.step_ms;
  const TimestampMs last = last_step(query.start_ms, query.end_ms, step);
  // Steps of the kept answer that still hold.
  const TimestampMs changed = changes_.changed_since(kept.generation);
  const TimestampMs from = std::max(query.start_ms, kept.start_ms);
  TimestampMs to = std::min(last, kept.last_ms);
  if (changed <= from || to < from) return std::nullopt;
  to = std::min(to, last_step(from, changed - 1, step));
  if (((to - from) / step + 1) * kUsefulShare < (last - query.start_ms) / step + 1) return std::nullopt;
  const bool whole = from == query.start_ms && to == last;
  if (kept.annotated() && (kept.text != query.text || (whole && (kept.start_ms != from || kept.last_ms != to))))
    return std::nullopt;

  QueryResult out;
  std::optional<QueryResult> before;
  std::optional<QueryResult> after;
  const auto add = [&](std::optional<QueryResult>& part, TimestampMs start_ms, TimestampMs end_ms) -> base::Status {
    QD_ASSIGN(part, compute(query, start_ms, end_ms, options));
    add_missing(out.warnings, part->warnings);
    add_missing(out.infos, part->infos);
    out.stats.series += part->stats.series;
    out.stats.samples_read += part->stats.samples_read;
    out.stats.samples_peak = std::max(out.stats.samples_peak, part->stats.samples_peak);
    return {};
  };
  if (from > query.start_ms) QD_TRY(add(before, query.start_ms, from - step));
  if (to < last) QD_TRY(add(after, to + step, last));
  if (whole) {
    out.warnings = kept.warnings;
    out.infos = kept.infos;
  } else if (kept.annotated() && (out.warnings != kept.warnings || out.infos != kept.infos)) {
    // Which of its steps had them, nobody knows.
    return std::nullopt;
  }
  std::vector<Piece> pieces;
  if (before) pieces.push_back({&std::get<Matrix>(before->value), query.start_ms, from - step});
  pieces.push_back({&kept.matrix, from, to});
  if (after) pieces.push_back({&std::get<Matrix>(after->value), to + step, last});
  out.value = joined(pieces);
  return out;
}

Result<QueryResult> RangeCache::range(const RangeQuery& query, const promql::QueryOptions& options) {
  std::uint64_t bytes_max = 0;
  {
    base::MutexLock lock(mutex_);
    bytes_max = bytes_max_;
  }
  if (bytes_max == 0 || query.step_ms <= 0 || query.end_ms - query.start_ms < query.step_ms || !cacheable(query.expr)) {
    return compute(query, query.start_ms, query.end_ms, options);
  }
  const std::string key = key_of(query, options);
  // Before anything is read: what changes from here on is told to the next one who finds this answer.
  const std::uint64_t generation = changes_.generation();
  std::optional<QueryResult> result;
  if (const AnswerPtr kept = find(key)) {
    QD_ASSIGN(result, extend(*kept, query, options));
  }
  (result ? hits_ : misses_).add();
  if (!result) {
    QD_ASSIGN(result, compute(query, query.start_ms, query.end_ms, options));
  }
  const Matrix& matrix = std::get<Matrix>(result->value);
  if (const std::uint64_t bytes = bytes_of(matrix) + key.size() + query.text.size();
      bytes <= bytes_max / kAnswerShare) {
    keep(key, std::make_shared<const Answer>(Answer{.start_ms = query.start_ms,
                                                    .last_ms = last_step(query.start_ms, query.end_ms, query.step_ms),
                                                    .text = std::string(query.text),
                                                    .generation = generation,
                                                    .bytes = bytes,
                                                    .matrix = matrix,
                                                    .warnings = result->warnings,
                                                    .infos = result->infos}));
  }
  return std::move(*result);
}

}  // namespace qd::query::running
