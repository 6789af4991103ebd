// What brings the samples of commits into one queue: packs them, holds them until the store has spoken, and tells when
// the disk fails.
//
// Held first, then stored: what the store acknowledges is in the queue even if the process dies in between. What the
// store then refuses is taken back, so that a batch that is tried again is not sent twice.
//
// Thread-safe. Everything given outlives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/result.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/queue.h"

namespace qd::ship::remote_write {

class QueueWriter {
 public:
  // What the log says.
  struct Words {
    std::string destination;  // whose queue it is
    std::string not_queued;   // samples are stored and will never be sent
    std::string queued_again;
    std::string not_synced;
    std::string synced_again;
  };

  QueueWriter(Queue& queue, const base::Clock& clock, base::Log& log, Words words)
      : queue_(queue), clock_(clock), log_(log), words_(std::move(words)) {}

  // What became of the samples of one commit: the first `queued` of them are held, the others had no place.
  struct Put {
    std::vector<Queue::Held> held;
    std::size_t queued = 0;
    std::optional<base::Error> failed;
  };
  Put put(std::span<const LabelledSample> samples);
  // Once the store has taken the commit, or has not. REQUIRES: once for each put.
  void settle(const Put& put, bool stored);

  // Brings the queue to the device.
  void sync();

 private:
  Queue& queue_;
  const base::Clock& clock_;
  base::Log& log_;
  const Words words_;
  std::atomic<bool> queueing_fails_ = false;
  base::Mutex sync_mutex_;  // one sync at a time
  bool sync_fails_ QD_GUARDED_BY(sync_mutex_) = false;
};

}  // namespace qd::ship::remote_write
