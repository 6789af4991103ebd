// Sends what waits in a queue to one destination, several requests at a time where one is not enough.
//
// What is read from the queue is dealt out by series to shards; each sends its part in order, one request at a time,
// and the queue is acknowledged once all are through. So a series is in order, a crash sends some of it again, and the
// number of shards can change between two readings (shard_plan.h).
//
// - Taken (2xx): the next one goes. What a receiver says that it did not store is counted as failed; with 2.0, where it
//   must say what it stored, all of it when it says nothing.
// - Later (verdict_of): the same bytes again, later and later from min_backoff to max_backoff, with jitter. Retry-After
// in
//   seconds is honoured.
// - Refused (another 4xx) with a count of what is written: the others are counted as failed.
// - Refused without: receivers there are that refuse a request as a whole for one sample that they have. It is halved
// by
//   time, kSplitsMax times at most, so that what is at fault costs itself and little more.
//
// Thread-safe. Runs on the scheduler's threads, and on a pool by `submit` where it reads the disk or packs. What is
// given outlives the sender; `post` must have called back, or never will, when it ends. Counts itself as
// prometheus_remote_storage_*, with the names of Prometheus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/counters.h"
#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "ship/remote_write/answers.h"
#include "ship/remote_write/destination.h"
#include "ship/remote_write/queue.h"

namespace qd::ship::remote_write {

class ShardedSender {
 public:
  using Submit = std::function<base::Status(std::function<void()>)>;
  // Posts `body`, a message of 2.0 or 1.0 as a Snappy block, and calls back once, on any thread.
  using PostTo = std::function<void(const Destination& destination, bool v2, std::string body,
                                    std::function<void(base::Result<Answer>)> then)>;

  struct Options {
    std::uint64_t seed = 0;  // of the jitter
    // What holds now: a reload may change it. Any thread.
    std::function<std::shared_ptr<const Destination>()> destination;
    std::function<Families()> families;  // what metric families are
    base::CounterLabels labels;          // of its metrics
  };

  static constexpr int kSplitsMax = 40;  // of one request

  ShardedSender(base::Scheduler& scheduler, Submit submit, Queue& queue, PostTo post, base::Log& log,
                base::Registry& registry, Options options);
  ~ShardedSender();
  ShardedSender(const ShardedSender&) = delete;
  ShardedSender& operator=(const ShardedSender&) = delete;

  // Begins with what waits from before.
  void start();
  // So many more samples were queued.
  void wake(std::uint64_t samples);
  // Sends on without gathering until nothing waits, a request fails, or `grace_ms` have passed on the steady clock, and
  // returns. Nothing begins after that. Not from a thread of the scheduler or the pool.
  void stop(std::int64_t grace_ms);
  // Has it send on without gathering already, for who stops several: stop has to follow.
  void begin_stop();

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace qd::ship::remote_write
