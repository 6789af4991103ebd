#include "connect/event_loop.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <list>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "base/mutex.h"
#include "connect/event_loop_asio.h"

namespace qd::connect {
namespace {

namespace asio = boost::asio;

// Further away than anything waits, and near enough that adding it to a clock cannot overflow.
constexpr std::int64_t kDelayNsMax = std::int64_t{1} << 61;

struct Timer {
  Timer(asio::io_context& context, base::Scheduler::Task the_task) : timer(context), task(std::move(the_task)) {}
  asio::steady_timer timer;
  base::Scheduler::Task task;
};

struct Signal {
  Signal(asio::io_context& context, base::Scheduler::Task the_task) : set(context), task(std::move(the_task)) {}
  asio::signal_set set;
  base::Scheduler::Task task;
};

}  // namespace

struct EventLoop::Impl {
  base::SystemClock clock;
  base::Mutex mutex;
  TimerId last_id QD_GUARDED_BY(mutex) = 0;
  // Whoever takes a timer out of here owns it: its firing, or cancel.
  std::unordered_map<TimerId, std::unique_ptr<Timer>> timers QD_GUARDED_BY(mutex);
  std::list<Signal> signals QD_GUARDED_BY(mutex);
  std::vector<std::thread> threads QD_GUARDED_BY(mutex);
  std::atomic<bool> running{false};
  std::atomic<bool> closing{false};
  // Declared last, so that what its destructor drops may still call post, at and cancel (which then do nothing).
  std::optional<asio::io_context> context{std::in_place};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work{context->get_executor()};

  std::unique_ptr<Timer> take(TimerId id) QD_EXCLUDES(mutex) {
    base::MutexLock lock(mutex);
    const auto it = timers.find(id);
    if (it == timers.end()) return nullptr;
    auto timer = std::move(it->second);
    timers.erase(it);
    return timer;
  }

  void fire(TimerId id) {
    if (const auto timer = take(id)) timer->task();
  }

  void await(Signal& signal) {
    signal.set.async_wait([this, &signal](const boost::system::error_code& error, int) {
      if (error) return;
      signal.task();
      await(signal);
    });
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {
  std::signal(SIGPIPE, SIG_IGN);
}

EventLoop::~EventLoop() {
  stop();
  join();
  impl_->closing = true;
  std::unordered_map<TimerId, std::unique_ptr<Timer>> timers;
  std::list<Signal> signals;
  {
    base::MutexLock lock(impl_->mutex);
    timers.swap(impl_->timers);
    signals.swap(impl_->signals);
  }
  timers.clear();
  signals.clear();
  impl_->work.reset();
  impl_->context.reset();
}

base::Status EventLoop::start(std::size_t threads) {
  QD_ASSERT(!impl_->running.exchange(true));
  base::MutexLock lock(impl_->mutex);
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) {
    try {
      impl_->threads.emplace_back([context = &*impl_->context] { context->run(); });
      pthread_setname_np(impl_->threads.back().native_handle(), fmt::format("qd-loop-{}", i).c_str());
    } catch (const std::system_error& error) {
      if (i > 0) break;  // fewer threads serve as well, only slower
      impl_->running = false;
      return base::fail(base::ErrorCode::kUnavailable,
                        fmt::format("cannot start a thread for the event loop: {}; raise the limit on processes "
                                    "(ulimit -u, TasksMax=)",
                                    error.what()));
    }
  }
  return {};
}

void EventLoop::stop() {
  impl_->running = false;
  impl_->context->stop();
}

void EventLoop::join() {
  std::vector<std::thread> threads;
  {
    base::MutexLock lock(impl_->mutex);
    threads.swap(impl_->threads);
  }
  for (auto& thread : threads) thread.join();
}

bool EventLoop::running() const {
  return impl_->running;
}

const base::Clock& EventLoop::clock() const {
  return impl_->clock;
}

void EventLoop::post(Task task) {
  if (!impl_->closing) asio::post(*impl_->context, std::move(task));
}

base::Scheduler::TimerId EventLoop::at(std::int64_t at_ns, Task task) {
  base::MutexLock lock(impl_->mutex);
  const TimerId id = ++impl_->last_id;
  if (impl_->closing) return id;
  auto timer = std::make_unique<Timer>(*impl_->context, std::move(task));
  const std::int64_t now_ns = impl_->clock.monotonic_ns();
  const std::int64_t delay_ns = at_ns <= now_ns ? 0 : std::min(at_ns - now_ns, kDelayNsMax);
  timer->timer.expires_after(std::chrono::nanoseconds(delay_ns));
  timer->timer.async_wait([impl = impl_.get(), id](const boost::system::error_code& error) {
    if (!error) impl->fire(id);
  });
  impl_->timers.emplace(id, std::move(timer));
  return id;
}

bool EventLoop::cancel(TimerId id) {
  return impl_->take(id) != nullptr;
}

base::Status EventLoop::on_signal(int signal_number, Task task) {
  base::MutexLock lock(impl_->mutex);
  Signal& signal = impl_->signals.emplace_back(*impl_->context, std::move(task));
  boost::system::error_code error;
  static_cast<void>(signal.set.add(signal_number, error));
  if (error) {
    impl_->signals.pop_back();
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("cannot handle signal {}: {}", signal_number, error.message()));
  }
  impl_->await(signal);
  return {};
}

asio::io_context& io_context(EventLoop& loop) {
  return *loop.impl().context;
}

}  // namespace qd::connect
