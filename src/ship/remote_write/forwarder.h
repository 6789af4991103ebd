// Forwarding as a whole: the stores to write to, the queue, the sender, and what they tell about themselves.
//
//   observe ─► observed() ─┬─► queue on disk ─► sender ─► the receiver
//                          └─► the store of this host
//
// Thread-safe. Everything in Surroundings outlives it, and it outlives those who hold observed() and received().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/scheduler.h"
#include "ship/remote_write/forwarding_store.h"
#include "ship/remote_write/queue.h"
#include "ship/remote_write/queue_writer.h"
#include "ship/remote_write/sender.h"
#include "store/metrics/appender.h"

namespace qd::ship::remote_write {

class Forwarder {
 public:
  struct Surroundings {
    base::Scheduler& scheduler;
    Sender::Submit submit;
    Sender::Post post;
    base::Files& files;
    store::metrics::Appendable& store;
    std::function<Sender::Families()> families;  // of that store
    base::Log& log;
    base::Registry& registry;
  };

  // Opens the queue in `dir`. `seed` is that of the sender's jitter.
  static base::Result<std::unique_ptr<Forwarder>> open(Surroundings surroundings, const std::filesystem::path& dir,
                                                       const QueueOptions& options, const Origin& origin,
                                                       std::uint64_t seed);

  // For what this host observes, and for what others send to it.
  store::metrics::Appendable& observed() { return observed_; }
  store::metrics::Appendable& received() { return received_; }

  void start() { sender_.start(); }
  void set_sync_each(bool on) { queue_->set_sync_each(on); }
  // About every second: brings the queue to the device.
  void maintain();
  // As Sender::stop; what is left is sent after the next start. observed() and received() go on queueing.
  void stop(std::int64_t grace_ms);

 private:
  Forwarder(Surroundings surroundings, std::unique_ptr<Queue> queue, const Origin& origin, std::uint64_t seed);
  base::Status queue_and_store(std::span<const LabelledSample> samples, const std::function<base::Status()>& store);

  const base::Clock& clock_;
  base::Counter& shed_;
  base::Counter& unwritten_;
  const std::shared_ptr<Queue> queue_;  // shared with what /metrics reads
  QueueWriter writer_;
  Sender sender_;
  ForwardingStore observed_;
  ForwardingStore received_;
  base::Mutex maintain_mutex_;
  std::int64_t forgotten_ns_ QD_GUARDED_BY(maintain_mutex_);
};

}  // namespace qd::ship::remote_write
