#include "observe/sd/file_watch.h"

#define XXH_INLINE_ALL
#include <glob.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>

namespace qd::observe::sd {

std::vector<std::string> matching_files(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> names;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    const std::size_t count = std::min<std::size_t>(found.gl_pathc, kFilesMax);
    names.assign(found.gl_pathv, found.gl_pathv + count);
  }
  ::globfree(&found);
  return names;
}

std::uint64_t fingerprint(std::span<const std::string> patterns) {
  std::uint64_t hash = 0;
  for (const std::string& pattern : patterns) {
    for (const std::string& name : matching_files(pattern)) {
      struct stat info{};
      if (::stat(name.c_str(), &info) != 0) continue;
      const std::int64_t what[] = {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino),
                                   static_cast<std::int64_t>(info.st_size),
                                   static_cast<std::int64_t>(info.st_mtim.tv_sec),
                                   static_cast<std::int64_t>(info.st_mtim.tv_nsec)};
      hash = XXH3_64bits_withSeed(name.data(), name.size(), hash);
      hash = XXH3_64bits_withSeed(what, sizeof(what), hash);
    }
  }
  return hash;
}

}  // namespace qd::observe::sd
