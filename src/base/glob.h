// Files by a pattern of shells: *, ? and [...] in the parts of a path (glob(3)). Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace qd::base {

// Sorted, the first `most` of them; none when nothing is like that. kUnavailable when a directory cannot be read.
Result<std::vector<std::string>> files_like(const std::string& pattern, std::size_t most);

}  // namespace qd::base
