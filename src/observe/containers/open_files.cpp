#include "observe/containers/open_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "observe/scan.h"

namespace qd::observe::containers {

void OpenFiles::count_process(std::string_view pid, Count& count) {
  path_ = procfs_;
  path_ += '/';
  path_ += pid;
  path_ += "/fd";
  ++count.cost;
  const int directory = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    denied_ = errno == EACCES || errno == EPERM;
    if (denied_) count.complete = false;
    return;
  }
  while (count.complete) {
    const auto got = ::syscall(SYS_getdents64, directory, entries_.data(), entries_.size());
    if (got < 0 && (errno == EACCES || errno == EPERM)) {
      denied_ = true;
      count.complete = false;
    }
    if (got <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const auto* entry = reinterpret_cast<const dirent*>(entries_.data() + at);
      at += entry->d_reclen;
      if (entry->d_name[0] == '.') continue;
      if (++count.files > kFilesMax) {
        count.complete = false;
        break;
      }
      ++count.cost;
      // Only the beginning is wanted of "socket:[12345]".
      std::array<char, 7> target;
      const auto size = ::readlinkat(directory, entry->d_name, target.data(), target.size());
      if (size > 0 && std::string_view(target.data(), static_cast<std::size_t>(size)) == "socket:") ++count.sockets;
    }
  }
  ::close(directory);
}

OpenFiles::Count OpenFiles::count(std::string_view processes) {
  Count count;
  denied_ = false;
  std::size_t seen = 0;
  Scanner lines(processes);
  while (!lines.at_end() && count.complete) {
    const std::string_view pid = lines.line();
    if (pid.empty() || pid == "0" || !decimal(pid)) continue;
    if (++seen > kProcessesMax) {
      count.complete = false;
      break;
    }
    count_process(pid, count);
  }
  return count;
}

}  // namespace qd::observe::containers
