#include "observe/sd/file_watch.h"

#define XXH_INLINE_ALL
#include <sys/stat.h>
#include <xxhash.h>

#include "base/glob.h"

namespace qd::observe::sd {

std::vector<std::string> matching_files(const std::string& pattern) {
  return base::files_like(pattern, kFilesMax).value_or(std::vector<std::string>{});
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
