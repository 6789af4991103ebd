// One cgroup: its files, kept open, and what they said last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "observe/container.h"
#include "observe/containers/figures.h"
#include "observe/containers/hierarchies.h"
#include "observe/containers/labels.h"
#include "observe/containers/machine.h"
#include "observe/containers/open_files.h"
#include "observe/kept_file.h"

namespace qd::observe::containers {

// What a pass has for all cgroups, and what they leave for it.
struct Reading {
  const Hierarchies& hierarchies;
  const Roots& roots;
  const Machine& machine;
  std::int64_t now_ns = 0;
  double wall_s = 0;
  std::string denied;  // the last file that may not be read; empty when all may
};

class Cgroup {
 public:
  // Limits change when somebody changes them, and take an opened file each.
  static constexpr std::int64_t kLimitsReadEveryNs = 60'000'000'000;

  // `path` is as cAdvisor shows it. `reader` outlives the cgroup.
  Cgroup(FileReader& reader, const Reading& reading, std::string path, std::uint64_t inode);

  // `container` is null for what the engine does not know; it is not kept.
  void set_container(const Container* container, const LabelChoice& choice);

  // False when the cgroup has gone, which may be at any moment: nothing is to be told of it then.
  bool read(Reading& reading);
  // Counts open files and sockets of the processes; they are told until the next count. Gives what it cost.
  std::size_t count_open_files(OpenFiles& open_files);

  const std::string& path() const { return path_; }
  std::uint64_t inode() const { return inode_; }
  // Empty for what is no container.
  std::string_view id() const { return id_; }
  const Figures& figures() const { return figures_; }
  std::span<const model::Label> labels() const { return labels_.all(); }

 private:
  enum File : std::uint8_t {
    kMemoryStat,
    kMemoryUsage,
    kMemoryMaxUsage,
    kMemoryFailcnt,
    kMemoryKernel,
    kMemoryEvents,
    kMemorySwap,
    kCpuUsage,
    kCpuTimes,
    kThrottling,
    kIoBytes,
    kIoOperations,
    kPids,
    kProcesses,
    kCpuPressure,
    kMemoryPressure,
    kIoPressure,
    kFiles
  };
  enum class State : std::uint8_t { kUnknown, kThere, kAbsent };
  struct Source {
    Controller controller;
    std::string_view version_1;
    std::string_view version_2;
  };
  static const std::array<Source, kFiles> kSources;

  bool is_root() const { return path_.size() == 1; }
  std::string directory(const Place& place) const { return is_root() ? place.directory : place.directory + path_; }
  std::optional<std::string_view> text(File file, Reading& reading);
  std::optional<std::string_view> limit_text(Controller controller, std::string_view file, Reading& reading);
  void read_memory(Reading& reading);
  void read_cpu(Reading& reading);
  void read_io(Reading& reading);
  void read_processes_and_network(Reading& reading);
  void read_limits(Reading& reading);
  void read_memory_limits(Reading& reading);
  void read_cpu_limits(Reading& reading);

  FileReader& reader_;
  std::string path_;
  std::uint64_t inode_;
  std::string id_;
  CgroupLabels labels_;
  std::array<std::optional<KeptFile>, kFiles> files_;
  std::array<State, kFiles> states_{};
  std::array<int, kFiles> versions_{};
  bool gone_ = false;
  bool is_known_ = false;
  bool has_network_ = true;
  double health_ = 0;
  double created_s_ = 0;  // by its directories
  double container_created_s_ = 0;
  double container_started_s_ = 0;
  std::int64_t engine_pid_ = 0;
  std::int64_t first_pid_ = 0;
  std::int64_t next_limits_ns_ = 0;
  Figures figures_;
};

}  // namespace qd::observe::containers
