// Mutexes whose guarded data the compiler knows (clang -Wthread-safety; elsewhere the annotations are empty).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define QD_ANNOTATION(x) __attribute__((x))
#else
#define QD_ANNOTATION(x)
#endif
#define QD_CAPABILITY(name) QD_ANNOTATION(capability(name))
#define QD_SCOPED_CAPABILITY QD_ANNOTATION(scoped_lockable)
#define QD_GUARDED_BY(mutex) QD_ANNOTATION(guarded_by(mutex))
#define QD_PT_GUARDED_BY(mutex) QD_ANNOTATION(pt_guarded_by(mutex))
#define QD_REQUIRES(...) QD_ANNOTATION(requires_capability(__VA_ARGS__))
#define QD_REQUIRES_SHARED(...) QD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define QD_EXCLUDES(...) QD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define QD_ACQUIRE(...) QD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define QD_ACQUIRE_SHARED(...) QD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define QD_RELEASE(...) QD_ANNOTATION(release_capability(__VA_ARGS__))
#define QD_RELEASE_SHARED(...) QD_ANNOTATION(release_shared_capability(__VA_ARGS__))
#define QD_RELEASE_GENERIC(...) QD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define QD_NO_THREAD_SAFETY_ANALYSIS QD_ANNOTATION(no_thread_safety_analysis)

namespace qd::base {

class QD_CAPABILITY("mutex") Mutex {
 public:
  void lock() QD_ACQUIRE() { mutex_.lock(); }
  void unlock() QD_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class QD_CAPABILITY("mutex") SharedMutex {
 public:
  void lock() QD_ACQUIRE() { mutex_.lock(); }
  void unlock() QD_RELEASE() { mutex_.unlock(); }
  void lock_shared() QD_ACQUIRE_SHARED() { mutex_.lock_shared(); }
  void unlock_shared() QD_RELEASE_SHARED() { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

class QD_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) QD_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() QD_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class QD_SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) QD_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterLock() QD_RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class QD_SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) QD_ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex_.lock_shared(); }
  ~ReaderLock() QD_RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

// Waits with the mutex held by the caller. Write the condition as a loop around wait, so that the analysis sees it.
class CondVar {
 public:
  void wait(Mutex& mutex) QD_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False once `deadline` has passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) QD_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace qd::base
