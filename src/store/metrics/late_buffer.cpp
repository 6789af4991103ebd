#include "store/metrics/late_buffer.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <utility>

#include "store/metrics/head_series.h"
#include "store/metrics/histogram_bytes.h"

namespace qd::store::metrics {

using base::MutexLock;

namespace {

// What a series takes beside its samples, in samples.
constexpr std::size_t kSeriesWeight = 8;

// A sample of one number, in bytes, and what a histogram takes beside its buckets.
constexpr std::size_t kNumberBytes = 24;
constexpr std::size_t kHistogramBytes = sizeof(model::Histogram) + 64;

struct LateSample {
  TimestampMs time_ms;
  double value;                    // of a histogram: the bits are its place in the generation's list
  std::uint64_t commit : 63;       // the batch that brought it
  std::uint64_t is_histogram : 1;  // beside the commit, so that a number takes no more room than it needs
};
static_assert(sizeof(LateSample) == kNumberBytes);

std::size_t weight_of(const model::Histogram& histogram) {
  return (kHistogramBytes + histogram_cells(histogram) * sizeof(double)) / kNumberBytes;
}

// Looked through one by one; more than this become a run.
constexpr std::size_t kTailMax = 128;

bool earlier(const LateSample& a, const LateSample& b) {
  return a.time_ms != b.time_ms ? a.time_ms < b.time_ms : a.commit < b.commit;
}

}  // namespace

std::size_t late_weight(const SampleBatch& batch) {
  std::size_t weight = batch.size();
  for (const model::HistogramPtr& histogram : batch.histograms) {
    if (histogram != nullptr) weight += weight_of(*histogram);
  }
  return weight;
}

// All of it under the buffer's mutex. What came last stands in the tail as it came, what came before in runs by time,
// each at least twice as long as the next: adding and finding a sample take logarithmic time in whichever order they
// come.
struct LateBuffer::Generation {
  struct Series {
    TimestampMs min_ms = model::kMaxTimestampMs;
    TimestampMs max_ms = model::kMinTimestampMs;
    std::uint64_t first_commit = 0;
    std::vector<std::vector<LateSample>> runs;
    std::vector<LateSample> tail;

    void add(const LateSample& sample);
    // Calls `take` with each sample in [from_ms, to_ms], run by run.
    template <typename Take>
    void each(TimestampMs from_ms, TimestampMs to_ms, const Take& take) const;
  };
  std::unordered_map<Slot, Series> series;
  std::vector<model::HistogramPtr> histograms;
  std::size_t histogram_weight = 0;
  std::size_t samples = 0;
  TimestampMs min_ms = model::kMaxTimestampMs;
  TimestampMs max_ms = model::kMinTimestampMs;

  std::size_t weight() const { return samples + histogram_weight + series.size() * kSeriesWeight; }
  void add(Slot slot, TimestampMs time_ms, double value, const model::HistogramPtr& histogram, std::uint64_t commit);
};

void LateBuffer::Generation::Series::add(const LateSample& sample) {
  if (min_ms > max_ms) first_commit = sample.commit;
  min_ms = std::min(min_ms, sample.time_ms);
  max_ms = std::max(max_ms, sample.time_ms);
  tail.push_back(sample);
  if (tail.size() < kTailMax) return;
  std::vector<LateSample> run;
  run.swap(tail);
  if (!std::is_sorted(run.begin(), run.end(), earlier)) std::sort(run.begin(), run.end(), earlier);
  while (!runs.empty() && runs.back().size() < 2 * run.size()) {
    std::vector<LateSample> merged;
    merged.reserve(runs.back().size() + run.size());
    std::merge(runs.back().begin(), runs.back().end(), run.begin(), run.end(), std::back_inserter(merged), earlier);
    run = std::move(merged);
    runs.pop_back();
  }
  runs.push_back(std::move(run));
}

void LateBuffer::Generation::add(Slot slot, TimestampMs time_ms, double value, const model::HistogramPtr& histogram,
                                 std::uint64_t commit) {
  LateSample sample{.time_ms = time_ms, .value = value, .commit = commit, .is_histogram = 0};
  if (histogram != nullptr) {
    sample.value = std::bit_cast<double>(std::uint64_t{histograms.size()});
    sample.is_histogram = 1;
    histograms.push_back(histogram);
    histogram_weight += weight_of(*histogram);
  }
  series[slot].add(sample);
  min_ms = std::min(min_ms, time_ms);
  max_ms = std::max(max_ms, time_ms);
  ++samples;
}

template <typename Take>
void LateBuffer::Generation::Series::each(TimestampMs from_ms, TimestampMs to_ms, const Take& take) const {
  if (max_ms < from_ms || min_ms > to_ms) return;
  for (const auto& run : runs) {
    auto at = std::lower_bound(run.begin(), run.end(), from_ms,
                               [](const LateSample& sample, TimestampMs time_ms) { return sample.time_ms < time_ms; });
    for (; at != run.end() && at->time_ms <= to_ms; ++at) take(*at);
  }
  for (const LateSample& sample : tail) {
    if (sample.time_ms >= from_ms && sample.time_ms <= to_ms) take(sample);
  }
}

LateBuffer::LateBuffer() : growing_(std::make_shared<Generation>()) {}
LateBuffer::~LateBuffer() = default;

void LateBuffer::apply(const SampleBatch& batch) {
  MutexLock lock(mutex_);
  const std::uint64_t commit = commits_.load(std::memory_order_relaxed) + 1;
  const std::size_t weight = growing_->weight();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    growing_->add(slot_of(batch.refs[i]), batch.times[i], batch.values[i],
                  batch.histograms.empty() ? nullptr : batch.histograms[i], commit);
  }
  samples_.fetch_add(batch.size(), std::memory_order_relaxed);
  weight_.fetch_add(growing_->weight() - weight, std::memory_order_relaxed);
  commits_.store(commit, std::memory_order_release);
}

bool LateBuffer::overtaken(const SampleBatch& batch, std::uint64_t since) const {
  MutexLock lock(mutex_);
  if (commits_.load(std::memory_order_relaxed) == since) return false;
  if (dropped_ > since) return true;
  const auto came_since = [&](const Generation& generation, Slot slot, TimestampMs time_ms) {
    const auto found = generation.series.find(slot);
    if (found == generation.series.end()) return false;
    bool any = false;
    found->second.each(time_ms, time_ms, [&](const LateSample& sample) { any = any || sample.commit > since; });
    return any;
  };
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Slot slot = slot_of(batch.refs[i]);
    if (came_since(*growing_, slot, batch.times[i])) return true;
    for (const auto& generation : frozen_) {
      if (came_since(*generation, slot, batch.times[i])) return true;
    }
  }
  return false;
}

std::pair<TimestampMs, TimestampMs> LateBuffer::reach() const {
  MutexLock lock(mutex_);
  const auto [first_ms, last_ms] = frozen_reach_locked();
  return {std::min(growing_->min_ms, first_ms), std::max(growing_->max_ms, last_ms)};
}

std::pair<TimestampMs, TimestampMs> LateBuffer::frozen_reach() const {
  MutexLock lock(mutex_);
  return frozen_reach_locked();
}

std::pair<TimestampMs, TimestampMs> LateBuffer::frozen_reach_locked() const {
  std::pair<TimestampMs, TimestampMs> reach{model::kMaxTimestampMs, model::kMinTimestampMs};
  for (const auto& generation : frozen_) {
    reach.first = std::min(reach.first, generation->min_ms);
    reach.second = std::max(reach.second, generation->max_ms);
  }
  return reach;
}

bool LateBuffer::holds(Slot slot) const {
  if (samples() == 0) return false;
  MutexLock lock(mutex_);
  return growing_->series.contains(slot) ||
         std::any_of(frozen_.begin(), frozen_.end(), [&](const auto& g) { return g->series.contains(slot); });
}

LateBuffer::View LateBuffer::view() const {
  View view;
  if (samples() == 0) return view;
  MutexLock lock(mutex_);
  view.commits = commits_.load(std::memory_order_relaxed);
  view.generations.assign(frozen_.begin(), frozen_.end());
  if (growing_->samples > 0) view.generations.push_back(growing_);
  return view;
}

bool LateBuffer::overlaps(const View& view, Slot slot, TimestampMs from_ms, TimestampMs to_ms) const {
  MutexLock lock(mutex_);
  return std::any_of(view.generations.begin(), view.generations.end(), [&](const auto& generation) {
    const auto found = generation->series.find(slot);
    return found != generation->series.end() && found->second.min_ms <= to_ms && found->second.max_ms >= from_ms &&
           found->second.first_commit <= view.commits;
  });
}

void LateBuffer::read(const View& view, Slot slot, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  struct Found {
    LateSample sample;
    model::HistogramPtr histogram;
  };
  std::vector<Found> found;
  bool any_histogram = false;
  {
    MutexLock lock(mutex_);
    for (const auto& generation : view.generations) {
      const auto series = generation->series.find(slot);
      if (series == generation->series.end()) continue;
      series->second.each(from_ms, to_ms, [&](const LateSample& sample) {
        if (sample.commit > view.commits) return;
        found.push_back({sample, nullptr});
        if (sample.is_histogram == 0) return;
        found.back().histogram = generation->histograms[std::bit_cast<std::uint64_t>(sample.value)];
        any_histogram = true;
      });
    }
  }
  const auto before_other = [](const Found& a, const Found& b) { return earlier(a.sample, b.sample); };
  if (!std::is_sorted(found.begin(), found.end(), before_other)) std::sort(found.begin(), found.end(), before_other);
  const std::size_t before = out.size();
  const bool histograms = any_histogram || !out.histograms.empty();
  if (histograms) out.histograms.resize(before);
  for (Found& one : found) {
    if (out.size() > before && out.times.back() == one.sample.time_ms) continue;
    out.times.push_back(one.sample.time_ms);
    out.values.push_back(one.histogram == nullptr ? one.sample.value : std::numeric_limits<double>::quiet_NaN());
    if (histograms) out.histograms.push_back(std::move(one.histogram));
  }
}

void LateBuffer::freeze() {
  MutexLock lock(mutex_);
  if (growing_->samples == 0) return;
  frozen_.push_back(std::exchange(growing_, std::make_shared<Generation>()));
}

LateBuffer::View LateBuffer::frozen() const {
  MutexLock lock(mutex_);
  View view;
  view.commits = commits_.load(std::memory_order_relaxed);
  view.generations.assign(frozen_.begin(), frozen_.end());
  return view;
}

std::vector<Slot> LateBuffer::slots(const View& view) const {
  MutexLock lock(mutex_);
  std::vector<Slot> slots;
  for (const auto& generation : view.generations) {
    for (const auto& [slot, series] : generation->series) slots.push_back(slot);
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

void LateBuffer::drop_frozen() {
  MutexLock lock(mutex_);
  for (const auto& generation : frozen_) {
    samples_.fetch_sub(generation->samples, std::memory_order_relaxed);
    weight_.fetch_sub(generation->weight(), std::memory_order_relaxed);
  }
  frozen_.clear();
  // What is frozen came before now; a little more counts as dropped than was, which costs a batch another try.
  dropped_ = commits_.load(std::memory_order_relaxed);
}

}  // namespace qd::store::metrics
