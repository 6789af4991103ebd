#include "observe/host/own_network.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace qd::observe::host {

// The files of /proc/<pid>/net are made for each network anew: the same number is the same file, of the same network,
// wherever that /proc is mounted.
bool is_own_network(const Roots& roots) {
  if (roots.procfs == "/proc") return true;
  const std::string path = roots.procfs_net + "/dev";
  struct statfs system{};
  struct stat theirs{};
  struct stat own{};
  return ::statfs(path.c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC &&
         ::stat(path.c_str(), &theirs) == 0 && ::stat("/proc/self/net/dev", &own) == 0 && theirs.st_ino == own.st_ino;
}

}  // namespace qd::observe::host
