// Sends what waits in the queue, in order, one request at a time, and waits where the receiver does not take it.
//
// - Taken (2xx): acknowledged, and the next one goes.
// - Not reached, broken off, too slow, or answered with 5xx, 408, 425, 429: the same request again, later and later up
//   to kBackOffMsMax, with jitter. Retry-After in seconds is honoured.
// - Answered with 3xx, 401, 403, 404, 405, 407, 415: the same. The way there is set up wrong, not what is sent.
// - Answered with another 4xx (400, 413, 422) that says how many samples are stored: the others are dropped and
// counted.
// - Answered so without saying it: of several joined requests each goes alone; one alone is dropped and counted.
//
// A request that may have been taken is sent again as it was, never with more in it: receivers that refuse a request as
// a whole for one sample that they have already lose nothing by it. At least once, so receivers see samples twice.
//
// Thread-safe. Runs on the scheduler's threads, and on a pool by `submit` where it reads the disk or packs. What is
// given outlives the sender; `post` must have called back, or never will, when it ends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/counters.h"
#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "ship/remote_write/answers.h"
#include "ship/remote_write/queue.h"

namespace qd::ship::remote_write {

class Sender {
 public:
  using Post = remote_write::Post;
  using Submit = std::function<base::Status(std::function<void()>)>;
  using Families = remote_write::Families;

  struct Options {
    std::uint64_t seed = 0;                // of the jitter
    std::function<Families()> families{};  // what metric families are; told once a minute, none when empty
  };

  // What comes within this time goes together.
  static constexpr std::int64_t kGatherMs = 1'000;
  static constexpr std::int64_t kBackOffMsMin = 500;
  static constexpr std::int64_t kBackOffMsMax = 10'000;
  static constexpr std::int64_t kMetadataEveryMs = 60'000;

  Sender(base::Scheduler& scheduler, Submit submit, Queue& queue, Post post, base::Log& log, base::Registry& registry,
         Options options);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Begins with what waits from before.
  void start();
  // Something was queued.
  void wake();
  // Sends on without gathering until nothing waits, a request fails, or `grace_ms` have passed on the steady clock, and
  // returns. Nothing begins after that. Not from a thread of the scheduler or the pool.
  void stop(std::int64_t grace_ms);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace qd::ship::remote_write
