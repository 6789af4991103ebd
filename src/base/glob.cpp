#include "base/glob.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>

namespace qd::base {

Result<std::vector<std::string>> files_like(const std::string& pattern, std::size_t most) {
  glob_t found{};
  const int rc = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> names;
  if (rc == 0) names.assign(found.gl_pathv, found.gl_pathv + std::min<std::size_t>(found.gl_pathc, most));
  ::globfree(&found);
  if (rc != 0 && rc != GLOB_NOMATCH)
    return fail(ErrorCode::kUnavailable, fmt::format("looking for files like {} failed", pattern));
  return names;
}

}  // namespace qd::base
