// The names in a directory, read with getdents64(2) into a buffer that is kept: nothing is allocated from walk to walk.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <array>
#include <cerrno>

namespace qd::observe::host {

class DirectoryWalk {
 public:
  // Calls `each` with the name of each entry ("." and ".." too), valid during the call, until it returns an errno;
  // which is returned, or that of reading the directory, or 0.
  template <typename Each>
  int walk(int directory, Each each) {
    while (true) {
      const auto got = ::getdents64(directory, buffer_.data(), buffer_.size());
      if (got <= 0) return got < 0 ? errno : 0;
      for (ssize_t at = 0; at < got;) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer_.data() + at);
        at += entry->d_reclen;
        if (const int error = each(entry->d_name); error != 0) return error;
      }
    }
  }

 private:
  alignas(dirent64) std::array<char, 32 << 10> buffer_;
};

}  // namespace qd::observe::host
