// A store that also sends: what is committed to it is queued, then stored in the one behind it.
//
// Queued first, and sent once the store behind it has taken it (queue_writer.h): what it acknowledges is on its way,
// even if the process dies in between, and what it refuses as a whole is not sent, so that a batch that is tried again
// goes out once. When queueing fails, the outbox tells and counts, and storing goes on. A sample that is stored already
// is not queued again, so what comes round in a ring of forwarding hosts ends there.
//
// Thread-safe as every Appendable. The store behind it and the outbox outlive it; it outlives its appenders.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "model/labels.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/recording_batch.h"
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
  // Queues the samples of one commit, has `store` commit them, gives what that gave, and sends them where that is good.
  // From any thread.
  using Outbox =
      std::function<base::Status(std::span<const LabelledSample>, const std::function<base::Status()>& store)>;

  ForwardingStore(store::metrics::Appendable& store, Outbox outbox, Origin origin, Source source);

  std::unique_ptr<store::metrics::Appender> appender() override;

  // Forgets the labels of series that had no sample since the call before: their next one asks for them again. Called
  // now and then, so that memory follows what is alive.
  void forget_unused() { memory_.forget_unused(); }

 private:
  class Batch;

  store::metrics::Appendable& store_;
  const Outbox outbox_;
  const Origin origin_;
  const Source source_;
  LabelMemory<std::string> memory_;
};

}  // namespace qd::ship::remote_write
