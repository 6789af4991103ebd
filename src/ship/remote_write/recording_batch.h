// A batch that notes what the store behind it takes, with the labels under which it is to be sent.
//
// For the stores of this room: `Labels` is what they keep for each series. A LabelMemory is thread-safe; a batch
// belongs to one thread at a time, as every Appender.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "model/remote_write/write_request.h"
#include "ship/remote_write/bundle.h"
#include "store/metrics/appender.h"

namespace qd::ship::remote_write {

// The labels of series, once made, while they have samples.
template <typename Labels>
class LabelMemory {
 public:
  using SeriesRef = store::metrics::SeriesRef;

  // `make` gives them, where they are not known.
  void remember(SeriesRef ref, const auto& make) {
    {
      base::MutexLock lock(mutex_);
      const auto it = known_.find(ref);
      if (it != known_.end()) {
        it->second.used = true;
        return;
      }
    }
    auto labels = std::make_shared<const Labels>(make());
    base::MutexLock lock(mutex_);
    known_.try_emplace(ref, Known{std::move(labels)});
  }
  std::shared_ptr<const Labels> labels_of(SeriesRef ref) {
    base::MutexLock lock(mutex_);
    const auto it = known_.find(ref);
    if (it == known_.end()) return nullptr;
    it->second.used = true;
    return it->second.labels;
  }
  bool knows(SeriesRef ref) {
    base::MutexLock lock(mutex_);
    return known_.contains(ref);
  }
  void forget(SeriesRef ref) {
    base::MutexLock lock(mutex_);
    known_.erase(ref);
  }
  // Those of series that had no sample since the call before: their next one asks for them again.
  void forget_unused() {
    base::MutexLock lock(mutex_);
    for (auto it = known_.begin(); it != known_.end();)
      it = std::exchange(it->second.used, false) ? std::next(it) : known_.erase(it);
  }

 private:
  struct Known {
    std::shared_ptr<const Labels> labels;
    bool used = true;
  };
  base::Mutex mutex_;
  std::unordered_map<SeriesRef, Known> known_ QD_GUARDED_BY(mutex_);  // no more than the store has
};

template <typename Labels>
class RecordingBatch : public store::metrics::Appender {
 public:
  using SeriesRef = store::metrics::SeriesRef;
  using AppendOutcome = store::metrics::AppendOutcome;

  base::Result<SeriesRef> series(const model::LabelSet& labels) override {
    QD_ASSIGN(const SeriesRef ref, inner_->series(labels));
    memory_.remember(ref, [&] { return make_labels(labels); });
    return ref;
  }

  void take_late() override { inner_->take_late(); }
  bool takes_starts() const override { return inner_->takes_starts(); }
  bool is_newest(SeriesRef ref, model::TimestampMs time_ms) override { return inner_->is_newest(ref, time_ms); }

  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, double value) override {
    return append(ref, time_ms, value, [&](auto labels) { taken_.push_back({std::move(labels), {time_ms, value}}); });
  }
  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, const model::Histogram& histogram) override {
    return append(ref, time_ms, histogram, [&](auto labels) {
      auto field = std::make_shared<const std::string>(model::remote_write::histogram_field(time_ms, histogram));
      taken_.push_back({std::move(labels), {time_ms, 0}, std::move(field), ItemKind::kHistogram});
    });
  }
  AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) override {
    return inner_->exemplar(ref, exemplar);
  }
  void metadata(std::string_view family, const model::Metadata& metadata) override {
    inner_->metadata(family, metadata);
  }
  std::size_t pending() const override { return inner_->pending(); }

 protected:
  struct Taken {
    std::shared_ptr<const Labels> labels;
    model::Sample sample;
    std::shared_ptr<const std::string> field = {};  // of what is no sample
    ItemKind kind = ItemKind::kSample;
  };

  // `memory` outlives the batch.
  RecordingBatch(LabelMemory<Labels>& memory, std::unique_ptr<store::metrics::Appender> inner)
      : memory_(memory), inner_(std::move(inner)) {}

  virtual Labels make_labels(const model::LabelSet& labels) const = 0;

  LabelMemory<Labels>& memory() { return memory_; }
  store::metrics::Appender& inner() { return *inner_; }
  // What was taken since the last call.
  std::vector<Taken> take() { return std::exchange(taken_, {}); }
  void note(Taken taken) { taken_.push_back(std::move(taken)); }

 private:
  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, const auto& value, const auto& when_taken) {
    auto labels = memory_.labels_of(ref);
    if (!labels) return AppendOutcome::kUnknownSeries;
    const std::size_t before = inner_->pending();
    const AppendOutcome outcome = inner_->append(ref, time_ms, value);
    if (outcome == AppendOutcome::kUnknownSeries) memory_.forget(ref);
    if (inner_->pending() > before) when_taken(std::move(labels));
    return outcome;
  }

  LabelMemory<Labels>& memory_;
  const std::unique_ptr<store::metrics::Appender> inner_;
  std::vector<Taken> taken_;
};

}  // namespace qd::ship::remote_write
