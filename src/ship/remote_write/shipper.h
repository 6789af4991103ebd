// Sending to several destinations as a whole: the store to write to, and what stands for each destination.
//
//   observe, judge, serve ─► store() ─┬─► a queue on disk for each destination ─► its sender
//                                     └─► the store of this host
//
// Queued first, then stored, as queue_writer.h says why. Thread-safe. Everything in Surroundings outlives it, and
// it outlives those who hold store().
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "model/labels.h"
#include "ship/remote_write/destination.h"
#include "ship/remote_write/outlet.h"
#include "ship/remote_write/shipping_store.h"
#include "store/metrics/appender.h"

namespace qd::ship::remote_write {

class Shipper {
 public:
  using Surroundings = Outlet::Surroundings;

  // Queues live in folders of `dir`, each with the name of its destination. `seed` is that of the senders' jitter.
  Shipper(Surroundings surroundings, store::metrics::Appendable& store, std::filesystem::path dir, std::uint64_t seed);
  ~Shipper();

  store::metrics::Appendable& store() { return store_; }

  // These are the destinations from now on. One that was there under the same name goes on where it was, with what is
  // set now (its queue_bytes need a start); others begin with what their queue has. A queue whose destination is gone
  // stays on disk and is told about. An error leaves all as it was.
  base::Status apply(std::vector<Destination> destinations, const model::LabelSet& external_labels, bool sync_each);

  void start();
  // About every second.
  void maintain();
  void stop(std::int64_t grace_ms);

 private:
  using Outlets = std::map<std::string, std::shared_ptr<Outlet>>;
  Outlets outlets() const;
  void tell_left_behind(const Outlets& outlets) const;

  const Surroundings surroundings_;
  const std::filesystem::path dir_;
  const std::uint64_t seed_;
  ShippingStore store_;
  mutable base::Mutex mutex_;
  Outlets outlets_ QD_GUARDED_BY(mutex_);
  bool started_ QD_GUARDED_BY(mutex_) = false;
  std::int64_t forgotten_ns_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::ship::remote_write
