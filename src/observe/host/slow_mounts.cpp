#include "observe/host/slow_mounts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace qd::observe::host {

struct SlowMounts::Question {
  enum class Phase { kWaiting, kAsking, kAnswered };
  std::string path;
  Phase phase = Phase::kWaiting;
  bool asked_now = true;  // since the last wait
  bool wanted = true;     // since the last forget_others
  int error = 0;
  struct statfs answer{};
};

// Shared with the threads, which may outlive the SlowMounts.
struct SlowMounts::State {
  explicit State(Ask a) : ask(std::move(a)) {}

  const Ask ask;
  base::Mutex mutex;
  base::CondVar work;
  base::CondVar answered;
  bool stopping QD_GUARDED_BY(mutex) = false;
  std::size_t threads QD_GUARDED_BY(mutex) = 0;
  std::size_t idle QD_GUARDED_BY(mutex) = 0;
  std::deque<std::shared_ptr<Question>> queue QD_GUARDED_BY(mutex);
  std::map<std::string, std::shared_ptr<Question>> questions QD_GUARDED_BY(mutex);
};

SlowMounts::SlowMounts(Ask ask) : state_(std::make_shared<State>(std::move(ask))) {}

SlowMounts::~SlowMounts() {
  base::MutexLock lock(state_->mutex);
  state_->stopping = true;
  state_->queue.clear();
  state_->work.notify_all();
}

void SlowMounts::work(std::shared_ptr<State> state) {
  while (true) {
    std::shared_ptr<Question> question;
    {
      base::MutexLock lock(state->mutex);
      ++state->idle;
      while (state->queue.empty() && !state->stopping) state->work.wait(state->mutex);
      --state->idle;
      if (state->stopping) return;
      question = std::move(state->queue.front());
      state->queue.pop_front();
      question->phase = Question::Phase::kAsking;
    }
    struct statfs answer{};
    const int error = state->ask(question->path, answer);
    base::MutexLock lock(state->mutex);
    question->phase = Question::Phase::kAnswered;
    question->error = error;
    question->answer = answer;
    state->answered.notify_all();
  }
}

void SlowMounts::ask(const std::string& path) {
  base::MutexLock lock(state_->mutex);
  auto& question = state_->questions[path];
  if (question == nullptr) {
    question = std::make_shared<Question>();
    question->path = path;
  } else {
    question->wanted = true;
    if (question->phase != Question::Phase::kAnswered) return;
    question->phase = Question::Phase::kWaiting;
    question->asked_now = true;
  }
  state_->queue.push_back(question);
  if (state_->idle < state_->queue.size() && state_->threads < kThreadsMax) {
    try {
      std::thread(work, state_).detach();
      ++state_->threads;
    } catch (const std::system_error&) {
      // No thread to be had now: the question stays in the queue, and without an answer for this pass.
    }
  }
  state_->work.notify_one();
}

void SlowMounts::wait(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  base::MutexLock lock(state_->mutex);
  bool in_time = true;
  for (auto& [path, question] : state_->questions) {
    if (!question->asked_now) continue;
    while (in_time && question->phase != Question::Phase::kAnswered) {
      in_time = state_->answered.wait_until(state_->mutex, deadline);
    }
    question->asked_now = false;
  }
}

int SlowMounts::answer(const std::string& path, struct statfs& answer) {
  base::MutexLock lock(state_->mutex);
  const auto found = state_->questions.find(path);
  if (found == state_->questions.end() || found->second->phase != Question::Phase::kAnswered) return ETIMEDOUT;
  answer = found->second->answer;
  return found->second->error;
}

void SlowMounts::forget_others() {
  base::MutexLock lock(state_->mutex);
  for (auto it = state_->questions.begin(); it != state_->questions.end();) {
    if (std::exchange(it->second->wanted, false)) {
      ++it;
      continue;
    }
    std::erase(state_->queue, it->second);
    it = state_->questions.erase(it);
  }
}

bool may_hang(std::string_view fs_type) {
  static constexpr std::array<std::string_view, 22> kTypes = {
      "9p",   "afs",    "beegfs", "ceph", "cifs", "coda", "davfs", "fuse",     "fuseblk", "gfs2",  "glusterfs",
      "gpfs", "lustre", "ncpfs",  "ncp",  "nfs",  "nfs4", "ocfs2", "orangefs", "smb3",    "smbfs", "virtiofs"};
  return fs_type.starts_with("fuse.") || std::find(kTypes.begin(), kTypes.end(), fs_type) != kTypes.end();
}

}  // namespace qd::observe::host
