// A store that also sends: what is committed to it is queued for every destination, then stored in the one behind it,
// and sent once that has taken it (queue_writer.h).
//
// With no destination it is the store behind it. A batch goes to the destinations that there were when it was begun.
// Thread-safe as every Appendable. The store behind it outlives it; it outlives its appenders.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/mutex.h"
#include "model/labels.h"
#include "ship/remote_write/outlet.h"
#include "ship/remote_write/sender_counters.h"
#include "store/metrics/appender.h"

namespace qd::ship::remote_write {

class ShippingStore final : public store::metrics::Appendable {
 public:
  ShippingStore(store::metrics::Appendable& store, base::Registry& registry);

  std::unique_ptr<store::metrics::Appender> appender() override;

  // From the next batch on. Labels are made anew: what an outlet says of them may have changed too.
  void send_to(std::vector<std::shared_ptr<Outlet>> outlets);

  // Forgets the labels of series that had no sample since the call before: their next one asks for them again.
  void forget_unused();

 private:
  class Batch;
  // Of one set of outlets.
  struct Generation;

  store::metrics::Appendable& store_;
  const KindCounters in_;
  base::Gauge& highest_s_;
  base::Mutex mutex_;
  std::shared_ptr<Generation> generation_ QD_GUARDED_BY(mutex_);  // null without outlets
};

}  // namespace qd::ship::remote_write
