#include "store/metrics/exemplars.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace qd::store::metrics {

using base::MutexLock;
using model::Exemplar;
using model::TimestampMs;

std::size_t characters(const model::LabelSet& labels) {
  constexpr unsigned kContinuationMask = 0xc0;
  constexpr unsigned kContinuation = 0x80;
  const auto count = [](std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & kContinuationMask) != kContinuation; }));
  };
  std::size_t sum = 0;
  for (const model::Label& label : labels) sum += count(label.name) + count(label.value);
  return sum;
}

namespace {

bool same_event(const Exemplar& a, const Exemplar& b) {
  return std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value) && a.labels == b.labels;
}

}  // namespace

bool same_exemplar(const Exemplar& a, const Exemplar& b) {
  return a.time_ms == b.time_ms && same_event(a, b);
}

void put_in_order(std::vector<Exemplar>& exemplars) {
  std::ranges::stable_sort(exemplars, {}, &Exemplar::time_ms);
  const auto same = std::ranges::unique(exemplars, same_exemplar);
  exemplars.erase(same.begin(), same.end());
}

void ExemplarRing::set_limit(std::size_t limit) {
  MutexLock lock(mutex_);
  limit_ = limit;
  while (ring_.size() > limit_) drop_front();
}

bool ExemplarRing::enabled() const {
  MutexLock lock(mutex_);
  return limit_ > 0;
}

std::size_t ExemplarRing::size() const {
  MutexLock lock(mutex_);
  return ring_.size();
}

AppendOutcome ExemplarRing::judge(SeriesRef ref, const Exemplar& exemplar, bool& repeated) const {
  if (characters(exemplar.labels) > model::kExemplarLabelCharactersMax) return AppendOutcome::kInvalid;
  MutexLock lock(mutex_);
  return judge_locked(ref, exemplar, repeated);
}

AppendOutcome ExemplarRing::judge_locked(SeriesRef ref, const Exemplar& exemplar, bool& repeated) const {
  repeated = limit_ == 0;
  const auto found = newest_.find(ref);
  if (repeated || found == newest_.end()) return AppendOutcome::kOk;
  const Exemplar& newest = ring_[found->second - first_].exemplar;
  repeated = exemplar.has_time ? same_exemplar(newest, exemplar) : same_event(newest, exemplar);
  if (repeated || exemplar.time_ms > newest.time_ms) return AppendOutcome::kOk;
  return AppendOutcome::kOutOfOrder;
}

std::optional<std::size_t> ExemplarRing::add(SeriesRef ref, const Exemplar& exemplar) {
  MutexLock lock(mutex_);
  bool repeated = false;
  if (judge_locked(ref, exemplar, repeated) != AppendOutcome::kOk || repeated) return std::nullopt;
  std::size_t dropped = 0;
  for (; ring_.size() >= limit_; ++dropped) drop_front();
  ring_.push_back({ref, exemplar});
  newest_[ref] = first_ + ring_.size() - 1;
  return dropped;
}

void ExemplarRing::drop_front() {
  const auto found = newest_.find(ring_.front().ref);
  if (found != newest_.end() && found->second == first_) newest_.erase(found);
  ring_.pop_front();
  ++first_;
}

ExemplarRing::BySeries ExemplarRing::select(TimestampMs from_ms, TimestampMs to_ms) const {
  BySeries found;
  MutexLock lock(mutex_);
  for (const auto& [ref, exemplar] : ring_) {
    if (exemplar.time_ms >= from_ms && exemplar.time_ms <= to_ms) found[ref].push_back(exemplar);
  }
  return found;
}

void ExemplarRing::remove(const BySeries& sealed) {
  MutexLock lock(mutex_);
  // The times of a series rise as they come.
  std::erase_if(ring_, [&](const RefExemplar& held) {
    const auto its = sealed.find(held.ref);
    return its != sealed.end() && held.exemplar.time_ms <= its->second.back().time_ms;
  });
  newest_.clear();
  for (std::size_t i = 0; i < ring_.size(); ++i) newest_[ring_[i].ref] = first_ + i;
}

std::vector<RefExemplar> ExemplarRing::all() const {
  MutexLock lock(mutex_);
  return {ring_.begin(), ring_.end()};
}

}  // namespace qd::store::metrics
