// statfs on file systems that may never answer (NFS whose server is gone, FUSE whose process hangs).
//
// A few helper threads ask; the pass waits for them for a bounded time and goes on without those that have not
// answered. A mount that hangs holds its thread (a call into a dead NFS server cannot be interrupted) and is not asked
// again until it answers; when all threads are held, further slow mounts count as hanging too. Used by one thread.
#pragma once

#include <sys/vfs.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace qd::observe::host {

class SlowMounts {
 public:
  static constexpr std::size_t kThreadsMax = 4;

  // Returns an errno, or 0 with the answer filled. Called on any thread, possibly after the SlowMounts is gone.
  using Ask = std::function<int(const std::string& path, struct statfs& answer)>;

  explicit SlowMounts(Ask ask);
  // Does not wait for threads that hang; they end with their call.
  ~SlowMounts();
  SlowMounts(const SlowMounts&) = delete;
  SlowMounts& operator=(const SlowMounts&) = delete;

  // Asks about `path` unless the last question is still unanswered.
  void ask(const std::string& path);
  // Until all that was asked since the last wait is answered, or `patience` is over.
  void wait(std::chrono::milliseconds patience);
  // An errno, or 0 with the answer filled; ETIMEDOUT while there is no answer to the last question.
  int answer(const std::string& path, struct statfs& answer);
  // Forgets paths that were not asked about since the last call of this.
  void forget_others();

 private:
  struct Question;
  struct State;
  static void work(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

// Whether a file system of this type may hang: those behind a network or a process.
bool may_hang(std::string_view fs_type);

}  // namespace qd::observe::host
