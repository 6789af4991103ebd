#include "ship/remote_write/sharded_sender.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "ship/remote_write/bundle.h"
#include "ship/remote_write/metadata_teller.h"
#include "ship/remote_write/sender_counters.h"
#include "ship/remote_write/shard_plan.h"

namespace qd::ship::remote_write {

using base::ErrorCode;
using base::MutexLock;

namespace {

constexpr std::int64_t kPoolBusyMs = 1'000;
// So soon a queue that could not be read is tried again: the queue counts tries before it passes over what is lost.
constexpr std::int64_t kReadRetryMsMin = 5'000;
// What is read from the queue at once: so many requests for each shard, but no more than this.
constexpr std::size_t kRequestsAShard = 8;
constexpr std::size_t kReadSamplesMax = 200'000;
constexpr std::size_t kReadRequestsMax = 10'000;
constexpr std::size_t kReadBytesMax = 16 << 20;
// Of one request, before it is packed, beside the number of its samples.
constexpr std::size_t kBodyBytesMax = 4 << 20;

}  // namespace

struct ShardedSender::State : std::enable_shared_from_this<State> {
  State(base::Scheduler& s, Submit sub, Queue& q, PostTo p, base::Log& l, base::Registry& r, Options o)
      : scheduler(s),
        submit(std::move(sub)),
        queue(q),
        post(std::move(p)),
        log(l),
        options(std::move(o)),
        counters(r, options.labels),
        teller(std::make_shared<MetadataTeller>(
            s, submit,
            MetadataTeller::Options{.families = options.families,
                                    .post =
                                        [this](std::string body, std::function<void(base::Result<Answer>)> then) {
                                          post(*options.destination(), false, std::move(body), std::move(then));
                                        },
                                    .told =
                                        [this](bool taken, std::size_t families_told, std::size_t bytes) {
                                          (taken ? counters.metadata : counters.metadata_failed).add(families_told);
                                          if (taken) counters.metadata_bytes.add(bytes);
                                        }})),
        random(options.seed) {}

  enum class Phase : std::uint8_t {
    kIdle,
    kWaiting,  // for a timer that reads the queue
    kReading,
    kSending,
  };

  // Part of a bundle that goes out in one request.
  struct Parcel {
    std::vector<Item> items;
    int splits_left = kSplitsMax;
  };
  // Touched by one step at a time: the next one begins where the last one ended.
  struct Shard {
    std::shared_ptr<const Bundle> bundle;  // what the items look at
    std::deque<Parcel> parcels;
    std::string body;  // of the first, once it is made
    bool v2 = false;   // what the body is
    std::int64_t retry_ms = 0;
  };
  using ShardPtr = std::shared_ptr<Shard>;

  // --- What calls out or works is counted, so that nothing of this is touched once stop has returned ---

  bool enter() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (!over) ++calls;
    return !over;
  }
  void leave() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    --calls;
    rested.notify_all();
  }

  // On the pool; when that is full, a moment later.
  void work(std::function<void(State&)> step) QD_EXCLUDES(mutex) {
    if (!enter()) return;
    const auto queued = submit([weak = weak_from_this(), step] {
      const auto self = weak.lock();
      if (!self || !self->enter()) return;
      step(*self);
      self->leave();
    });
    leave();
    if (queued) return;
    later(kPoolBusyMs, std::move(step));
  }
  void later(std::int64_t ms, std::function<void(State&)> step) {
    scheduler.after_ms(ms, [weak = weak_from_this(), step = std::move(step)] {
      if (const auto self = weak.lock()) self->work(step);
    });
  }

  // --- Reading the queue ---

  void wait(std::int64_t ms) QD_REQUIRES(mutex) {
    phase = Phase::kWaiting;
    timer = scheduler.after_ms(ms, [weak = weak_from_this(), of_turn = ++turn] {
      const auto self = weak.lock();
      if (!self) return;
      {
        MutexLock lock(self->mutex);
        if (self->over || self->turn != of_turn) return;
        self->phase = Phase::kReading;
      }
      self->work([](State& state) { state.read(); });
    });
  }

  void read() QD_EXCLUDES(mutex) {
    const auto destination = options.destination();
    std::optional<Finished> done;
    std::size_t shards_now = 0;
    {
      MutexLock lock(mutex);
      done = std::exchange(finished, std::nullopt);
      reshard(*destination);
      shards_now = shards;
      woken = 0;
    }
    if (done) queue.acknowledge(done->end, done->queued);
    auto bundle = fill(*destination, shards_now);
    MutexLock lock(mutex);
    if (over) return;
    if (!bundle) {
      tell_trouble(bundle.error());
      if (stopping) return rest();
      return wait(std::max(back_off_ms(read_retry_ms, *destination), kReadRetryMsMin));
    }
    read_retry_ms = 0;
    if (!*bundle) {
      if (stopping) return rest();
      phase = Phase::kIdle;
      if (woken > 0) wait(gather_ms(*destination));
      return;
    }
    begin(*bundle, *destination);
  }

  // The next that has anything in it; null when nothing waits.
  base::Result<std::shared_ptr<Bundle>> fill(const Destination& destination, std::size_t shards_now) {
    const auto per_send = static_cast<std::size_t>(destination.queue.max_samples_per_send);
    const Queue::ReadLimits limits{.requests = kReadRequestsMax,
                                   .samples = std::min(kReadSamplesMax, shards_now * per_send * kRequestsAShard),
                                   .bytes = kReadBytesMax};
    while (true) {
      QD_ASSIGN(const auto found, queue.read(limits));
      if (found.empty()) return nullptr;
      auto bundle = std::make_shared<Bundle>(make_bundle(found, shards_now));
      if (bundle->damaged > 0) {
        counters.damaged.add(bundle->damaged);
        log.error("requests in the queue are not what was written and are not sent",
                  {{"destination", destination.name}, {"samples", bundle->damaged}});
      }
      if (bundle->damaged < bundle->queued) return bundle;
      queue.acknowledge(bundle->end, bundle->queued);
    }
  }

  // --- Sending a bundle ---

  void begin(const std::shared_ptr<Bundle>& bundle, const Destination& destination) QD_REQUIRES(mutex) {
    phase = Phase::kSending;
    sending = Finished{.end = bundle->end, .queued = bundle->queued};
    open_shards = 0;
    for (const std::vector<Item>& items : bundle->shards) {
      if (items.empty()) continue;
      auto shard = std::make_shared<Shard>();
      shard->bundle = bundle;
      cut(items, static_cast<std::size_t>(destination.queue.max_samples_per_send), shard->parcels);
      ++open_shards;
      // Not from here: a pool that runs at once would find the lock taken.
      scheduler.post([weak = weak_from_this(), shard] {
        if (const auto self = weak.lock()) self->work([shard](State& state) { state.send(shard); });
      });
    }
  }

  static void cut(const std::vector<Item>& items, std::size_t samples_max, std::deque<Parcel>& parcels) {
    std::size_t bytes = 0;
    for (const Item& item : items) {
      const bool full = parcels.empty() || parcels.back().items.size() >= samples_max || bytes > kBodyBytesMax;
      if (full) {
        parcels.emplace_back();
        bytes = 0;
      }
      bytes += item.labels.size() + item.field.size();
      parcels.back().items.push_back(item);
    }
  }

  // On the pool.
  void send(const ShardPtr& shard) QD_EXCLUDES(mutex) {
    const auto destination = options.destination();
    if (shard->v2 != destination->sends_v2()) shard->body.clear();
    if (shard->body.empty()) {
      shard->v2 = destination->sends_v2();
      const std::span<const Item> items = shard->parcels.front().items;
      if (shard->v2) {
        const auto words = destination->metadata.send ? known_families() : nullptr;
        shard->body = body_v2(items, words.get());
      } else {
        shard->body = body_v1(items);
      }
    }
    const std::int64_t start_ns = scheduler.clock().monotonic_ns();
    post(*destination, shard->v2, shard->body,
         [weak = weak_from_this(), shard, start_ns](const base::Result<Answer>& answer) {
           const auto self = weak.lock();
           if (!self || !self->enter()) return;
           self->answered(shard, start_ns, answer);
           self->leave();
         });
  }

  void answered(const ShardPtr& shard, std::int64_t start_ns, const base::Result<Answer>& answer) QD_EXCLUDES(mutex) {
    const std::int64_t took_ns = scheduler.clock().monotonic_ns() - start_ns;
    counters.seconds.observe(static_cast<double>(took_ns) / 1e9);
    const Verdict verdict = answer ? verdict_of(answer->status) : Verdict::kLater;
    const auto destination = options.destination();
    if (verdict == Verdict::kLater) {
      counters.retried.add(count(shard->parcels.front().items));
      std::int64_t ms = 0;
      {
        MutexLock lock(mutex);
        tell_trouble(answer ? base::Error(ErrorCode::kUnavailable, said(*answer)) : answer.error());
        if (stopping) return rest();
        ms = std::max(answer ? retry_after_ms(answer->retry_after) : 0, back_off_ms(shard->retry_ms, *destination));
      }
      return later(ms, [shard](State& state) { state.send(shard); });
    }
    {
      MutexLock lock(mutex);
      busy_ns += took_ns;
      shard->retry_ms = 0;
      if (verdict == Verdict::kTaken) {
        taken(*shard, *answer, *destination);
      } else {
        refused(*shard, *answer, *destination);
      }
    }
    if (!shard->parcels.empty()) return work([shard](State& state) { state.send(shard); });
    {
      MutexLock lock(mutex);
      if (--open_shards > 0) return;
      finished = std::exchange(sending, std::nullopt);
      phase = Phase::kReading;
    }
    work([](State& state) { state.read(); });
  }

  void taken(Shard& shard, const Answer& answer, const Destination& destination) QD_REQUIRES(mutex) {
    const std::vector<Item>& items = shard.parcels.front().items;
    const Amounts amounts = count(items);
    // A receiver of 2.0 has to tell: one that takes a message for one of 1.0 stores nothing of it and says 2xx.
    const Amounts stored = answer.written.value_or(shard.v2 ? Amounts{} : amounts).at_most(amounts);
    counters.sent.add(stored);
    if (stored.all() < amounts.all()) tell_refusal(answer, amounts.without(stored), destination);
    counters.bytes.add(shard.body.size());
    samples_out += items.size();
    for (const Item& item : items) highest_sent_ms = std::max(highest_sent_ms, item.sample.time_ms);
    counters.highest_sent_s.set(static_cast<double>(highest_sent_ms) / 1e3);
    pop(shard);
    failing = false;
    if (!std::exchange(trouble.words, {}).empty())
      log.info("sending to a destination works again",
               {{"destination", destination.name}, {"waiting_samples", queue.stats().samples}});
    if (!destination.sends_v2() && destination.metadata.send && !stopping)
      teller->tell(destination.metadata.send_interval_ms);
  }

  void refused(Shard& shard, const Answer& answer, const Destination& destination) QD_REQUIRES(mutex) {
    Parcel parcel = std::move(shard.parcels.front());
    pop(shard);
    const Amounts amounts = count(parcel.items);
    if (!answer.written && parcel.items.size() > 1 && parcel.splits_left > 0) {
      auto [earlier, later_half] = split_by_time(std::move(parcel.items));
      // What is left of the budget is the halves' together.
      const int left = parcel.splits_left - 1;
      shard.parcels.push_front({.items = std::move(later_half), .splits_left = left / 2});
      shard.parcels.push_front({.items = std::move(earlier), .splits_left = left - left / 2});
      return;
    }
    samples_out += amounts.all();
    const Amounts stored = answer.written.value_or(Amounts{}).at_most(amounts);
    counters.sent.add(stored);
    tell_refusal(answer, amounts.without(stored), destination);
  }

  void tell_refusal(const Answer& answer, const Amounts& lost, const Destination& destination) QD_REQUIRES(mutex) {
    counters.failed.add(lost);
    const std::string words = said(answer);
    if (!refusal.worth_telling(words, scheduler.clock().monotonic_ns())) return;
    log.warn("a destination refused samples: they are not sent again", {{"destination", destination.name},
                                                                        {"samples", lost.samples},
                                                                        {"histograms", lost.histograms},
                                                                        {"exemplars", lost.exemplars},
                                                                        {"error", words}});
  }

  static void pop(Shard& shard) {
    shard.parcels.pop_front();
    shard.body.clear();
  }

  // --- How it goes ---

  void reshard(const Destination& destination) QD_REQUIRES(mutex) {
    const auto least = static_cast<std::size_t>(destination.queue.min_shards);
    const auto most = static_cast<std::size_t>(destination.queue.max_shards);
    const QueueStats stats = queue.stats();
    const std::int64_t age_ms = stats.oldest_ms == 0 ? 0 : scheduler.clock().wall_ms() - stats.oldest_ms;
    const auto next = plan.update(scheduler.clock().monotonic_ns(),
                                  {.samples_in = samples_in,
                                   .samples_out = samples_out,
                                   .busy_ns = busy_ns,
                                   .waiting = stats.samples,
                                   .oldest_ms = age_ms},
                                  std::max<std::size_t>(shards, 1), least, most);
    if (shards != 0 && next != shards)
      log.info("a destination is sent to by another number of requests at once",
               {{"destination", destination.name}, {"from", shards}, {"to", next}});
    shards = next;
    counters.shards.set(static_cast<double>(shards));
    counters.shards_min.set(static_cast<double>(least));
    counters.shards_max.set(static_cast<double>(most));
    counters.shards_desired.set(plan.desired());
    counters.samples_per_send_max.set(static_cast<double>(destination.queue.max_samples_per_send));
  }

  // A request that is full waits for nothing.
  std::int64_t gather_ms(const Destination& destination) QD_REQUIRES(mutex) {
    const bool full = woken >= static_cast<std::uint64_t>(destination.queue.max_samples_per_send);
    return full ? 0 : destination.queue.batch_send_deadline_ms;
  }

  // Nothing is done any more until the end.
  void rest() QD_REQUIRES(mutex) {
    phase = Phase::kIdle;
    resting = true;
    ++turn;
    rested.notify_all();
  }

  std::int64_t back_off_ms(std::int64_t& retry_ms, const Destination& destination) QD_REQUIRES(mutex) {
    return remote_write::back_off_ms(retry_ms, destination.queue.min_backoff_ms, destination.queue.max_backoff_ms,
                                     random);
  }

  void tell_trouble(const base::Error& error) QD_REQUIRES(mutex) {
    failing = true;
    if (!trouble.worth_telling(error.message(), scheduler.clock().monotonic_ns())) return;
    const QueueStats stats = queue.stats();
    log.warn("sending to a destination fails: what is stored waits on disk and is sent later",
             {{"destination", options.destination()->name},
              {"error", error},
              {"waiting_samples", stats.samples},
              {"waiting_bytes", stats.bytes}});
  }

  // --- What families are ---

  // As they were at most a send_interval ago.
  std::shared_ptr<const Families> known_families() QD_EXCLUDES(mutex) {
    const std::int64_t now_ns = scheduler.clock().monotonic_ns();
    const std::int64_t interval_ns = options.destination()->metadata.send_interval_ms * 1'000'000;
    {
      MutexLock lock(mutex);
      if (families && now_ns - families_ns < interval_ns) return families;
      families_ns = now_ns;
    }
    auto read = std::make_shared<const Families>(options.families ? options.families() : Families{});
    MutexLock lock(mutex);
    families = std::move(read);
    return families;
  }

  struct Finished {
    Position end;
    std::uint64_t queued = 0;
  };

  base::Scheduler& scheduler;
  const Submit submit;
  Queue& queue;
  const PostTo post;
  base::Log& log;
  const Options options;
  const SenderCounters counters;
  const std::shared_ptr<MetadataTeller> teller;

  base::Mutex mutex;
  base::CondVar rested;
  Phase phase QD_GUARDED_BY(mutex) = Phase::kIdle;
  bool started QD_GUARDED_BY(mutex) = false;
  bool stopping QD_GUARDED_BY(mutex) = false;
  bool resting QD_GUARDED_BY(mutex) = false;  // while stopping: nothing more is to be done
  bool over QD_GUARDED_BY(mutex) = false;
  int calls QD_GUARDED_BY(mutex) = 0;           // out of here or on the pool, that have not come back
  std::uint64_t turn QD_GUARDED_BY(mutex) = 0;  // older timers of reading count no more
  base::Scheduler::TimerId timer QD_GUARDED_BY(mutex) = 0;
  std::uint64_t woken QD_GUARDED_BY(mutex) = 0;      // samples since the queue was last read
  std::size_t open_shards QD_GUARDED_BY(mutex) = 0;  // of the bundle on its way
  std::optional<Finished> sending QD_GUARDED_BY(mutex);
  std::optional<Finished> finished QD_GUARDED_BY(mutex);  // to be acknowledged
  std::int64_t read_retry_ms QD_GUARDED_BY(mutex) = 0;
  ShardPlan plan QD_GUARDED_BY(mutex);
  std::size_t shards QD_GUARDED_BY(mutex) = 0;
  std::uint64_t samples_in QD_GUARDED_BY(mutex) = 0;
  std::uint64_t samples_out QD_GUARDED_BY(mutex) = 0;
  std::int64_t busy_ns QD_GUARDED_BY(mutex) = 0;
  model::TimestampMs highest_sent_ms QD_GUARDED_BY(mutex) = 0;
  bool failing QD_GUARDED_BY(mutex) = false;  // since the last request that was taken
  Told trouble QD_GUARDED_BY(mutex);          // no words once it is over
  Told refusal QD_GUARDED_BY(mutex);
  std::shared_ptr<const Families> families QD_GUARDED_BY(mutex);
  std::int64_t families_ns QD_GUARDED_BY(mutex) = 0;
  std::mt19937_64 random QD_GUARDED_BY(mutex);
};

ShardedSender::ShardedSender(base::Scheduler& scheduler, Submit submit, Queue& queue, PostTo post, base::Log& log,
                             base::Registry& registry, Options options)
    : state_(std::make_shared<State>(scheduler, std::move(submit), queue, std::move(post), log, registry,
                                     std::move(options))) {}

ShardedSender::~ShardedSender() {
  stop(0);
}

void ShardedSender::start() {
  MutexLock lock(state_->mutex);
  state_->started = true;
  state_->wait(0);
}

void ShardedSender::wake(std::uint64_t samples) {
  State& s = *state_;
  const auto destination = s.options.destination();
  MutexLock lock(s.mutex);
  s.samples_in += samples;
  if (!s.started || s.stopping) return;
  const bool was_full = s.woken > 0 && s.gather_ms(*destination) == 0;
  s.woken += samples;
  if (s.phase == State::Phase::kIdle) {
    s.wait(s.gather_ms(*destination));
  } else if (s.phase == State::Phase::kWaiting && s.read_retry_ms == 0 && !was_full && s.gather_ms(*destination) == 0) {
    // What was gathered fills a request now.
    s.scheduler.cancel(s.timer);
    s.wait(0);
  }
}

void ShardedSender::begin_stop() {
  State& s = *state_;
  s.teller->stop();
  MutexLock lock(s.mutex);
  if (s.over || std::exchange(s.stopping, true)) return;
  // From rest or gathering, at once.
  if (s.started && !s.failing && (s.phase == State::Phase::kIdle || s.phase == State::Phase::kWaiting)) {
    s.scheduler.cancel(s.timer);
    s.wait(0);
  }
}

void ShardedSender::stop(std::int64_t grace_ms) {
  State& s = *state_;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace_ms);
  if (grace_ms > 0) {
    begin_stop();
  } else {
    s.teller->stop();
  }
  MutexLock lock(s.mutex);
  if (s.over) return;
  s.stopping = true;
  while (s.started && grace_ms > 0 && !s.failing && !s.resting) {
    if (!s.rested.wait_until(s.mutex, deadline)) break;
  }
  s.over = true;
  s.scheduler.cancel(s.timer);
  while (s.calls > 0) s.rested.wait(s.mutex);
}

}  // namespace qd::ship::remote_write
