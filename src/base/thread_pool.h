// Threads for work that computes: queries, sealing, merging, rendering.
//
// The queue is bounded; a full one refuses (kLimit), it never blocks the caller. Tasks that are refused or still queued
// at stop are never run. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/mutex.h"
#include "base/result.h"

namespace qd::base {

// Shared by whoever may cancel and whoever computes. Cheap to ask in inner loops (every thousand samples or so).
class CancelToken {
 public:
  CancelToken() : cancelled_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { cancelled_->store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

class ThreadPool {
 public:
  enum class Start : std::uint8_t {
    kAtOnce,
    kAsNeeded,  // one thread; another whenever there are more tasks than threads
  };

  ThreadPool(std::size_t threads, std::size_t queue_limit, Start start = Start::kAtOnce);
  // Waits for the tasks that run; drops those that wait.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  Status submit(std::function<void()> task) QD_EXCLUDES(mutex_);
  // That run.
  std::size_t threads() const QD_EXCLUDES(mutex_);
  std::size_t queued() const { return queue_.size(); }

  // Calls f(i) for every i in [0, n), on the pool's threads and the caller's, and returns when all are done. Never
  // deadlocks when called from a pool thread: the caller alone can finish it. A full queue only means fewer helpers.
  // What an f throws (std::bad_alloc) is thrown here, once all are done.
  void parallel_for(std::size_t n, const std::function<void(std::size_t)>& f);

 private:
  void work();
  void add_thread() QD_EXCLUDES(mutex_);

  const std::size_t threads_max_;
  BoundedQueue<std::function<void()>> queue_;
  std::atomic<std::size_t> tasks_{0};  // that wait or run, and such as are being refused
  std::atomic<bool> all_started_{false};
  mutable Mutex mutex_;
  std::vector<std::thread> threads_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::base
