#include "base/thread_pool.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "base/assert.h"

namespace qd::base {

ThreadPool::ThreadPool(std::size_t threads, std::size_t queue_limit, Start start)
    : threads_max_(threads), queue_(queue_limit) {
  QD_ASSERT(threads > 0);
  MutexLock lock(mutex_);
  threads_.reserve(threads);
  do {
    threads_.emplace_back([this] { work(); });
  } while (start == Start::kAtOnce && threads_.size() < threads);
  all_started_ = threads_.size() == threads;
}

ThreadPool::~ThreadPool() {
  queue_.close();
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    all_started_ = true;
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

std::size_t ThreadPool::threads() const {
  MutexLock lock(mutex_);
  return threads_.size();
}

Status ThreadPool::submit(std::function<void()> task) {
  ++tasks_;
  if (queue_.try_push(std::move(task))) {
    if (!all_started_) add_thread();
    return {};
  }
  --tasks_;
  if (queue_.closed()) return fail(ErrorCode::kCancelled, "submitting work: the thread pool is stopping");
  return fail(
      ErrorCode::kLimit,
      fmt::format("submitting work: {} tasks wait already, which is the limit; try again later", queue_.limit()));
}

void ThreadPool::work() {
  pthread_setname_np(pthread_self(), "qd-work");
  while (auto task = queue_.pop()) {
    (*task)();
    task.reset();
    --tasks_;
  }
}

void ThreadPool::add_thread() {
  MutexLock lock(mutex_);
  if (all_started_ || tasks_ <= threads_.size()) return;
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // The system has no more: the task waits for those there are, and the next one tries again.
    return;
  }
  all_started_ = threads_.size() == threads_max_;
}

namespace {

// Outlives the call: a helper that comes late finds nothing left to claim, and never touches `f`, which lies in the
// caller's frame.
struct Shares {
  Shares(std::size_t count, const std::function<void(std::size_t)>& call) : n(count), f(call) {}

  const std::size_t n;
  const std::function<void(std::size_t)>& f;
  std::atomic<std::size_t> next{0};
  Mutex mutex;
  CondVar done;
  std::size_t finished QD_GUARDED_BY(mutex) = 0;
  std::exception_ptr thrown QD_GUARDED_BY(mutex);  // the first; all shares run all the same

  void run() QD_EXCLUDES(mutex) {
    std::size_t mine = 0;
    for (std::size_t i = next.fetch_add(1); i < n; i = next.fetch_add(1)) {
      try {
        f(i);
      } catch (...) {
        MutexLock lock(mutex);
        if (!thrown) thrown = std::current_exception();
      }
      ++mine;
    }
    if (mine == 0) return;
    MutexLock lock(mutex);
    finished += mine;
    if (finished == n) done.notify_all();
  }

  void wait() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    while (finished < n) done.wait(mutex);
    if (thrown) std::rethrow_exception(thrown);
  }
};

}  // namespace

void ThreadPool::parallel_for(std::size_t n, const std::function<void(std::size_t)>& f) {
  if (n == 0) return;
  if (n == 1) return f(0);
  const auto shares = std::make_shared<Shares>(n, f);
  const std::size_t helpers = std::min(threads_max_, n - 1);
  for (std::size_t i = 0; i < helpers; ++i)
    if (!submit([shares] { shares->run(); })) break;
  shares->run();
  shares->wait();
}

}  // namespace qd::base
