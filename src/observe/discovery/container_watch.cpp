#include "observe/discovery/container_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/format.h"
#include "base/mutex.h"
#include "observe/discovery/engine_values.h"
#include "observe/discovery/repeated_task.h"

namespace qd::observe::discovery {
namespace {

namespace docker = connect::docker;
using base::ErrorCode;

constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
constexpr std::int64_t kPublishEveryMs = 50;
constexpr std::int64_t kInspectRetryMs = 500;
constexpr int kInspectTriesMax = 3;
constexpr std::int64_t kProcessCheckMs = 1'000;
// A connection that held so long starts the back-off anew.
constexpr std::int64_t kSteadyMs = 10'000;
// The stream of events begins so long before it is asked for: what happens while it is being opened is in it.
constexpr std::int64_t kEventsOverlapS = 2;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

// "died" and "remove" are Podman's words.
bool matters(std::string_view action) {
  return is_one_of(action, {"create", "start", "restart", "die", "died", "stop", "pause", "unpause", "oom", "rename",
                            "update", "health_status", "destroy", "remove"});
}

}  // namespace

// Each connection is an epoch: what belongs to an earlier one is dropped when it comes. Nothing outside is called with
// the lock held: what is to be called is gathered, and run when the lock is released.
class ContainerWatch::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Surroundings around, ContainerWatchOptions options, std::function<void()> changed)
      : around_(std::move(around)),
        options_(std::move(options)),
        changed_(std::move(changed)),
        counters_(around_.registry),
        list_(std::make_shared<const std::vector<Container>>()),
        publisher_(around_.scheduler, around_.submit, kPublishEveryMs, [this] { publish(); }) {
    state_.enabled = true;
    state_.since_ms = around_.scheduler.clock().wall_ms();
  }

  void start() { attempt(); }

  void stop() QD_EXCLUDES(mutex_) {
    docker::Cancel cancel;
    {
      base::MutexLock lock(mutex_);
      stopped_ = true;
      cancel = end_epoch();
      for (auto* timer : {&retry_timer_, &resync_timer_, &process_timer_}) cancel_timer(*timer);
    }
    if (cancel) cancel();
    publisher_.stop();
  }

  ContainerList containers() const QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return list_;
  }

  EngineState state() const QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    EngineState state = state_;
    state.containers = known_;
    return state;
  }

 private:
  using Epoch = std::uint64_t;
  using Todo = std::vector<std::function<void()>>;
  using TimerId = base::Scheduler::TimerId;

  struct Entry {
    std::shared_ptr<const Container> container;  // null until it was inspected
    std::uint64_t fingerprint = 0;               // in the list when it was last asked about; 0 asks again
    std::int64_t touched_ns = 0;                 // when what it holds was asked for
    bool process_seen = false;                   // its process shows in procfs
  };
  // An inspection that waits or is on the way.
  struct Wish {
    bool running = false;
    bool again = false;  // something happened since it was asked
    int failures = 0;
  };

  static void run(const Todo& todo) {
    for (const auto& call : todo) call();
  }

  std::int64_t now_ns() const { return around_.scheduler.clock().monotonic_ns(); }

  TimerId after_ms(std::int64_t ms, void (Core::*then)()) {
    return around_.scheduler.after_ms(ms, [self = shared_from_this(), then] { ((*self).*then)(); });
  }
  void cancel_timer(TimerId& timer) QD_REQUIRES(mutex_) {
    if (timer != 0) around_.scheduler.cancel(std::exchange(timer, 0));
  }

  // Whatever is on the way belongs to the past from here on. Returns what cancels the stream, to be called unlocked.
  docker::Cancel end_epoch() QD_REQUIRES(mutex_) {
    ++epoch_;
    wishes_.clear();
    queue_.clear();
    inspects_running_ = 0;
    return std::exchange(cancel_events_, {});
  }

  bool current(Epoch epoch) const QD_REQUIRES(mutex_) { return !stopped_ && epoch == epoch_; }

  // ---- connection

  void attempt() QD_EXCLUDES(mutex_) {
    std::string socket;
    Epoch epoch = 0;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      retry_timer_ = 0;
      end_epoch();
      epoch = epoch_;
      for (const std::string& candidate : options_.sockets) {
        if (::access(candidate.c_str(), F_OK) != 0) continue;
        socket = candidate;
        break;
      }
      state_.socket = socket.empty() && !options_.sockets.empty() ? options_.sockets.front() : socket;
    }
    if (socket.empty()) return absent(epoch);
    docker::Client::connect(around_.fetch, around_.submit, socket,
                            [self = shared_from_this(), epoch](base::Result<docker::Client> client) {
                              self->connected(epoch, std::move(client));
                            });
  }

  void absent(Epoch epoch) {
    disconnect(epoch,
               {ErrorCode::kNotFound,
                fmt::format("there is no container engine: no socket at {}; set observe.docker.socket where it is "
                            "elsewhere",
                            base::join(options_.sockets, ", "))});
  }

  void connected(Epoch epoch, base::Result<docker::Client> client) QD_EXCLUDES(mutex_) {
    if (!client) return disconnect(epoch, client.error());
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      client_.emplace(*client);
      state_.api_version = client->api_version();
    }
    const std::int64_t since_s = around_.scheduler.clock().wall_ms() / 1000 - kEventsOverlapS;
    auto cancel = client->events(
        since_s, [self = shared_from_this(), epoch](const docker::Event& event) { self->happened(epoch, event); },
        [self = shared_from_this(), epoch](base::Error error) { self->disconnect(epoch, std::move(error)); });
    {
      base::MutexLock lock(mutex_);
      if (current(epoch)) std::swap(cancel, cancel_events_);
    }
    // It ended already, or has no place any more: then this is what remains of it.
    if (cancel) cancel();
    list(epoch, true);
  }

  void disconnect(Epoch epoch, base::Error error) QD_EXCLUDES(mutex_) {
    docker::Cancel cancel;
    bool tell = false;
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      cancel = end_epoch();
      cancel_timer(resync_timer_);
      const bool is_absent = error.code() == ErrorCode::kNotFound && ::access(state_.socket.c_str(), F_OK) != 0;
      if (state_.connected) {
        counters_.disconnects.add();
        if (now_ns() - connected_ns_ >= kSteadyMs * kNanosecondsPerMs) retry_ms_ = kRetryMsMin;
      }
      if (state_.connected || !state_.error) state_.since_ms = around_.scheduler.clock().wall_ms();
      // An engine that was there and has gone is told like any other fault.
      tell = !told_ && (!is_absent || options_.required || seen_once_);
      told_ = told_ || tell;
      state_.connected = false;
      state_.api_version.clear();
      state_.error = error;
      counters_.connected.set(0);
      retry_timer_ = after_ms(is_absent ? kAbsentRetryMs : retry_ms_, &Core::attempt);
      if (!is_absent) retry_ms_ = std::min(retry_ms_ * 2, kRetryMsMax);
      if (process_timer_ == 0 && !entries_.empty()) process_timer_ = after_ms(kProcessCheckMs, &Core::check_processes);
    }
    if (cancel) cancel();
    if (tell) around_.log.warn("containers cannot be watched", {{"error", error}});
  }

  // ---- the list of all

  void list(Epoch epoch, bool all) QD_EXCLUDES(mutex_) {
    std::optional<docker::Client> client;
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      client = client_;
    }
    counters_.lists.add();
    client->list([self = shared_from_this(), epoch, all, asked_ns = now_ns()](auto containers) {
      self->listed(epoch, all, asked_ns, std::move(containers));
    });
  }

  void listed(Epoch epoch, bool all, std::int64_t asked_ns, base::Result<std::vector<docker::Listed>> containers)
      QD_EXCLUDES(mutex_) {
    if (!containers) return disconnect(epoch, containers.error());
    Todo todo;
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      limit(*containers, todo);
      std::set<std::string_view> seen;
      for (const docker::Listed& one : *containers) {
        seen.insert(one.id);
        Entry& entry = entries_[one.id];
        if (entry.touched_ns == 0) entry.touched_ns = asked_ns;
        if (!all && entry.container != nullptr && entry.fingerprint == one.fingerprint) continue;
        entry.fingerprint = one.fingerprint;
        want(one.id);
      }
      // What was learnt after the list was asked for is newer than the list.
      for (auto entry = entries_.begin(); entry != entries_.end();) {
        if (seen.contains(entry->first) || entry->second.touched_ns > asked_ns) {
          ++entry;
        } else {
          entry = erase(entry);
        }
      }
      count();
      if (!state_.connected) reached(todo);
      resync_timer_ = after_ms(kResyncMs, &Core::resync);
      pump(todo);
    }
    run(todo);
  }

  // Keeps those that run, then those that are known, up to the limit.
  void limit(std::vector<docker::Listed>& containers, Todo& todo) QD_REQUIRES(mutex_) {
    const std::size_t all = containers.size();
    const std::size_t max = options_.containers_max;
    state_.left_out = all > max ? all - max : 0;
    counters_.left_out.set(static_cast<double>(state_.left_out));
    if (all <= max) {
      limit_told_ = false;
      return;
    }
    const auto rank = [this](const docker::Listed& one)
                          QD_REQUIRES(mutex_) { return std::tuple(!one.running, !entries_.contains(one.id), one.id); };
    std::ranges::sort(containers, [&](const docker::Listed& a, const docker::Listed& b)
                                      QD_REQUIRES(mutex_) { return rank(a) < rank(b); });
    containers.resize(max);
    if (std::exchange(limit_told_, true)) return;
    todo.emplace_back([this, all, max] {
      around_.log.warn("there are more containers than are watched; raise observe.docker.containers_limit",
                       {{"containers", all}, {"limit", max}});
    });
  }

  void reached(Todo& todo) QD_REQUIRES(mutex_) {
    state_.connected = true;
    state_.since_ms = around_.scheduler.clock().wall_ms();
    state_.error.reset();
    told_ = false;
    seen_once_ = true;
    connected_ns_ = now_ns();
    counters_.connected.set(1);
    cancel_timer(process_timer_);
    todo.emplace_back([this, socket = state_.socket, version = state_.api_version, n = entries_.size()] {
      around_.log.info("watching containers", {{"socket", socket}, {"api_version", version}, {"containers", n}});
    });
  }

  void resync() QD_EXCLUDES(mutex_) {
    Epoch epoch = 0;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      resync_timer_ = 0;
      epoch = epoch_;
    }
    list(epoch, false);
  }

  // ---- one container

  void happened(Epoch epoch, const docker::Event& event) QD_EXCLUDES(mutex_) {
    counters_.events.add();
    if (!matters(event.action)) return;
    Todo todo;
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      const auto found = entries_.find(event.id);
      if (is_one_of(event.action, {"destroy", "remove"})) {
        if (const auto wish = wishes_.find(event.id); wish != wishes_.end()) wish->second.again = true;
        if (found != entries_.end()) erase(found);
        count();
      } else if (found != entries_.end() || entries_.size() < options_.containers_max) {
        if (found == entries_.end()) {
          entries_[event.id].touched_ns = now_ns();
        } else if (is_one_of(event.action, {"die", "died"})) {
          end(found->second);
        }
        want(event.id);
        pump(todo);
      }
    }
    run(todo);
  }

  void want(const std::string& id) QD_REQUIRES(mutex_) {
    const auto [wish, is_new] = wishes_.try_emplace(id);
    if (is_new) {
      queue_.push_back(id);
    } else if (wish->second.running) {
      wish->second.again = true;
    }
  }

  void pump(Todo& todo) QD_REQUIRES(mutex_) {
    while (inspects_running_ < kInspectsAtOnce && !queue_.empty()) {
      std::string id = std::move(queue_.front());
      queue_.pop_front();
      const auto wish = wishes_.find(id);
      if (wish == wishes_.end()) continue;
      wish->second.running = true;
      wish->second.again = false;
      ++inspects_running_;
      todo.emplace_back([self = shared_from_this(), epoch = epoch_, client = *client_, id = std::move(id)] {
        client.inspect(id, [self, epoch, id, asked_ns = self->now_ns()](base::Result<docker::Details> details) {
          self->inspected(epoch, id, asked_ns, std::move(details));
        });
      });
    }
  }

  void inspected(Epoch epoch, const std::string& id, std::int64_t asked_ns, base::Result<docker::Details> details)
      QD_EXCLUDES(mutex_) {
    std::shared_ptr<const Container> container;
    bool process_seen = false;
    if (details && details->id == id) {
      container = std::make_shared<const Container>(container_of(std::move(*details)));
      process_seen = container->pid > 0 && process_shows(container->pid);
    }
    Todo todo;
    {
      base::MutexLock lock(mutex_);
      if (!current(epoch)) return;
      --inspects_running_;
      const auto wish = wishes_.find(id);
      const auto entry = entries_.find(id);
      const bool again = std::exchange(wish->second.again, false);
      if (entry == entries_.end()) {
        // It was destroyed meanwhile, or fell out of the limit.
        wishes_.erase(wish);
      } else if (container != nullptr) {
        counters_.inspected.add();
        // An answer from before the last event would show what no longer is.
        if (!again || entry->second.container == nullptr) set(entry->second, container, asked_ns, process_seen);
        if (again) {
          requeue(id, wish->second);
        } else {
          wishes_.erase(wish);
        }
      } else if (!details && details.error().code() == ErrorCode::kNotFound) {
        counters_.inspected_gone.add();
        if (again) {
          requeue(id, wish->second);
        } else {
          wishes_.erase(wish);
          erase(entry);
        }
      } else {
        counters_.inspected_badly.add();
        failed(id, wish->second, entry->second);
      }
      count();
      pump(todo);
    }
    run(todo);
  }

  void requeue(const std::string& id, Wish& wish) QD_REQUIRES(mutex_) {
    wish.running = false;
    queue_.push_back(id);
  }

  // Tries some more times, then at the next comparison of lists.
  void failed(const std::string& id, Wish& wish, Entry& entry) QD_REQUIRES(mutex_) {
    if (++wish.failures >= kInspectTriesMax) {
      wishes_.erase(id);
      entry.fingerprint = 0;
      return;
    }
    around_.scheduler.after_ms(kInspectRetryMs, [self = shared_from_this(), epoch = epoch_, id] {
      Todo todo;
      {
        base::MutexLock lock(self->mutex_);
        if (!self->current(epoch)) return;
        const auto found = self->wishes_.find(id);
        if (found == self->wishes_.end()) return;
        self->requeue(id, found->second);
        self->pump(todo);
      }
      run(todo);
    });
  }

  void set(Entry& entry, std::shared_ptr<const Container> container, std::int64_t asked_ns, bool process_seen)
      QD_REQUIRES(mutex_) {
    const bool same = entry.container != nullptr && *entry.container == *container;
    entry.touched_ns = asked_ns;
    entry.process_seen = process_seen;
    if (same) return;
    entry.container = std::move(container);
    publisher_.ask();
  }

  // Shows at once what the engine will say of it when asked.
  void end(Entry& entry) QD_REQUIRES(mutex_) {
    if (entry.container == nullptr || entry.container->pid == 0) return;
    auto ended = std::make_shared<Container>(*entry.container);
    ended->pid = 0;
    ended->state = "exited";
    entry.container = std::move(ended);
    publisher_.ask();
  }

  std::map<std::string, Entry>::iterator erase(std::map<std::string, Entry>::iterator entry) QD_REQUIRES(mutex_) {
    if (entry->second.container != nullptr) publisher_.ask();
    return entries_.erase(entry);
  }

  void count() QD_REQUIRES(mutex_) {
    known_ = entries_.size();
    counters_.containers.set(static_cast<double>(known_));
  }

  // ---- while the engine is away

  bool process_shows(std::int64_t pid) const {
    return ::access(fmt::format("{}/{}", options_.procfs, pid).c_str(), F_OK) == 0;
  }

  void check_processes() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      process_timer_ = 0;
      if (state_.connected) return;
      process_timer_ = after_ms(kProcessCheckMs, &Core::check_processes);
    }
    // A full pool has more urgent work; the next second is soon enough.
    static_cast<void>(around_.submit([self = shared_from_this()] {
      std::vector<std::pair<std::string, std::int64_t>> processes;
      {
        base::MutexLock lock(self->mutex_);
        for (const auto& [id, entry] : self->entries_) {
          if (entry.container != nullptr && entry.container->pid != 0 && entry.process_seen)
            processes.emplace_back(id, entry.container->pid);
        }
      }
      std::erase_if(processes, [&](const auto& process) { return self->process_shows(process.second); });
      base::MutexLock lock(self->mutex_);
      if (self->stopped_ || self->state_.connected) return;
      for (const auto& [id, pid] : processes) {
        if (const auto entry = self->entries_.find(id); entry != self->entries_.end()) self->end(entry->second);
      }
    }));
  }

  // ---- what others see

  void publish() QD_EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<const Container>> snapshot;
    {
      base::MutexLock lock(mutex_);
      for (const auto& [id, entry] : entries_) {
        if (entry.container != nullptr) snapshot.push_back(entry.container);
      }
    }
    std::vector<Container> list;
    list.reserve(snapshot.size());
    for (const auto& container : snapshot) list.push_back(*container);
    auto shared = std::make_shared<const std::vector<Container>>(std::move(list));
    {
      base::MutexLock lock(mutex_);
      list_ = std::move(shared);
    }
    changed_();
  }

  const Surroundings around_;
  const ContainerWatchOptions options_;
  const std::function<void()> changed_;
  EngineCounters counters_;

  mutable base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  Epoch epoch_ QD_GUARDED_BY(mutex_) = 0;
  EngineState state_ QD_GUARDED_BY(mutex_);
  std::optional<docker::Client> client_ QD_GUARDED_BY(mutex_);
  docker::Cancel cancel_events_ QD_GUARDED_BY(mutex_);
  std::map<std::string, Entry> entries_ QD_GUARDED_BY(mutex_);
  std::size_t known_ QD_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Wish> wishes_ QD_GUARDED_BY(mutex_);
  std::deque<std::string> queue_ QD_GUARDED_BY(mutex_);
  std::size_t inspects_running_ QD_GUARDED_BY(mutex_) = 0;

  std::int64_t retry_ms_ QD_GUARDED_BY(mutex_) = kRetryMsMin;
  std::int64_t connected_ns_ QD_GUARDED_BY(mutex_) = 0;
  bool seen_once_ QD_GUARDED_BY(mutex_) = false;
  bool told_ QD_GUARDED_BY(mutex_) = false;  // the log has why there is no connection
  bool limit_told_ QD_GUARDED_BY(mutex_) = false;
  TimerId retry_timer_ QD_GUARDED_BY(mutex_) = 0;
  TimerId resync_timer_ QD_GUARDED_BY(mutex_) = 0;
  TimerId process_timer_ QD_GUARDED_BY(mutex_) = 0;

  ContainerList list_ QD_GUARDED_BY(mutex_);
  RepeatedTask publisher_;
};

ContainerWatch::ContainerWatch(Surroundings surroundings, ContainerWatchOptions options, std::function<void()> changed)
    : core_(std::make_shared<Core>(std::move(surroundings), std::move(options), std::move(changed))) {}

ContainerWatch::~ContainerWatch() {
  core_->stop();
}

void ContainerWatch::start() {
  core_->start();
}

void ContainerWatch::stop() {
  core_->stop();
}

ContainerList ContainerWatch::containers() const {
  return core_->containers();
}

EngineState ContainerWatch::state() const {
  return core_->state();
}

}  // namespace qd::observe::discovery
