// What waits to be sent, on disk: requests in the order in which they came, in numbered files, and how far the receiver
// has taken them. It outlives the process at any instruction, and the loss of power as far as it was synced.
//
// append, hold, settle, acknowledge, sync and stats may be called from any threads at once; read from one thread at a
// time, and sync from one. Bounded by QueueOptions::bytes_max on disk: what comes when it is full is refused, what
// waits stays. Owns its directory from open to destruction. Bytes: docs/formats/forward-queue.md.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/result.h"
#include "model/sample.h"
#include "ship/remote_write/queue_record.h"

namespace qd::ship::remote_write {

// A place between two records.
struct Position {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const Position&) const = default;
};

struct QueueOptions {
  std::uint64_t bytes_max = 1ULL << 30;  // forward.queue_bytes
  bool sync_each = false;                // see set_sync_each
  // Whose queue it is: in messages, and in the names of its metrics.
  std::string setting = "forward.queue_bytes";
  std::string metrics = "quarterdeck_forward";
  base::CounterLabels metric_labels = {};
};

struct QueuedRequest {
  model::TimestampMs time_ms = 0;
  std::uint32_t samples = 0;
  std::string request;  // a WriteRequest as a Snappy block
  Position end;         // behind it
};

struct QueueStats {
  std::uint64_t bytes = 0;  // that wait
  std::uint64_t samples = 0;
  model::TimestampMs oldest_ms = 0;  // when the first that waits was queued; 0 when nothing waits
};

class Queue {
 public:
  // How much read gives at most; one request always.
  struct ReadLimits {
    std::size_t requests = 1000;
    std::size_t samples = 20'000;
    std::size_t bytes = 4 << 20;
  };

  // Opens or creates `dir`. A torn tail (the crash cut a record) is cut and logged. kInvalid, naming the versions, when
  // a newer program wrote it. Everything given outlives the queue.
  static base::Result<std::unique_ptr<Queue>> open(base::Files& files, std::filesystem::path dir,
                                                   const QueueOptions& options, base::Log& log,
                                                   base::Registry& registry);

  // Success: it will be read until it is acknowledged. kLimit, naming the setting, when the queue is full or the
  // request larger than kRequestBytesMax; kUnavailable and the like when it cannot be written. Nothing is kept of it
  // then.
  base::Status append(model::TimestampMs time_ms, std::uint32_t samples, std::string_view request);

  // As append, for what is not certain yet: neither this nor what comes behind it is read before it is settled. After a
  // crash in between it is read as if it had been kept.
  struct Held {
    Position begin;
    Position end;
    std::uint32_t samples = 0;
  };
  base::Result<Held> hold(model::TimestampMs time_ms, std::uint32_t samples, std::string_view request);
  // Keeps it, or takes it back: then it is not read, its room on disk is free again once nothing stands behind it, and
  // only a start that finds its bytes reads it still. REQUIRES: called once of each.
  void settle(const Held& held, bool keep);

  // Whether append returns only once the request is on the device.
  void set_sync_each(bool on) { sync_each_ = on; }

  // The first requests that are not acknowledged, in order; nothing when none waits. What is damaged is passed over,
  // logged and counted, and so is what the disk did not give a hundred times. Reads the disk.
  base::Result<std::vector<QueuedRequest>> read(const ReadLimits& limits);
  // Everything before `until` is done with, `samples` of them. sync writes that down: after a crash, what was
  // acknowledged since is read again.
  void acknowledge(Position until, std::uint64_t samples);
  // Writes how far it was acknowledged, and brings what was appended to the device.
  base::Status sync();

  // Of a moment ago; waits for nobody, whatever the disk does.
  QueueStats stats() const;

 private:
  Queue(base::Files& files, std::filesystem::path dir, const QueueOptions& options, base::Log& log,
        base::Registry& registry);
  base::Status load();
  base::Status load_file(std::uint64_t number, bool last);
  base::Result<Position> read_position();
  struct Gathered {
    std::vector<QueuedRequest> requests;
    std::size_t samples = 0;
    std::size_t bytes = 0;
    std::string buffer;
    bool enough(const ReadLimits& limits) const;
    void add(const RecordView& record, Position end);
  };
  // From begin to end, within one file; those that touch are one.
  using Ranges = std::map<Position, Position>;
  base::Result<bool> read_file(std::uint64_t number, std::uint64_t size, const Ranges& withdrawn, Position& at,
                               const ReadLimits& limits, Gathered& gathered);
  struct Part {
    std::size_t bytes = 0;
    std::optional<base::Error> error;  // of the disk, for what stands behind them
  };
  static Part read_part(base::File& file, std::uint64_t offset, std::span<std::byte> into);
  bool gives_up(std::uint64_t number, const base::Error& error);
  void pass_over(std::uint64_t number, std::uint64_t offset, std::uint64_t bytes);
  void remove(const std::vector<std::uint64_t>& numbers);
  std::filesystem::path path_of(std::uint64_t number) const;

  base::Result<Held> write(model::TimestampMs time_ms, std::uint32_t samples, std::string_view record)
      QD_REQUIRES(mutex_);
  void withdraw(Position begin, Position end) QD_REQUIRES(mutex_);
  base::Status start_file(std::uint64_t number) QD_REQUIRES(mutex_);
  base::Status repair() QD_REQUIRES(mutex_);
  base::Status make_room(std::size_t bytes) QD_REQUIRES(mutex_);
  bool drained() const QD_REQUIRES(mutex_);
  std::uint64_t disk_bytes() const QD_REQUIRES(mutex_);
  std::vector<std::uint64_t> take_finished() QD_REQUIRES(mutex_);
  void publish() QD_REQUIRES(mutex_);

  base::Files& files_;
  const std::filesystem::path dir_;
  const std::uint64_t bytes_max_;
  std::atomic<bool> sync_each_;
  const std::uint64_t file_bytes_;
  const std::string setting_;
  base::Log& log_;
  base::Counter& damaged_parts_;
  base::Counter& torn_tails_;

  mutable base::Mutex mutex_;
  std::map<std::uint64_t, std::uint64_t> sizes_ QD_GUARDED_BY(mutex_);  // of every file; the last is written
  std::unique_ptr<base::File> file_ QD_GUARDED_BY(mutex_);
  std::shared_ptr<base::File> for_sync_ QD_GUARDED_BY(mutex_);  // a File is one thread's at a time
  bool torn_ QD_GUARDED_BY(mutex_) = false;                     // the file is longer than sizes_ says
  Position acknowledged_ QD_GUARDED_BY(mutex_);
  std::uint64_t samples_ QD_GUARDED_BY(mutex_) = 0;
  model::TimestampMs oldest_ms_ QD_GUARDED_BY(mutex_) = 0;
  Position synced_ QD_GUARDED_BY(mutex_);
  std::uint64_t cuts_ QD_GUARDED_BY(mutex_) = 0;  // of the last file: an end may come a second time with other bytes
  Ranges held_ QD_GUARDED_BY(mutex_);             // no more than there are commits on their way
  Ranges withdrawn_ QD_GUARDED_BY(mutex_);        // behind acknowledged_, but for the end of the last file
  // What stats gives: written under the lock.
  std::atomic<std::uint64_t> shown_bytes_ = 0;
  std::atomic<std::uint64_t> shown_samples_ = 0;
  std::atomic<model::TimestampMs> shown_oldest_ms_ = 0;

  Position written_;  // of sync

  // Of read: the file of which the disk did not give what stands in front, how often in a row, and how much of it was
  // passed over.
  std::uint64_t troubled_ = 0;
  unsigned failed_reads_ = 0;
  std::uint64_t lost_sectors_ = 0;
};

}  // namespace qd::ship::remote_write
