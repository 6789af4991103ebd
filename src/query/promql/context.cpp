#include "query/promql/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/mutex.h"

namespace qd::query::promql {

namespace {

constexpr std::size_t kBlocksMax = 64;
constexpr std::size_t kBlockItemsMin = 8;
// Waking another thread costs about this much.
constexpr std::uint64_t kParallelWorthNs = 50'000;

// What is held then. Adding nothing leaves the line to the other threads.
std::uint64_t add(std::atomic<std::uint64_t>& held, std::uint64_t n) {
  return n == 0 ? held.load(std::memory_order_relaxed) : held.fetch_add(n, std::memory_order_relaxed) + n;
}

}  // namespace

void Charge::release() {
  if (context_ != nullptr) {
    context_->samples_held_.fetch_sub(samples_, std::memory_order_relaxed);
    context_->label_bytes_held_.fetch_sub(label_bytes_, std::memory_order_relaxed);
  }
  samples_ = 0;
  label_bytes_ = 0;
}

Context::Context(const store::metrics::Querier& querier, const QueryOptions& options, base::ThreadPool* pool,
                 const base::Clock& clock, std::string_view text, model::TimestampMs start_ms,
                 model::TimestampMs end_ms, std::int64_t step_ms)
    : querier_(querier),
      options_(options),
      pool_(pool),
      clock_(clock),
      text_(text),
      start_ms_(start_ms),
      end_ms_(end_ms),
      step_ms_(step_ms),
      deadline_ns_(clock.monotonic_ns() + options.timeout_ms * 1'000'000) {}

base::Status Context::check() const {
  if (options_.cancel.cancelled()) return base::fail(base::ErrorCode::kCancelled, "query was cancelled");
  if (clock_.monotonic_ns() > deadline_ns_) {
    return base::fail(
        base::ErrorCode::kTimeout,
        fmt::format("query timed out after {} ms (query.timeout): narrow the selectors or the time range, "
                    "or raise it",
                    options_.timeout_ms));
  }
  return {};
}

base::Result<Charge> Context::charge(std::uint64_t samples, std::uint64_t label_bytes) {
  // Whoever asks for absurdly much is refused before the sum can wrap.
  const std::uint64_t held = samples > options_.samples_limit ? samples : add(samples_held_, samples);
  const std::uint64_t label_bytes_held = add(label_bytes_held_, label_bytes);
  Charge charged(this, samples > options_.samples_limit ? 0 : samples, label_bytes);
  if (held > options_.samples_limit || samples > options_.samples_limit) {
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("query would hold more than {} samples in memory (query.samples_limit): narrow the "
                                  "selectors, the time range or the resolution, or raise it",
                                  options_.samples_limit));
  }
  if (held * kBytesPerSample + label_bytes_held > options_.memory_limit_bytes) {
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("query would use more than {} bytes of memory (query.memory_limit): narrow the "
                                  "selectors, the time range or the resolution, or raise it",
                                  options_.memory_limit_bytes));
  }
  std::uint64_t peak = samples_peak_.load(std::memory_order_relaxed);
  while (held > peak && !samples_peak_.compare_exchange_weak(peak, held, std::memory_order_relaxed)) {
  }
  return charged;
}

std::size_t Context::block_count(std::size_t n) {
  return std::min(kBlocksMax, (n + kBlockItemsMin - 1) / kBlockItemsMin);
}

base::Status Context::for_items(std::size_t n, std::uint64_t cost, const std::function<base::Status(std::size_t)>& f) {
  QD_TRY(check());
  if (pool_ == nullptr || n <= 1 || n * cost < kParallelWorthNs) {
    for (std::size_t i = 0; i < n; ++i) {
      QD_TRY(check());
      QD_TRY(f(i));
    }
    return {};
  }
  struct Shared {
    base::Mutex mutex;
    std::optional<base::Error> error QD_GUARDED_BY(mutex);
    std::atomic<bool> failed{false};
  } shared;
  pool_->parallel_for(n, [&](std::size_t i) {
    if (shared.failed.load(std::memory_order_relaxed)) return;
    base::Status status = check();
    if (status) status = f(i);
    if (status) return;
    const base::MutexLock lock(shared.mutex);
    if (!shared.error) shared.error = std::move(status).error();
    shared.failed.store(true, std::memory_order_relaxed);
  });
  const base::MutexLock lock(shared.mutex);
  if (shared.error) return base::fail(*std::move(shared.error));
  return {};
}

base::Status Context::for_blocks(std::size_t n, std::uint64_t cost,
                                 const std::function<base::Status(std::size_t, std::size_t, std::size_t)>& f) {
  const std::size_t blocks = block_count(n);
  if (blocks == 0) return check();
  return for_items(blocks, cost * (n / blocks + 1),
                   [&](std::size_t block) { return f(block, n * block / blocks, n * (block + 1) / blocks); });
}

}  // namespace qd::query::promql
