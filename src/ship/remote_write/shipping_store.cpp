#include "ship/remote_write/shipping_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <span>
#include <utility>

#include "model/remote_write/write_request.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/bundle.h"

namespace qd::ship::remote_write {

namespace wire = model::remote_write;
using base::MutexLock;
using model::LabelSet;
using store::metrics::Appender;
using store::metrics::AppendOutcome;
using store::metrics::SeriesRef;

namespace {

// The labels of one series for each outlet; null where that one drops it.
using Encoded = std::vector<std::shared_ptr<const std::string>>;

KindCounters in_counters(base::Registry& registry) {
  const auto one = [&](std::string_view kind) -> base::Counter& {
    return registry.counter(fmt::format("prometheus_remote_storage_{}_in_total", kind),
                            fmt::format("Total number of {} that came in for remote storage.", kind));
  };
  return {.samples = one("samples"), .exemplars = one("exemplars"), .histograms = one("histograms")};
}

}  // namespace

struct ShippingStore::Generation {
  struct Known {
    std::shared_ptr<const Encoded> labels;
    bool used = true;
    std::size_t exemplar = 0;  // a hash of the newest that was sent
  };

  explicit Generation(std::vector<std::shared_ptr<Outlet>> to) : outlets(std::move(to)) {}

  void remember(SeriesRef ref, const LabelSet& labels) {
    {
      MutexLock lock(mutex);
      const auto it = known.find(ref);
      if (it != known.end()) {
        it->second.used = true;
        return;
      }
    }
    auto encoded = std::make_shared<Encoded>();
    encoded->reserve(outlets.size());
    for (const auto& outlet : outlets) encoded->push_back(outlet->labels_of(labels));
    MutexLock lock(mutex);
    known.try_emplace(ref, Known{std::move(encoded)});
  }
  std::shared_ptr<const Encoded> labels_of(SeriesRef ref) {
    MutexLock lock(mutex);
    const auto it = known.find(ref);
    if (it == known.end()) return nullptr;
    it->second.used = true;
    return it->second.labels;
  }
  // Targets tell the same exemplar in every scrape until there is a newer one.
  bool is_news(SeriesRef ref, const model::Exemplar& exemplar) {
    std::size_t hash = std::hash<std::string_view>()(exemplar.labels.bytes());
    hash = hash * 31 + std::hash<double>()(exemplar.value);
    if (exemplar.has_time) hash = hash * 31 + std::hash<model::TimestampMs>()(exemplar.time_ms);
    MutexLock lock(mutex);
    const auto it = known.find(ref);
    return it != known.end() && std::exchange(it->second.exemplar, hash) != hash;
  }
  void forget(SeriesRef ref) {
    MutexLock lock(mutex);
    known.erase(ref);
  }
  void forget_unused() {
    MutexLock lock(mutex);
    for (auto it = known.begin(); it != known.end();)
      it = std::exchange(it->second.used, false) ? std::next(it) : known.erase(it);
  }

  const std::vector<std::shared_ptr<Outlet>> outlets;
  base::Mutex mutex;
  std::unordered_map<SeriesRef, Known> known QD_GUARDED_BY(mutex);  // no more than the store has
};

class ShippingStore::Batch final : public Appender {
 public:
  Batch(ShippingStore& owner, std::shared_ptr<Generation> generation, std::unique_ptr<Appender> inner)
      : owner_(owner), generation_(std::move(generation)), inner_(std::move(inner)) {}

  base::Result<SeriesRef> series(const LabelSet& labels) override {
    QD_ASSIGN(const SeriesRef ref, inner_->series(labels));
    generation_->remember(ref, labels);
    return ref;
  }

  void take_late() override { inner_->take_late(); }
  bool takes_starts() const override { return inner_->takes_starts(); }
  bool is_newest(SeriesRef ref, model::TimestampMs time_ms) override { return inner_->is_newest(ref, time_ms); }

  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, double value) override {
    auto labels = generation_->labels_of(ref);
    if (!labels) return AppendOutcome::kUnknownSeries;
    const std::size_t before = inner_->pending();
    const AppendOutcome outcome = inner_->append(ref, time_ms, value);
    if (outcome == AppendOutcome::kUnknownSeries) generation_->forget(ref);
    if (inner_->pending() > before) taken_.push_back({std::move(labels), {time_ms, value}});
    return outcome;
  }

  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, const model::Histogram& histogram) override {
    auto labels = generation_->labels_of(ref);
    if (!labels) return AppendOutcome::kUnknownSeries;
    const std::size_t before = inner_->pending();
    const AppendOutcome outcome = inner_->append(ref, time_ms, histogram);
    if (outcome == AppendOutcome::kUnknownSeries) generation_->forget(ref);
    if (inner_->pending() > before) {
      auto field = std::make_shared<const std::string>(wire::histogram_field(time_ms, histogram));
      taken_.push_back({std::move(labels), {time_ms, 0}, std::move(field), ItemKind::kHistogram});
    }
    return outcome;
  }

  AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) override {
    const AppendOutcome outcome = inner_->exemplar(ref, exemplar);
    if (outcome != AppendOutcome::kOk || !generation_->is_news(ref, exemplar)) return outcome;
    const model::Sample sample{exemplar.time_ms, exemplar.value};
    auto field = std::make_shared<const std::string>(wire::exemplar_field(exemplar.labels, sample));
    if (auto labels = generation_->labels_of(ref))
      taken_.push_back({std::move(labels), sample, std::move(field), ItemKind::kExemplar});
    return outcome;
  }

  void metadata(std::string_view family, const model::Metadata& metadata) override {
    inner_->metadata(family, metadata);
  }

  base::Status commit() override {
    if (!taken_.empty()) queue();
    taken_.clear();
    return inner_->commit();
  }

  std::size_t pending() const override { return inner_->pending(); }

 private:
  struct Taken {
    std::shared_ptr<const Encoded> labels;
    model::Sample sample;
    std::shared_ptr<const std::string> field = {};  // of what is no sample
    ItemKind kind = ItemKind::kSample;
  };

  static void count(Amounts& amounts, ItemKind kind) {
    ++(kind == ItemKind::kSample     ? amounts.samples
       : kind == ItemKind::kExemplar ? amounts.exemplars
                                     : amounts.histograms);
  }

  void queue() {
    Amounts in;
    for (const Taken& one : taken_) count(in, one.kind);
    owner_.in_.add(in);
    const auto newest = std::ranges::max(taken_, {}, [](const Taken& one) { return one.sample.time_ms; });
    const double newest_s = static_cast<double>(newest.sample.time_ms) / 1e3;
    if (newest_s > owner_.highest_s_.value()) owner_.highest_s_.set(newest_s);
    std::vector<LabelledSample> samples;
    for (std::size_t i = 0; i < generation_->outlets.size(); ++i) {
      samples.clear();
      Outlet& outlet = *generation_->outlets[i];
      const auto to = outlet.destination();
      Amounts sent;
      Amounts dropped;
      for (const Taken& one : taken_) {
        if (one.kind == ItemKind::kExemplar && !to->send_exemplars) continue;
        if (one.kind == ItemKind::kHistogram && !to->send_native_histograms) continue;
        const auto& labels = (*one.labels)[i];
        count(labels ? sent : dropped, one.kind);
        if (labels) samples.push_back({labels, one.sample, one.field});
      }
      if (dropped.all() > 0) outlet.dropped(dropped);
      if (!samples.empty()) outlet.queue(samples, sent);
    }
  }

  ShippingStore& owner_;
  const std::shared_ptr<Generation> generation_;
  const std::unique_ptr<Appender> inner_;
  std::vector<Taken> taken_;
};

ShippingStore::ShippingStore(store::metrics::Appendable& store, base::Registry& registry)
    : store_(store),
      in_(in_counters(registry)),
      highest_s_(registry.gauge("prometheus_remote_storage_highest_timestamp_in_seconds",
                                "Highest timestamp that has come into the remote storage, in seconds since the "
                                "epoch.")) {}

std::unique_ptr<Appender> ShippingStore::appender() {
  std::shared_ptr<Generation> generation;
  {
    MutexLock lock(mutex_);
    generation = generation_;
  }
  if (!generation) return store_.appender();
  return std::make_unique<Batch>(*this, std::move(generation), store_.appender());
}

void ShippingStore::send_to(std::vector<std::shared_ptr<Outlet>> outlets) {
  auto next = outlets.empty() ? nullptr : std::make_shared<Generation>(std::move(outlets));
  MutexLock lock(mutex_);
  generation_ = std::move(next);
}

void ShippingStore::forget_unused() {
  std::shared_ptr<Generation> generation;
  {
    MutexLock lock(mutex_);
    generation = generation_;
  }
  if (generation) generation->forget_unused();
}

}  // namespace qd::ship::remote_write
