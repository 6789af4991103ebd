// Processes and threads by state: /proc/<pid>/stat and /proc/<pid>/task/<tid>/stat (proc(5)).
//
// A process costs an open, a read and a close, six microseconds; a process of one thread needs no look at its threads.
// The threads of the others are read at a pace of their own (observe/host/pace.h), as a Java server may have thousands:
// where they are dear, their states are those that were last seen. So are those of processes past about a thousand.
// Nothing is allocated.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "observe/host/directory.h"
#include "observe/host/opt_in_families.h"
#include "observe/host/pace.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

enum ProcessFamily { kThreads, kMaxThreads, kState, kThreadsState, kPids, kMaxProcesses };
constexpr auto kProcessFamilies = std::to_array<FamilyInfo>({
    {"node_processes_threads", kGauge, "Allocated threads in system", ""},
    {"node_processes_max_threads", kGauge, "Limit of threads in the system", ""},
    {"node_processes_state", kGauge, "Number of processes in each state.", "state"},
    {"node_processes_threads_state", kGauge, "Number of threads in each state.", "thread_state"},
    {"node_processes_pids", kGauge, "Number of PIDs", ""},
    {"node_processes_max_processes", kGauge, "Number of max PIDs limit", ""},
});

// Of processes with several threads, in one look.
constexpr std::size_t kThreadsReadMax = 50'000;
constexpr std::string_view kTooManyThreads = "threads of /proc, of which at most 50000 are read";
constexpr std::int64_t kProcessesCheapNs = 5'000'000;
// The passes' deadline is looked at once for so many.
constexpr std::size_t kProcessesBetweenLooks = 256;

// How many there are in each state, a letter.
class States {
 public:
  void clear() { counts_.fill(0); }
  void add(char state) {
    const std::size_t at = place(state);
    ++counts_[at];
    seen_[at] = true;
  }
  void add(const States& others) {
    for (std::size_t i = 0; i < kLetters.size(); ++i) {
      counts_[i] += others.counts_[i];
      seen_[i] = seen_[i] || others.seen_[i];
    }
  }
  // A state that was once seen stays, as 0: a zombie that is gone is worth saying.
  void tell(Sink& sink, std::string_view label) const {
    for (std::size_t i = 0; i < kLetters.size(); ++i) {
      if (seen_[i]) sink.sample({{label, kLetters.substr(i, 1)}}, static_cast<double>(counts_[i]));
    }
  }

 private:
  // fs/proc/array.c, task_state_array; those of older kernels; and '?' for what is none.
  static constexpr std::string_view kLetters = "RSDTtXZPIxKW?";
  static std::size_t place(char state) {
    const std::size_t at = kLetters.find(state);
    return at == std::string_view::npos ? kLetters.size() - 1 : at;
  }

  std::array<std::uint64_t, kLetters.size()> counts_{};
  std::array<bool, kLetters.size()> seen_{};
};

bool is_number(const char* name) {
  return *name >= '1' && *name <= '9';
}

struct Stat {
  char state = '?';
  std::uint64_t threads = 0;
};

bool is_gone(int error) {
  return error == ENOENT || error == ESRCH;
}

// "1 (name) S 0 1 1 …": the name holds anything, so what counts is behind its last bracket. State is the 3rd word,
// num_threads the 20th.
bool parse(std::string_view text, Stat& stat) {
  const auto bracket = text.rfind(')');
  if (bracket == std::string_view::npos) return false;
  Scanner words(text.substr(bracket + 1));
  const std::string_view state = words.word();
  if (state.size() != 1) return false;
  stat.state = state[0];
  for (int skipped = 4; skipped < 20; ++skipped) words.word();
  return words.number(stat.threads);
}

// An errno: ESRCH for a process that has ended, EBADMSG for content that is not understood.
int read_stat(int directory, const char* number, Stat& stat) {
  std::array<char, 32> path;
  const std::size_t size = std::strlen(number);
  if (size + sizeof("/stat") > path.size()) return ESRCH;
  std::memcpy(path.data(), number, size);
  std::memcpy(path.data() + size, "/stat", sizeof("/stat"));
  const int file = ::openat(directory, path.data(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno;
  // About fifty numbers and a name of 64 bytes at most.
  std::array<char, 2048> text;
  const auto got = ::read(file, text.data(), text.size());
  const int error = got < 0 ? errno : 0;
  ::close(file);
  if (error != 0) return error;
  if (got == 0) return ESRCH;
  return parse({text.data(), static_cast<std::size_t>(got)}, stat) ? 0 : EBADMSG;
}

class ProcessesPart final : public Part {
 public:
  ProcessesPart(FileReader& reader, const Roots& roots)
      : procfs_(roots.procfs + "/"),
        threads_max_(reader, roots.procfs + "/sys/kernel/threads-max"),
        pid_max_(reader, roots.procfs + "/sys/kernel/pid_max") {}
  std::string_view name() const override { return "processes"; }

  Outcome collect(const Pass& pass) override {
    std::uint64_t threads_max = 0;
    std::uint64_t pid_max = 0;
    if (const Outcome outcome = read_number(threads_max_, threads_max); !outcome.ok) return outcome;
    if (const Outcome outcome = read_number(pid_max_, pid_max); !outcome.ok) return outcome;
    const std::int64_t from_ns = pass.clock.monotonic_ns();
    if (pace_.due(from_ns)) {
      outcome_ = walk(pass, threads_pace_.due(from_ns));
      pace_.took(from_ns, pass.clock.monotonic_ns() - thread_walks_ns_);
    }
    if (!outcome_.ok) return outcome_;
    tell(pass.sink, kThreads, threads_);
    tell(pass.sink, kMaxThreads, threads_max);
    begin_family(pass.sink, kProcessFamilies[kState]);
    processes_.tell(pass.sink, "state");
    tell(pass.sink, kPids, pids_);
    tell(pass.sink, kMaxProcesses, pid_max);
    if (too_many_threads_) return Outcome::failed(EFBIG, kTooManyThreads);
    all_threads_.clear();
    all_threads_.add(processes_);
    all_threads_.add(other_threads_);
    begin_family(pass.sink, kProcessFamilies[kThreadsState]);
    all_threads_.tell(pass.sink, "thread_state");
    return {};
  }

 private:
  static Outcome read_number(KeptFile& file, std::uint64_t& value) {
    const auto text = file.read();
    if (!text) return Outcome::failed(text.error(), file.path());
    const auto number = lone_number(*text);
    if (!number) return Outcome::not_understood(file.path());
    value = *number;
    return {};
  }

  static void tell(Sink& sink, ProcessFamily family, std::uint64_t value) {
    begin_family(sink, kProcessFamilies[family]);
    sink.sample(static_cast<double>(value));
  }

  Outcome walk(const Pass& pass, bool with_threads) {
    const int procfs = ::open(procfs_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (procfs < 0) return Outcome::failed(errno, procfs_);
    const std::int64_t from_ns = pass.clock.monotonic_ns();
    processes_.clear();
    pids_ = threads_ = 0;
    if (with_threads) {
      other_threads_.clear();
      threads_read_ = 0;
      too_many_threads_ = false;
    }
    thread_walks_ns_ = 0;
    const int error = processes_walk_.walk(procfs, [&](const char* pid) {
      Stat stat;
      if (!is_number(pid)) return 0;
      if (const int failed = read_stat(procfs, pid, stat); failed != 0) return is_gone(failed) ? 0 : failed;
      processes_.add(stat.state);
      threads_ += stat.threads;
      if (++pids_ % kProcessesBetweenLooks == 0 && pass.late()) return ETIMEDOUT;
      if (!with_threads || stat.threads < 2 || too_many_threads_) return 0;
      const std::int64_t walk_ns = pass.clock.monotonic_ns();
      const int walked = walk_threads(procfs, pid, pass);
      thread_walks_ns_ += pass.clock.monotonic_ns() - walk_ns;
      return is_gone(walked) ? 0 : walked;
    });
    ::close(procfs);
    if (with_threads) threads_pace_.took(from_ns, from_ns + thread_walks_ns_);
    if (error == EBADMSG) return Outcome::not_understood(procfs_);
    return error == 0 ? Outcome{} : Outcome::failed(error, procfs_);
  }

  // The threads of a process but its first, whose state is that of the process.
  int walk_threads(int procfs, const char* pid, const Pass& pass) {
    std::array<char, 32> path;
    const std::size_t size = std::strlen(pid);
    std::memcpy(path.data(), pid, size);
    std::memcpy(path.data() + size, "/task", sizeof("/task"));
    const int tasks = ::openat(procfs, path.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0) return errno;
    const int error = threads_walk_.walk(tasks, [&](const char* tid) {
      if (!is_number(tid) || std::strcmp(tid, pid) == 0 || too_many_threads_) return 0;
      Stat stat;
      if (const int failed = read_stat(tasks, tid, stat); failed != 0) return is_gone(failed) ? 0 : failed;
      other_threads_.add(stat.state);
      too_many_threads_ = ++threads_read_ >= kThreadsReadMax;
      return threads_read_ % kProcessesBetweenLooks == 0 && pass.late() ? ETIMEDOUT : 0;
    });
    ::close(tasks);
    return error;
  }

  std::string procfs_;
  KeptFile threads_max_;
  KeptFile pid_max_;
  Pace pace_{kProcessesCheapNs};
  Pace threads_pace_;
  std::int64_t thread_walks_ns_ = 0;  // in the last walk
  Outcome outcome_;
  DirectoryWalk processes_walk_;
  DirectoryWalk threads_walk_;
  std::uint64_t pids_ = 0;
  std::uint64_t threads_ = 0;
  std::size_t threads_read_ = 0;
  bool too_many_threads_ = false;
  States processes_;
  States other_threads_;
  States all_threads_;
};

}  // namespace

std::span<const FamilyInfo> processes_families() {
  return kProcessFamilies;
}

std::unique_ptr<Part> processes_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<ProcessesPart>(reader, roots);
}

}  // namespace qd::observe::host
