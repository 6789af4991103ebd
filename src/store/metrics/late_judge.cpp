#include "store/metrics/late_judge.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "store/metrics/bits.h"
#include "store/metrics/histogram_bytes.h"

namespace qd::store::metrics {

namespace {

// What is read ahead of a sample: nothing for the first of its series, which may be the only one, then more and more.
constexpr std::int64_t kFirstSpanMs = 10 * 60 * 1000;
constexpr std::int64_t kSpanMaxMs = 24 * 60 * 60 * 1000;

// What its sender knows of a reset is about the one before it there, and here it may come between two others.
model::HistogramPtr of_any_order(model::Histogram histogram) {
  if (histogram.reset != model::CounterReset::kGauge) histogram.reset = model::CounterReset::kUnknown;
  return std::make_shared<const model::Histogram>(std::move(histogram));
}

}  // namespace

std::size_t LateJudge::KeyHash::operator()(const Key& key) const {
  // splitmix64 over both.
  std::uint64_t x = key.ref * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(key.time_ms);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void LateJudge::index(const SampleBatch& in_order) {
  if (indexed_) return;
  indexed_ = true;
  const auto add = [&](const SampleBatch& batch) {
    for (std::size_t i = 0; i < batch.size(); ++i)
      by_time_.emplace(Key{batch.refs[i], batch.times[i]}, batch.values[i]);
  };
  add(late_);
  add(in_order);
}

std::optional<double> LateJudge::find_stored(SeriesRef ref, TimestampMs time_ms, bool& readable) {
  if (ref != read_ref_ || time_ms < read_from_ms_ || time_ms > read_to_ms_) {
    read_span_ms_ = ref != read_ref_ ? 0 : std::clamp(read_span_ms_ * 4, kFirstSpanMs, kSpanMaxMs);
    read_ref_ = ref;
    read_from_ms_ = time_ms;
    read_to_ms_ = time_ms + read_span_ms_;
    if (!stored_(ref, read_from_ms_, read_to_ms_, read_)) {
      // A damaged block beside it must not cost a sample that stands elsewhere: as little as possible is read.
      read_span_ms_ = 0;
      read_to_ms_ = time_ms;
      if (!stored_(ref, time_ms, time_ms, read_)) {
        readable = false;
        read_ref_ = 0;
        return std::nullopt;
      }
    }
  }
  const auto at = std::lower_bound(read_.times.begin(), read_.times.end(), time_ms);
  if (at == read_.times.end() || *at != time_ms) return std::nullopt;
  const auto i = static_cast<std::size_t>(at - read_.times.begin());
  if (!read_.histograms.empty() && read_.histograms[i] != nullptr) return histogram_mark(*read_.histograms[i]);
  return read_.values[i];
}

AppendOutcome LateJudge::append(SeriesRef ref, TimestampMs time_ms, double value, const model::Histogram* histogram,
                                const SampleBatch& in_order, bool among_in_order, bool& repeated) {
  repeated = false;
  const auto compare = [&](double there) {
    repeated = same_bits(there, value);
    return repeated ? AppendOutcome::kOk : AppendOutcome::kDuplicate;
  };
  const auto newest = newest_.try_emplace(ref, model::kMinTimestampMs).first;
  if (among_in_order || time_ms <= newest->second) {
    index(in_order);
    if (const auto found = by_time_.find({ref, time_ms}); found != by_time_.end()) return compare(found->second);
  }
  bool readable = true;
  if (const auto there = find_stored(ref, time_ms, readable)) return compare(*there);
  if (!readable) return AppendOutcome::kTooOld;
  newest->second = std::max(newest->second, time_ms);
  late_.refs.push_back(ref);
  late_.times.push_back(time_ms);
  late_.values.push_back(value);
  if (histogram != nullptr || !late_.histograms.empty()) late_.histograms.resize(late_.size());
  if (histogram != nullptr) late_.histograms.back() = of_any_order(*histogram);
  if (indexed_) by_time_.emplace(Key{ref, time_ms}, value);
  return AppendOutcome::kOk;
}

void LateJudge::clear() {
  late_.clear();
  newest_.clear();
  by_time_.clear();
  indexed_ = false;
  read_ref_ = 0;
  read_.clear();
}

}  // namespace qd::store::metrics
