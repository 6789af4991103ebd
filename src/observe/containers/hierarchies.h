// Which hierarchy of control groups is mounted where (cgroups(7)): version 1 has one for each controller or a few,
// version 2 one for all; a hybrid machine has both, with its controllers in version 1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/containers/roots.h"
#include "observe/kept_file.h"

namespace qd::observe::containers {

enum class Controller : std::uint8_t { kMemory, kCpu, kCpuTime, kIo, kPids, kPressure, kCount };

// Where the cgroups' files of a controller are.
struct Place {
  std::string directory;  // of the root cgroup, without a slash at the end
  int version = 0;        // 1, 2, or 0 when the machine does not have the controller
};

struct Hierarchies {
  std::array<Place, static_cast<std::size_t>(Controller::kCount)> places;
  // Roots that together have every cgroup; one or two.
  std::vector<std::string> walked;

  const Place& at(Controller controller) const { return places[static_cast<std::size_t>(controller)]; }
  Place& at(Controller controller) { return places[static_cast<std::size_t>(controller)]; }
};

// By the mount table of this process, or of process 1 where the machine's /proc is seen elsewhere. kNotFound says what
// to mount.
base::Result<Hierarchies> find_hierarchies(FileReader& reader, const Roots& roots);

// The mount table that tells of the machine: "" when there is none.
std::string machine_mounts(FileReader& reader, const Roots& roots);

// A line of mountinfo (proc(5)). Texts are those of the line; `point` has its escapes undone.
struct Mount {
  std::string_view device_number;  // "8:1"
  std::string_view root;
  std::string point;
  std::string_view type;
  std::string_view source;
  std::string_view super_options;
};
bool parse_mount(std::string_view line, Mount& mount);

}  // namespace qd::observe::containers
