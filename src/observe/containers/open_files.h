// Counts what processes have open: /proc/<pid>/fd.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qd::observe::containers {

// Not thread-safe; one for all cgroups.
class OpenFiles {
 public:
  // Of one cgroup. With more, nothing is told of it: a look at each would take the pass's time.
  static constexpr std::size_t kProcessesMax = 1'000;
  static constexpr std::size_t kFilesMax = 10'000;

  explicit OpenFiles(std::string procfs) : procfs_(std::move(procfs)) {}

  struct Count {
    std::size_t files = 0;
    std::size_t sockets = 0;
    std::size_t cost = 0;  // calls, about
    bool complete = true;  // all processes could be looked at
  };
  // Of the processes that a cgroup.procs lists. A process that ends meanwhile has none.
  Count count(std::string_view processes);
  // Whether a process of the last count was another user's.
  bool denied() const { return denied_; }

 private:
  void count_process(std::string_view pid, Count& count);

  std::string procfs_;
  bool denied_ = false;
  std::string path_;
  std::vector<char> entries_ = std::vector<char>(16 << 10);
};

}  // namespace qd::observe::containers
