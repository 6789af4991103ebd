// A call that may never come back, on a thread of its own: whoever asks waits for a bounded time.
//
// A call into a broken driver cannot be interrupted. When the time is over the thread is left to itself, and nothing
// else is begun until it ends; it may outlive the OwnThread. A thread is made for each call, which costs about a tenth
// of a millisecond, so that nobody holds one while there is nothing to do. Used by one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/result.h"

namespace qd::observe::gpu {

class OwnThread {
 public:
  OwnThread();
  // Waits for nothing.
  ~OwnThread();
  OwnThread(const OwnThread&) = delete;
  OwnThread& operator=(const OwnThread&) = delete;

  // Whether the last task is still at it.
  bool busy() const;
  // REQUIRES: !busy(). True when `task` ended in time; what it uses must live until it ends. kLimit when the system
  // has no thread left.
  base::Result<bool> run(std::function<void()> task, std::chrono::steady_clock::time_point deadline);

  // Whether a task of any OwnThread was not waited for and is still at it. While one hangs in dlopen it holds the
  // loader's lock, and a process that ends by exit() waits for that lock: it has to end by _exit(). May be called by
  // every thread.
  static bool any_left_behind();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace qd::observe::gpu
