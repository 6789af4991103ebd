#include "ship/remote_write/forwarding_store.h"

#include <utility>
#include <vector>

#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {

using model::LabelSet;
using store::metrics::Appender;

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

class ForwardingStore::Batch final : public RecordingBatch<std::string> {
 public:
  Batch(ForwardingStore& owner, std::unique_ptr<Appender> inner)
      : RecordingBatch(owner.memory_, std::move(inner)), owner_(owner) {}

  base::Status commit() override {
    std::vector<LabelledSample> samples;
    for (Taken& one : take()) samples.push_back({std::move(one.labels), one.sample, std::move(one.field)});
    if (samples.empty()) return inner().commit();
    return owner_.outbox_(samples, [this] { return inner().commit(); });
  }

 private:
  std::string make_labels(const LabelSet& labels) const override {
    return model::remote_write::encode_labels(sent_labels(labels, owner_.origin_, owner_.source_));
  }

  ForwardingStore& owner_;
};

ForwardingStore::ForwardingStore(store::metrics::Appendable& store, Outbox outbox, Origin origin, Source source)
    : store_(store), outbox_(std::move(outbox)), origin_(std::move(origin)), source_(source) {}

std::unique_ptr<Appender> ForwardingStore::appender() {
  return std::make_unique<Batch>(*this, store_.appender());
}

}  // namespace qd::ship::remote_write
