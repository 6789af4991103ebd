#include "observe/gpu/own_thread.h"

#include <fmt/format.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/mutex.h"

namespace qd::observe::gpu {
namespace {

std::atomic<int> left_behind = 0;

}  // namespace

struct OwnThread::State {
  base::Mutex mutex;
  base::CondVar ended;
  bool busy QD_GUARDED_BY(mutex) = false;
  bool left QD_GUARDED_BY(mutex) = false;  // nobody waits any more
};

OwnThread::OwnThread() : state_(std::make_shared<State>()) {}
OwnThread::~OwnThread() = default;

bool OwnThread::busy() const {
  base::MutexLock lock(state_->mutex);
  return state_->busy;
}

base::Result<bool> OwnThread::run(std::function<void()> task, std::chrono::steady_clock::time_point deadline) {
  {
    base::MutexLock lock(state_->mutex);
    QD_ASSERT(!state_->busy);
    state_->busy = true;
  }
  std::thread thread;
  try {
    thread = std::thread([state = state_, work = std::move(task)]() mutable {
      work();
      // What it holds goes on this thread, before anybody takes it for ended.
      work = nullptr;
      base::MutexLock lock(state->mutex);
      state->busy = false;
      if (std::exchange(state->left, false)) --left_behind;
      state->ended.notify_all();
    });
  } catch (const std::system_error& error) {
    base::MutexLock lock(state_->mutex);
    state_->busy = false;
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("starting a thread for the GPU driver: {}; raise the limit on processes (ulimit -u, "
                                  "TasksMax)",
                                  error.what()));
  }
  bool ended = false;
  {
    base::MutexLock lock(state_->mutex);
    bool in_time = true;
    while (state_->busy && in_time) in_time = state_->ended.wait_until(state_->mutex, deadline);
    ended = !state_->busy;
    if (!ended) {
      state_->left = true;
      ++left_behind;
    }
  }
  if (ended) {
    thread.join();
  } else {
    thread.detach();
  }
  return ended;
}

bool OwnThread::any_left_behind() {
  return left_behind > 0;
}

}  // namespace qd::observe::gpu
