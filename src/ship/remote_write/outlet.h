// One destination: what is queued for it on disk, and what sends it.
//
// Thread-safe. Everything in Surroundings outlives it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/scheduler.h"
#include "model/labels.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/destination.h"
#include "ship/remote_write/queue.h"
#include "ship/remote_write/queue_writer.h"
#include "ship/remote_write/sender_counters.h"
#include "ship/remote_write/sharded_sender.h"

namespace qd::ship::remote_write {

class Outlet {
 public:
  struct Surroundings {
    base::Scheduler& scheduler;
    ShardedSender::Submit submit;
    ShardedSender::PostTo post;
    base::Files& files;
    std::function<Families()> families;
    base::Log& log;
    base::Registry& registry;
  };

  // Opens the queue in `dir`. REQUIRES: a destination that complete() has seen.
  static base::Result<std::shared_ptr<Outlet>> open(const Surroundings& surroundings, const std::filesystem::path& dir,
                                                    Destination destination, model::LabelSet external_labels,
                                                    bool sync_each, std::uint64_t seed);

  // From the next request on. Name and queue_bytes stay.
  void update(Destination destination, model::LabelSet external_labels);
  std::shared_ptr<const Destination> destination() const;

  // The labels under which a series is sent, as encode_labels gives them: external labels where it has none of that
  // name, then relabelled. Null where it is not sent.
  std::shared_ptr<const std::string> labels_of(const model::LabelSet& labels) const;
  // Samples of series that labels_of dropped, for the count.
  void dropped(const Amounts& amounts) const { dropped_by_relabel_.add(amounts); }
  // Queues the samples of one commit; they are not sent yet.
  QueueWriter::Put queue(std::span<const LabelledSample> samples) { return writer_.put(samples); }
  // Once the store has taken that commit, or has not: sends them, and counts what had no place. `amounts` is how many
  // there were. REQUIRES: once for each queue().
  void settle(const QueueWriter::Put& put, const Amounts& amounts, bool stored);

  void start() { sender_.start(); }
  void set_sync_each(bool on) { queue_->set_sync_each(on); }
  // About every second: brings the queue to the device.
  void maintain() { writer_.sync(); }
  // As ShardedSender::stop; what is left is sent after the next start. queue() and settle() go on.
  void stop(std::int64_t grace_ms);
  void begin_stop() { sender_.begin_stop(); }
  QueueStats stats() const { return queue_->stats(); }

 private:
  struct Now {
    std::shared_ptr<const Destination> destination;
    model::LabelSet external_labels;
  };
  Outlet(const Surroundings& surroundings, std::shared_ptr<Queue> queue, Now now, std::uint64_t seed,
         const base::CounterLabels& labels);
  Now now() const;

  const KindCounters dropped_by_relabel_;
  const KindCounters shed_;
  const KindCounters unwritten_;
  mutable base::Mutex mutex_;
  Now now_ QD_GUARDED_BY(mutex_);
  const std::shared_ptr<Queue> queue_;  // shared with what /metrics reads
  QueueWriter writer_;
  ShardedSender sender_;
};

}  // namespace qd::ship::remote_write
