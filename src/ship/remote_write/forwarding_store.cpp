#include "ship/remote_write/forwarding_store.h"

#include <iterator>
#include <utility>
#include <vector>

#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {

using model::LabelSet;
using store::metrics::Appender;
using store::metrics::AppendOutcome;
using store::metrics::SeriesRef;

namespace {
constexpr std::string_view kHost = "host";
}  // namespace

LabelSet sent_labels(const LabelSet& labels, const Origin& origin, Source source) {
  model::LabelBuilder builder(labels);
  const std::string_view configured = origin.external_labels.get(kHost);
  const std::string_view host = configured.empty() ? std::string_view(origin.host) : configured;
  const std::string_view own = labels.get(kHost);
  if (source == Source::kObserved && !own.empty() && own != host) {
    std::string renamed = "exported_host";
    while (labels.has(renamed)) renamed.insert(0, "exported_");
    builder.set(renamed, own);
    builder.set(kHost, host);
  } else if (own.empty()) {
    builder.set(kHost, host);
  }
  for (const model::Label& label : origin.external_labels)
    if (builder.get(label.name).empty()) builder.set(label.name, label.value);
  return builder.build();
}

class ForwardingStore::Batch final : public Appender {
 public:
  Batch(ForwardingStore& owner, std::unique_ptr<Appender> inner) : owner_(owner), inner_(std::move(inner)) {}

  base::Result<SeriesRef> series(const LabelSet& labels) override {
    QD_ASSIGN(const SeriesRef ref, inner_->series(labels));
    owner_.remember(ref, labels);
    return ref;
  }

  void take_late() override { inner_->take_late(); }
  bool takes_starts() const override { return inner_->takes_starts(); }
  bool is_newest(SeriesRef ref, model::TimestampMs time_ms) override { return inner_->is_newest(ref, time_ms); }

  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, double value) override {
    auto labels = owner_.labels_of(ref);
    if (!labels) return AppendOutcome::kUnknownSeries;
    const std::size_t before = inner_->pending();
    const AppendOutcome outcome = inner_->append(ref, time_ms, value);
    if (outcome == AppendOutcome::kUnknownSeries) owner_.forget(ref);
    if (inner_->pending() > before) samples_.push_back({std::move(labels), {time_ms, value}});
    return outcome;
  }

  AppendOutcome append(SeriesRef ref, model::TimestampMs time_ms, const model::Histogram& histogram) override {
    auto labels = owner_.labels_of(ref);
    if (!labels) return AppendOutcome::kUnknownSeries;
    const std::size_t before = inner_->pending();
    const AppendOutcome outcome = inner_->append(ref, time_ms, histogram);
    if (outcome == AppendOutcome::kUnknownSeries) owner_.forget(ref);
    if (inner_->pending() > before) {
      auto field = std::make_shared<const std::string>(model::remote_write::histogram_field(time_ms, histogram));
      samples_.push_back({std::move(labels), {time_ms, 0}, std::move(field)});
    }
    return outcome;
  }
  // They are kept here and not sent.
  AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) override {
    return inner_->exemplar(ref, exemplar);
  }

  void metadata(std::string_view family, const model::Metadata& metadata) override {
    inner_->metadata(family, metadata);
  }

  base::Status commit() override {
    if (!samples_.empty()) owner_.outbox_(samples_);
    samples_.clear();
    return inner_->commit();
  }

  std::size_t pending() const override { return inner_->pending(); }

 private:
  ForwardingStore& owner_;
  const std::unique_ptr<Appender> inner_;
  std::vector<LabelledSample> samples_;
};

ForwardingStore::ForwardingStore(store::metrics::Appendable& store, Outbox outbox, Origin origin, Source source)
    : store_(store), outbox_(std::move(outbox)), origin_(std::move(origin)), source_(source) {}

std::unique_ptr<Appender> ForwardingStore::appender() {
  return std::make_unique<Batch>(*this, store_.appender());
}

void ForwardingStore::remember(SeriesRef ref, const LabelSet& labels) {
  {
    base::MutexLock lock(mutex_);
    const auto it = known_.find(ref);
    if (it != known_.end()) {
      it->second.used = true;
      return;
    }
  }
  auto encoded =
      std::make_shared<const std::string>(model::remote_write::encode_labels(sent_labels(labels, origin_, source_)));
  base::MutexLock lock(mutex_);
  known_.try_emplace(ref, Known{std::move(encoded)});
}

std::shared_ptr<const std::string> ForwardingStore::labels_of(SeriesRef ref) {
  base::MutexLock lock(mutex_);
  const auto it = known_.find(ref);
  if (it == known_.end()) return nullptr;
  it->second.used = true;
  return it->second.labels;
}

void ForwardingStore::forget(SeriesRef ref) {
  base::MutexLock lock(mutex_);
  known_.erase(ref);
}

void ForwardingStore::forget_unused() {
  base::MutexLock lock(mutex_);
  for (auto it = known_.begin(); it != known_.end();)
    it = std::exchange(it->second.used, false) ? std::next(it) : known_.erase(it);
}

}  // namespace qd::ship::remote_write
