#include "query/running/gate.h"

#include <algorithm>
#include <utility>

namespace qd::query::running {

namespace {

using base::ErrorCode;

// How late a wait may end whose time is up or whose client has gone.
constexpr std::int64_t kLookEveryMs = 100;

}  // namespace

struct Gate::Core : std::enable_shared_from_this<Core> {
  struct Waiting {
    base::CancelToken cancel;
    std::int64_t came_ns;
    std::int64_t deadline_ns;
    Run run;
  };
  struct Principal {
    std::deque<Waiting> waiting;
    std::size_t running = 0;
  };
  // One whose turn it is, or whose wait ended with an error; told without the lock.
  struct Told {
    std::string principal;
    Waiting query;
    base::Status status;
  };

  Core(base::ThreadPool& p, base::Scheduler& s, base::Gauge& m, Limits l)
      : pool(p), scheduler(s), most(m), threads(p.threads()), limits(l) {}

  base::ThreadPool& pool;
  base::Scheduler& scheduler;
  base::Gauge& most;
  const std::size_t threads;

  mutable base::Mutex mutex;
  Limits limits QD_GUARDED_BY(mutex);
  bool closed QD_GUARDED_BY(mutex) = false;
  bool looking QD_GUARDED_BY(mutex) = false;
  std::size_t running QD_GUARDED_BY(mutex) = 0;
  std::size_t waiting QD_GUARDED_BY(mutex) = 0;
  std::map<std::string, Principal, std::less<>> principals QD_GUARDED_BY(mutex);
  // Those who wait, the next first.
  std::list<std::string> turns QD_GUARDED_BY(mutex);

  void enter(const std::string& name, Waiting query) QD_EXCLUDES(mutex);
  void leave(const std::string& name) QD_EXCLUDES(mutex);
  void set_limits(Limits next) QD_EXCLUDES(mutex);
  void close() QD_EXCLUDES(mutex);
  double present() const QD_EXCLUDES(mutex) {
    base::MutexLock lock(mutex);
    return static_cast<double>(running + waiting);
  }

 private:
  std::vector<Told> admit() QD_REQUIRES(mutex);
  void tell(std::vector<Told> told) QD_EXCLUDES(mutex);
  void look() QD_EXCLUDES(mutex);
  void look_later();
  void forget_idle(std::map<std::string, Principal, std::less<>>::iterator it) QD_REQUIRES(mutex) {
    if (it->second.running == 0 && it->second.waiting.empty()) principals.erase(it);
  }
};

// Everyone who may run now, in turns.
std::vector<Gate::Core::Told> Gate::Core::admit() {
  std::vector<Told> told;
  const std::size_t at_once = std::min(limits.total, threads);
  for (auto turn = turns.begin(); turn != turns.end() && running < at_once;) {
    Principal& principal = principals.find(*turn)->second;
    if (limits.per_principal != 0 && principal.running >= limits.per_principal) {
      ++turn;
      continue;
    }
    told.push_back({*turn, std::move(principal.waiting.front()), {}});
    principal.waiting.pop_front();
    ++principal.running;
    ++running;
    --waiting;
    // Behind the others; whoever was passed over for their own limit stays first.
    if (principal.waiting.empty()) {
      turns.erase(turn);
    } else {
      turns.splice(turns.end(), turns, turn);
    }
    turn = turns.begin();
  }
  return told;
}

void Gate::Core::tell(std::vector<Told> told) {
  for (Told& one : told) {
    if (!one.status) {
      one.query.run(base::fail(std::move(one.status).error()));
      continue;
    }
    const std::int64_t waited_ns = scheduler.clock().monotonic_ns() - one.query.came_ns;
    struct Started {
      Run run;
      Pass pass;
    };
    auto started = std::make_shared<Started>(
        Started{std::move(one.query.run), Pass(shared_from_this(), std::move(one.principal), waited_ns)});
    const auto queued = pool.submit([started] { started->run(std::move(started->pass)); });
    if (!queued) {
      started->run(base::fail(ErrorCode::kUnavailable, "too much work is waiting already: try again soon"));
    }
  }
}

void Gate::Core::enter(const std::string& name, Waiting query) {
  std::vector<Told> told;
  bool look_soon = false;
  {
    base::MutexLock lock(mutex);
    if (closed || waiting >= kWaitingMax) {
      told.push_back({{},
                      std::move(query),
                      base::fail(ErrorCode::kUnavailable, closed ? "Quarterdeck is stopping"
                                                                 : "too many queries are waiting already: try again "
                                                                   "soon, or raise query.concurrency")});
    } else {
      Principal& principal = principals[name];
      if (principal.waiting.empty()) turns.push_back(name);
      principal.waiting.push_back(std::move(query));
      ++waiting;
      told = admit();
      look_soon = waiting > 0 && !looking;
      looking = looking || look_soon;
    }
  }
  tell(std::move(told));
  if (look_soon) look_later();
}

void Gate::Core::leave(const std::string& name) {
  std::vector<Told> told;
  {
    base::MutexLock lock(mutex);
    const auto it = principals.find(name);
    --it->second.running;
    --running;
    forget_idle(it);
    if (!closed) told = admit();
  }
  tell(std::move(told));
}

void Gate::Core::set_limits(Limits next) {
  most.set(static_cast<double>(next.total));
  std::vector<Told> told;
  {
    base::MutexLock lock(mutex);
    limits = next;
    if (!closed) told = admit();
  }
  tell(std::move(told));
}

void Gate::Core::close() {
  std::vector<Told> told;
  {
    base::MutexLock lock(mutex);
    closed = true;
    for (auto& [name, principal] : principals) {
      for (Waiting& query : principal.waiting)
        told.push_back({name, std::move(query), base::fail(ErrorCode::kUnavailable, "Quarterdeck is stopping")});
      principal.waiting.clear();
    }
    turns.clear();
    waiting = 0;
  }
  tell(std::move(told));
}

void Gate::Core::look_later() {
  scheduler.after_ms(kLookEveryMs, [self = weak_from_this()] {
    if (const auto core = self.lock()) core->look();
  });
}

// Ends the waits that are over.
void Gate::Core::look() {
  std::vector<Told> told;
  bool again = false;
  {
    base::MutexLock lock(mutex);
    const std::int64_t now = scheduler.clock().monotonic_ns();
    for (auto turn = turns.begin(); turn != turns.end();) {
      const auto it = principals.find(*turn);
      std::deque<Waiting> kept;
      for (Waiting& query : it->second.waiting) {
        if (query.cancel.cancelled()) {
          told.push_back(
              {*turn, std::move(query), base::fail(ErrorCode::kCancelled, "query was canceled in query queue")});
        } else if (now >= query.deadline_ns) {
          told.push_back({*turn, std::move(query),
                          base::fail(ErrorCode::kTimeout,
                                     "query timed out in query queue: query.concurrency queries or this principal's "
                                     "query.concurrency_per_principal ran all the time")});
        } else {
          kept.push_back(std::move(query));
        }
      }
      it->second.waiting = std::move(kept);
      if (it->second.waiting.empty()) {
        turn = turns.erase(turn);
        forget_idle(it);
      } else {
        ++turn;
      }
    }
    waiting -= told.size();
    again = waiting > 0;
    looking = again;
  }
  tell(std::move(told));
  if (again) look_later();
}

Gate::Pass::Pass(std::shared_ptr<Core> core, std::string principal, std::int64_t waited_ns)
    : core_(std::move(core)), principal_(std::move(principal)), waited_ns_(waited_ns) {}

Gate::Pass::~Pass() {
  if (core_) core_->leave(principal_);
}

Gate::Gate(base::ThreadPool& pool, base::Scheduler& scheduler, base::Registry& registry, Limits limits)
    : core_(std::make_shared<Core>(
          pool, scheduler,
          registry.gauge("prometheus_engine_queries_concurrent_max", "The max number of concurrent queries."),
          limits)) {
  core_->most.set(static_cast<double>(limits.total));
  registry.gauge_function("prometheus_engine_queries", "The current number of queries being executed or waiting.",
                          [core = std::weak_ptr(core_)] {
                            const auto there = core.lock();
                            return there ? there->present() : 0;
                          });
}

Gate::~Gate() {
  close();
}

void Gate::set_limits(Limits limits) {
  core_->set_limits(limits);
}

void Gate::enter(const std::string& principal, base::CancelToken cancel, std::int64_t deadline_ns, Run run) {
  core_->enter(principal, {std::move(cancel), core_->scheduler.clock().monotonic_ns(), deadline_ns, std::move(run)});
}

void Gate::close() {
  core_->close();
}

}  // namespace qd::query::running
