// One running query: what it may use, how it is stopped, and what it has to say.
//
// Shared by all threads that work on the query; everything in it is thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "model/sample.h"
#include "query/promql/annotations.h"
#include "query/promql/options.h"
#include "store/metrics/querier.h"

namespace qd::query::promql {

class Context;

inline constexpr std::uint64_t kBytesPerSample = sizeof(double) + sizeof(model::TimestampMs);

// Samples and label bytes held in memory, given back when this goes.
class Charge {
 public:
  Charge() = default;
  Charge(Context* context, std::uint64_t samples, std::uint64_t label_bytes)
      : context_(context), samples_(samples), label_bytes_(label_bytes) {}
  Charge(Charge&& other) noexcept
      : context_(std::exchange(other.context_, nullptr)),
        samples_(std::exchange(other.samples_, 0)),
        label_bytes_(std::exchange(other.label_bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    if (this != &other) {
      release();
      context_ = std::exchange(other.context_, nullptr);
      samples_ = std::exchange(other.samples_, 0);
      label_bytes_ = std::exchange(other.label_bytes_, 0);
    }
    return *this;
  }
  ~Charge() { release(); }

  std::uint64_t samples() const { return samples_; }
  // Takes on what `other` holds, of the same query.
  void absorb(Charge&& other) {
    if (context_ == nullptr) context_ = other.context_;
    samples_ += std::exchange(other.samples_, 0);
    label_bytes_ += std::exchange(other.label_bytes_, 0);
  }

 private:
  void release();
  Context* context_ = nullptr;
  std::uint64_t samples_ = 0;
  std::uint64_t label_bytes_ = 0;
};

class Context {
 public:
  Context(const store::metrics::Querier& querier, const QueryOptions& options, base::ThreadPool* pool,
          const base::Clock& clock, std::string_view text, model::TimestampMs start_ms, model::TimestampMs end_ms,
          std::int64_t step_ms);

  const store::metrics::Querier& querier() const { return querier_; }
  const QueryOptions& options() const { return options_; }
  std::string_view text() const { return text_; }
  // Of the query itself, whatever the grid of a subquery is.
  model::TimestampMs start_ms() const { return start_ms_; }
  model::TimestampMs end_ms() const { return end_ms_; }
  DurationContext durations() const { return {step_ms_, end_ms_ - start_ms_}; }
  Annotations& annotations() { return annotations_; }

  // kCancelled, kTimeout, or the first error of another thread.
  base::Status check() const;
  // kLimit past query.samples_limit or query.memory_limit.
  base::Result<Charge> charge(std::uint64_t samples, std::uint64_t label_bytes = 0);
  void count_series(std::uint64_t n) { series_.fetch_add(n, std::memory_order_relaxed); }
  void count_samples_read(std::uint64_t n) { samples_read_.fetch_add(n, std::memory_order_relaxed); }

  // Calls f for each of [0, n), on all cores where the work is worth it: `cost` is that of one item in nanoseconds,
  // more or less. The first error stops the rest and is returned.
  base::Status for_items(std::size_t n, std::uint64_t cost, const std::function<base::Status(std::size_t)>& f);
  // Splits [0, n) into blocks, the same for the same n whatever the machine, and calls f(block, begin, end) for each as
  // for_items does.
  static std::size_t block_count(std::size_t n);
  base::Status for_blocks(std::size_t n, std::uint64_t cost,
                          const std::function<base::Status(std::size_t, std::size_t, std::size_t)>& f);

  std::uint64_t series() const { return series_.load(std::memory_order_relaxed); }
  std::uint64_t samples_read() const { return samples_read_.load(std::memory_order_relaxed); }
  std::uint64_t samples_peak() const { return samples_peak_.load(std::memory_order_relaxed); }

 private:
  friend class Charge;

  const store::metrics::Querier& querier_;
  const QueryOptions& options_;
  base::ThreadPool* const pool_;
  const base::Clock& clock_;
  const std::string_view text_;
  const model::TimestampMs start_ms_;
  const model::TimestampMs end_ms_;
  const std::int64_t step_ms_;
  const std::int64_t deadline_ns_;
  Annotations annotations_;
  std::atomic<std::uint64_t> series_{0};
  std::atomic<std::uint64_t> samples_read_{0};
  std::atomic<std::uint64_t> samples_held_{0};
  std::atomic<std::uint64_t> label_bytes_held_{0};
  std::atomic<std::uint64_t> samples_peak_{0};
};

}  // namespace qd::query::promql
