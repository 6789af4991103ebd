// What samples do besides going into the store: on to another Quarterdeck (forward.url) and to other stores
// (ship.remote_write). Blocks to an object store: block_uploads.h.
//
// Thread-safe once started, but for stop().
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "cli/settings.h"
#include "connect/event_loop.h"
#include "connect/http/client.h"
#include "connect/http/http_config.h"
#include "ship/remote_write/forwarder.h"
#include "ship/remote_write/shipper.h"
#include "store/metrics/store.h"

namespace qd::cli {

class Shipping {
 public:
  // All of it outlives the room and what the loop still holds of it.
  struct Surroundings {
    connect::EventLoop& loop;
    base::ThreadPool& work_pool;  // packs what is sent, and brings queues onto the device
    connect::http::Client& client;
    connect::http::ConfiguredClient& outbound;
    base::Files& files;
    store::metrics::Store& store;
    base::Log& log;
    base::Registry& registry;
    std::function<std::shared_ptr<const Settings>()> current;
  };

  // Opens the queues in the data directory. Fails where a destination cannot be, or a queue cannot be read.
  static base::Result<std::unique_ptr<Shipping>> open(const Surroundings& surroundings, const Settings& settings);
  ~Shipping();
  Shipping(const Shipping&) = delete;
  Shipping& operator=(const Shipping&) = delete;

  // Where to put what this process observes itself, what others send in, and what rules find.
  store::metrics::Appendable& observed() { return forwarder_ ? forwarder_->observed() : shipper_->store(); }
  store::metrics::Appendable& received() { return forwarder_ ? forwarder_->received() : shipper_->store(); }
  store::metrics::Appendable& recorded() { return shipper_->store(); }

  void start();
  // Of a reload: destinations, and how soon queues are on the device.
  void apply(const Settings& next);
  // Every second. Works on the work pool, and leaves out turns while it still does.
  void maintain();
  // Gives what waits a little time to be sent. A second call does nothing.
  void stop();

 private:
  explicit Shipping(const Surroundings& surroundings) : around_(surroundings) {}
  base::Status open_shipper(const Settings& settings);
  base::Status open_forwarder(const Settings& settings);

  const Surroundings around_;
  std::unique_ptr<ship::remote_write::Shipper> shipper_;
  std::unique_ptr<ship::remote_write::Forwarder> forwarder_;  // null where nothing is forwarded
  std::atomic<bool> maintaining_ = false;
  bool stopped_ = false;
};

}  // namespace qd::cli
