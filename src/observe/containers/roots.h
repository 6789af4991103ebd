// Where the machine is seen.
#pragma once

#include <string>

namespace qd::observe::containers {

// Directories without a slash at the end; rootfs "/" is "".
struct Roots {
  std::string procfs;
  std::string sysfs;
  std::string rootfs;

  // What the machine itself knows as /sys/… or /….
  std::string seen(const std::string& path) const {
    return path.starts_with("/sys/") ? sysfs + path.substr(4) : rootfs + path;
  }
};

}  // namespace qd::observe::containers
