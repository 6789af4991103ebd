#include "ship/remote_write/sender.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "ship/remote_write/batch.h"
#include "ship/remote_write/metadata_teller.h"

namespace qd::ship::remote_write {

using base::ErrorCode;
using base::MutexLock;

namespace {

constexpr std::int64_t kPoolFullMs = 1'000;

}  // namespace

struct Sender::State : std::enable_shared_from_this<Sender::State> {
  State(base::Scheduler& s, Submit sub, Queue& q, Post p, base::Log& l, base::Registry& r, Options o)
      : scheduler(s),
        submit(std::move(sub)),
        queue(q),
        post(std::move(p)),
        log(l),
        options(std::move(o)),
        samples(r.counter("quarterdeck_forward_samples_total", "Samples that the receiver took.")),
        bytes(r.counter("quarterdeck_forward_bytes_total", "Packed bytes of the requests that the receiver took.")),
        requests(r.counter("quarterdeck_forward_requests_total", "Requests to the receiver, with those that failed.")),
        failed(
            r.counter("quarterdeck_forward_requests_failed_total", "Requests that were not taken and are sent again.")),
        refused(r.counter("quarterdeck_forward_samples_dropped_total",
                          "Samples that were stored here and will never be at the receiver.", {{"reason", "refused"}})),
        damaged(r.counter("quarterdeck_forward_samples_dropped_total",
                          "Samples that were stored here and will never be at the receiver.", {{"reason", "damaged"}})),
        up(r.gauge("quarterdeck_forward_up", "Whether the receiver took the last request (1) or not (0).")),
        seconds(r.histogram("quarterdeck_forward_request_seconds", "Time from a request to its answer.")),
        teller(
            std::make_shared<MetadataTeller>(s, submit,
                                             MetadataTeller::Options{.families = options.families,
                                                                     .post = post,
                                                                     .told =
                                                                         [this](bool taken, std::size_t, std::size_t) {
                                                                           requests.add();
                                                                           if (!taken) failed.add();
                                                                         }})),
        random(options.seed) {}

  enum class Phase : std::uint8_t { kIdle, kWaiting, kWorking, kPosting };

  // What is on its way: the same bytes until they are taken or refused.
  struct Parcel {
    std::string body;
    Position end;
    std::size_t joined = 0;
    std::uint64_t samples = 0;
    bool done = false;  // to be acknowledged
  };

  // --- The steps, each ending in the next ---

  void wait(std::int64_t ms) QD_REQUIRES(mutex) {
    phase = Phase::kWaiting;
    timer = scheduler.after_ms(ms, [weak = weak_from_this(), of_turn = ++turn] {
      if (const auto self = weak.lock()) self->work(of_turn);
    });
  }

  void work(std::uint64_t of_turn) {
    {
      MutexLock lock(mutex);
      if (over || of_turn != turn) return;
      phase = Phase::kWorking;
      ++calls;
    }
    const auto queued = submit([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->prepare();
    });
    MutexLock lock(mutex);
    called();
    if (queued || over) return;
    if (stopping) {
      rest();
    } else {
      wait(kPoolFullMs);
    }
  }

  // Work on the pool is counted too: once stop has returned the queue is used no more.
  void prepare() {
    if (!enter()) return;
    make_parcel();
    leave();
  }

  // Acknowledges what was taken, and makes the next parcel, or takes the one that is to be sent again.
  void make_parcel() QD_EXCLUDES(mutex) {
    Parcel next;
    std::optional<Position> single;
    {
      MutexLock lock(mutex);
      if (over) return;
      next = std::exchange(parcel, {});
      single = single_until;
      woken = false;
    }
    if (next.done) {
      queue.acknowledge(next.end, next.samples);
      if (single && next.end >= *single) single.reset();
      next = {};
    }
    base::Status made;
    if (next.joined == 0) made = fill(next, single);
    MutexLock lock(mutex);
    if (over) return;
    single_until = single;
    if (!made) {
      tell_trouble(made.error());
      if (stopping) return rest();
      return wait(back_off_ms());
    }
    if (next.joined == 0) {
      if (stopping) return rest();
      phase = Phase::kIdle;
      if (woken) wait(kGatherMs);
      return;
    }
    parcel = std::move(next);
    send();
  }

  // What waits next. Nothing there: joined stays 0. What cannot be read by anybody is dropped on the way.
  base::Status fill(Parcel& next, const std::optional<Position>& single) {
    while (true) {
      QD_ASSIGN(auto found, queue.read(single ? Queue::ReadLimits{.requests = 1} : Queue::ReadLimits{}));
      if (found.empty()) return {};
      auto joined = join(found);
      if (!joined) {
        damaged.add(found.front().samples);
        log.error("a request in the queue is not what was written and is not sent", {{"error", joined.error()}});
        queue.acknowledge(found.front().end, found.front().samples);
        continue;
      }
      next.body = std::move(joined->body);
      next.joined = joined->joined;
      next.end = found[joined->joined - 1].end;
      next.samples = joined->samples;
      return {};
    }
  }

  void send() QD_REQUIRES(mutex) {
    phase = Phase::kPosting;
    requests.add();
    const std::int64_t start_ns = scheduler.clock().monotonic_ns();
    // Not from here: a post that calls back at once would find the lock taken.
    scheduler.post([weak = weak_from_this(), of_turn = ++turn, start_ns, body = parcel.body]() mutable {
      const auto self = weak.lock();
      if (!self) return;
      self->call_post(std::move(body), [weak, of_turn, start_ns](const base::Result<Answer>& answer) {
        if (const auto state = weak.lock()) state->answered(of_turn, start_ns, answer);
      });
    });
  }

  // What calls out is counted, so that nobody outside is called once stop has returned.
  void call_post(std::string body, std::function<void(base::Result<Answer>)> then) QD_EXCLUDES(mutex) {
    if (!enter()) return;
    post(std::move(body), std::move(then));
    leave();
  }

  // False once it is over: nothing is to begin then.
  bool enter() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (!over) ++calls;
    return !over;
  }
  void leave() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    called();
  }

  void called() QD_REQUIRES(mutex) {
    --calls;
    rested.notify_all();
  }

  void answered(std::uint64_t of_turn, std::int64_t start_ns, const base::Result<Answer>& answer) {
    std::uint64_t next = 0;
    {
      MutexLock lock(mutex);
      if (over || of_turn != turn) return;
      seconds.observe(static_cast<double>(scheduler.clock().monotonic_ns() - start_ns) / 1e9);
      const Verdict verdict = answer ? verdict_of(answer->status) : Verdict::kLater;
      if (verdict == Verdict::kLater) return again(answer);
      if (verdict == Verdict::kTaken) {
        taken();
      } else {
        refuse(*answer);
      }
      next = ++turn;
    }
    work(next);
  }

  void again(const base::Result<Answer>& answer) QD_REQUIRES(mutex) {
    failed.add();
    up.set(0);
    tell_trouble(answer ? base::Error(ErrorCode::kUnavailable, said(*answer)) : answer.error());
    if (stopping) return rest();
    const std::int64_t asked_ms = answer ? retry_after_ms(answer->retry_after) : 0;
    wait(std::max(asked_ms, back_off_ms()));
  }

  void taken() QD_REQUIRES(mutex) {
    samples.add(parcel.samples);
    bytes.add(parcel.body.size());
    up.set(1);
    parcel.done = true;
    retry_ms = 0;
    failing = false;
    if (!std::exchange(trouble.words, {}).empty())
      log.info("forwarding works again", {{"waiting_samples", queue.stats().samples}});
    if (!stopping) teller->tell(kMetadataEveryMs);
  }

  void refuse(const Answer& answer) QD_REQUIRES(mutex) {
    up.set(1);
    retry_ms = 0;
    if (parcel.joined > 1 && !answer.written) {
      single_until = parcel.end;
      parcel = {};
      return;
    }
    const std::uint64_t written = std::min(answer.written.value_or(Amounts{}).all(), parcel.samples);
    samples.add(written);
    refused.add(parcel.samples - written);
    parcel.done = true;
    const std::string words = said(answer);
    if (!refusal.worth_telling(words, scheduler.clock().monotonic_ns())) return;
    log.warn("the receiver refused samples: they are not sent again",
             {{"samples", parcel.samples - written}, {"error", words}});
  }

  // Nothing is done any more until the end.
  void rest() QD_REQUIRES(mutex) {
    phase = Phase::kIdle;
    ++turn;
    rested.notify_all();
  }

  std::int64_t back_off_ms() QD_REQUIRES(mutex) {
    return remote_write::back_off_ms(retry_ms, kBackOffMsMin, kBackOffMsMax, random);
  }

  void tell_trouble(const base::Error& error) QD_REQUIRES(mutex) {
    failing = true;
    if (!trouble.worth_telling(error.message(), scheduler.clock().monotonic_ns())) return;
    const QueueStats stats = queue.stats();
    log.warn("forwarding fails: what is observed waits on disk and is sent later",
             {{"error", error}, {"waiting_samples", stats.samples}, {"waiting_bytes", stats.bytes}});
  }

  base::Scheduler& scheduler;
  const Submit submit;
  Queue& queue;
  const Post post;
  base::Log& log;
  const Options options;
  base::Counter& samples;
  base::Counter& bytes;
  base::Counter& requests;
  base::Counter& failed;
  base::Counter& refused;
  base::Counter& damaged;
  base::Gauge& up;
  base::Histogram& seconds;
  const std::shared_ptr<MetadataTeller> teller;

  base::Mutex mutex;
  base::CondVar rested;
  Phase phase QD_GUARDED_BY(mutex) = Phase::kIdle;
  bool started QD_GUARDED_BY(mutex) = false;
  bool stopping QD_GUARDED_BY(mutex) = false;
  bool over QD_GUARDED_BY(mutex) = false;
  bool woken QD_GUARDED_BY(mutex) = false;      // since the queue was last read
  int calls QD_GUARDED_BY(mutex) = 0;           // out of here or on the pool, that have not come back
  std::uint64_t turn QD_GUARDED_BY(mutex) = 0;  // older timers and answers count no more
  base::Scheduler::TimerId timer QD_GUARDED_BY(mutex) = 0;
  Parcel parcel QD_GUARDED_BY(mutex);
  std::optional<Position> single_until QD_GUARDED_BY(mutex);  // requests before it go one by one
  std::int64_t retry_ms QD_GUARDED_BY(mutex) = 0;
  bool failing QD_GUARDED_BY(mutex) = false;  // since the last request that was taken
  Told trouble QD_GUARDED_BY(mutex);          // no words once it is over
  Told refusal QD_GUARDED_BY(mutex);
  std::mt19937_64 random QD_GUARDED_BY(mutex);
};

Sender::Sender(base::Scheduler& scheduler, Submit submit, Queue& queue, Post post, base::Log& log,
               base::Registry& registry, Options options)
    : state_(std::make_shared<State>(scheduler, std::move(submit), queue, std::move(post), log, registry,
                                     std::move(options))) {}

Sender::~Sender() {
  stop(0);
}

void Sender::start() {
  MutexLock lock(state_->mutex);
  state_->started = true;
  state_->wait(0);
}

void Sender::wake() {
  State& s = *state_;
  MutexLock lock(s.mutex);
  if (!s.started || s.stopping) return;
  s.woken = true;
  if (s.phase == State::Phase::kIdle) s.wait(kGatherMs);
}

void Sender::stop(std::int64_t grace_ms) {
  State& s = *state_;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace_ms);
  s.teller->stop();
  MutexLock lock(s.mutex);
  if (s.over) return;
  s.stopping = true;
  if (s.started && grace_ms > 0 && !s.failing) {
    // From rest or gathering, at once.
    if (s.phase == State::Phase::kIdle || s.phase == State::Phase::kWaiting) {
      s.scheduler.cancel(s.timer);
      s.wait(0);
    }
    while (s.phase != State::Phase::kIdle) {
      if (!s.rested.wait_until(s.mutex, deadline)) break;
    }
  }
  s.over = true;
  s.scheduler.cancel(s.timer);
  while (s.calls > 0) s.rested.wait(s.mutex);
}

}  // namespace qd::ship::remote_write
