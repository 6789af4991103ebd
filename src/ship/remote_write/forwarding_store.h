// A store that also sends: what is committed to it is queued, then stored in the one behind it.
//
// Queued first: whatever the store behind it acknowledges is on its way, even if the process dies in between. A batch
// that it then refuses as a whole is sent all the same: the receiver may know more than this host, never less. When
// queueing fails, the outbox tells and counts, and storing goes on. A sample that is stored already is not queued
// again, so what comes round in a ring of forwarding hosts ends there.
//
// Thread-safe as every Appendable. The store behind it and the outbox outlive it; it outlives its appenders.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "model/labels.h"
#include "ship/remote_write/batch.h"
#include "store/metrics/appender.h"

namespace qd::ship::remote_write {

// What makes a series of this host one of many hosts'.
struct Origin {
  std::string host;                 // label `host`
  model::LabelSet external_labels;  // on series that have none of that name
};

enum class Source : std::uint8_t {
  kObserved,  // by this host: a label `host` of its own becomes `exported_host`
  kReceived,  // from another one: a label `host` stays
};

// The labels under which a series is sent.
model::LabelSet sent_labels(const model::LabelSet& labels, const Origin& origin, Source source);

class ForwardingStore final : public store::metrics::Appendable {
 public:
  // Takes the samples of one commit, from any thread.
  using Outbox = std::function<void(std::span<const LabelledSample>)>;

  ForwardingStore(store::metrics::Appendable& store, Outbox outbox, Origin origin, Source source);

  std::unique_ptr<store::metrics::Appender> appender() override;

  // Forgets the labels of series that had no sample since the call before: their next one asks for them again. Called
  // now and then, so that memory follows what is alive.
  void forget_unused();

 private:
  class Batch;
  struct Known {
    std::shared_ptr<const std::string> labels;
    bool used = true;
  };

  void remember(store::metrics::SeriesRef ref, const model::LabelSet& labels);
  std::shared_ptr<const std::string> labels_of(store::metrics::SeriesRef ref);
  void forget(store::metrics::SeriesRef ref);

  store::metrics::Appendable& store_;
  const Outbox outbox_;
  const Origin origin_;
  const Source source_;
  base::Mutex mutex_;
  std::unordered_map<store::metrics::SeriesRef, Known> known_ QD_GUARDED_BY(mutex_);  // no more than the store has
};

}  // namespace qd::ship::remote_write
