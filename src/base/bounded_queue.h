// A queue between threads that refuses when it is full. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace qd::base {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit) : limit_(limit) {}

  // False when the queue is full or closed; the value is dropped.
  bool try_push(T value) QD_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closed_ || items_.size() >= limit_) return false;
    items_.push_back(std::move(value));
    wake_.notify_one();
    return true;
  }

  // Waits; nothing comes once the queue is closed.
  std::optional<T> pop() QD_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) wake_.wait(mutex_);
    if (closed_) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    return value;
  }

  // What waits is never given out; it goes with the queue.
  void close() QD_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    closed_ = true;
    wake_.notify_all();
  }

  bool closed() const QD_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return closed_;
  }

  std::size_t size() const QD_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return items_.size();
  }
  std::size_t limit() const { return limit_; }

 private:
  const std::size_t limit_;
  mutable Mutex mutex_;
  CondVar wake_;
  bool closed_ QD_GUARDED_BY(mutex_) = false;
  std::deque<T> items_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::base
