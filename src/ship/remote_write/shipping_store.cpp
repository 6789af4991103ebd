#include "ship/remote_write/shipping_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "model/remote_write/write_request.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/queue_writer.h"
#include "ship/remote_write/recording_batch.h"

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
  explicit Generation(std::vector<std::shared_ptr<Outlet>> to) : outlets(std::move(to)) {}

  // Targets tell the same exemplar in every scrape until there is a newer one.
  bool is_news(SeriesRef ref, std::size_t hash) {
    MutexLock lock(mutex);
    const auto it = exemplars.find(ref);
    return it == exemplars.end() || it->second != hash;
  }
  void sent(SeriesRef ref, std::size_t hash) {
    MutexLock lock(mutex);
    exemplars[ref] = hash;
  }
  void forget_unused() {
    memory.forget_unused();
    MutexLock lock(mutex);
    std::erase_if(exemplars, [&](const auto& entry) { return !memory.knows(entry.first); });
  }

  const std::vector<std::shared_ptr<Outlet>> outlets;
  LabelMemory<Encoded> memory;
  base::Mutex mutex;
  std::unordered_map<SeriesRef, std::size_t> exemplars QD_GUARDED_BY(mutex);  // a hash of the newest that was sent
};

class ShippingStore::Batch final : public RecordingBatch<Encoded> {
 public:
  Batch(ShippingStore& owner, std::shared_ptr<Generation> generation, std::unique_ptr<Appender> inner)
      : RecordingBatch(generation->memory, std::move(inner)), owner_(owner), generation_(std::move(generation)) {}

  AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) override {
    const AppendOutcome outcome = inner().exemplar(ref, exemplar);
    if (outcome != AppendOutcome::kOk) return outcome;
    const std::size_t hash = hash_of(exemplar);
    if (!generation_->is_news(ref, hash)) return outcome;
    const model::Sample sample{exemplar.time_ms, exemplar.value};
    auto field = std::make_shared<const std::string>(wire::exemplar_field(exemplar.labels, sample));
    if (auto labels = memory().labels_of(ref)) {
      note({std::move(labels), sample, std::move(field), ItemKind::kExemplar});
      exemplars_.emplace_back(ref, hash);
    }
    return outcome;
  }

  base::Status commit() override {
    const std::vector<Taken> taken = take();
    const auto exemplars = std::exchange(exemplars_, {});
    if (taken.empty()) return inner().commit();
    std::vector<Sent> sent;
    sent.reserve(generation_->outlets.size());
    for (std::size_t i = 0; i < generation_->outlets.size(); ++i) sent.push_back(queue(taken, i));
    base::Status stored = inner().commit();
    for (std::size_t i = 0; i < sent.size(); ++i)
      generation_->outlets[i]->settle(sent[i].put, sent[i].amounts, stored.has_value());
    if (!stored) return stored;
    for (const auto& [ref, hash] : exemplars) generation_->sent(ref, hash);
    count_stored(taken, sent);
    return {};
  }

 private:
  // To one outlet.
  struct Sent {
    QueueWriter::Put put;
    Amounts amounts;
    Amounts dropped;
  };

  Encoded make_labels(const LabelSet& labels) const override {
    Encoded encoded;
    encoded.reserve(generation_->outlets.size());
    for (const auto& outlet : generation_->outlets) encoded.push_back(outlet->labels_of(labels));
    return encoded;
  }

  static std::size_t hash_of(const model::Exemplar& exemplar) {
    std::size_t hash = std::hash<std::string_view>()(exemplar.labels.bytes());
    hash = hash * 31 + std::hash<double>()(exemplar.value);
    if (exemplar.has_time) hash = hash * 31 + std::hash<model::TimestampMs>()(exemplar.time_ms);
    return hash;
  }

  static void count(Amounts& amounts, ItemKind kind) {
    ++(kind == ItemKind::kSample     ? amounts.samples
       : kind == ItemKind::kExemplar ? amounts.exemplars
                                     : amounts.histograms);
  }

  Sent queue(const std::vector<Taken>& taken, std::size_t i) {
    Sent sent;
    std::vector<LabelledSample> samples;
    Outlet& outlet = *generation_->outlets[i];
    const auto to = outlet.destination();
    for (const Taken& one : taken) {
      if (one.kind == ItemKind::kExemplar && !to->send_exemplars) continue;
      if (one.kind == ItemKind::kHistogram && !to->send_native_histograms) continue;
      const auto& labels = (*one.labels)[i];
      count(labels ? sent.amounts : sent.dropped, one.kind);
      if (labels) samples.push_back({labels, one.sample, one.field});
    }
    sent.put = outlet.queue(samples);
    return sent;
  }

  void count_stored(const std::vector<Taken>& taken, const std::vector<Sent>& sent) {
    Amounts in;
    for (const Taken& one : taken) count(in, one.kind);
    owner_.in_.add(in);
    const auto newest = std::ranges::max(taken, {}, [](const Taken& one) { return one.sample.time_ms; });
    const double newest_s = static_cast<double>(newest.sample.time_ms) / 1e3;
    if (newest_s > owner_.highest_s_.value()) owner_.highest_s_.set(newest_s);
    for (std::size_t i = 0; i < sent.size(); ++i) generation_->outlets[i]->dropped(sent[i].dropped);
  }

  ShippingStore& owner_;
  const std::shared_ptr<Generation> generation_;
  std::vector<std::pair<SeriesRef, std::size_t>> exemplars_;  // of this batch, with their hashes
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
