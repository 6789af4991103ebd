// Which build this is. What changes with every commit stands in one small source, so that only it is compiled again.
#pragma once

#include <string_view>

namespace qd::base {

std::string_view build_version();   // "0.1.0"
std::string_view build_revision();  // the commit, "-dirty" behind it where files differ; "unknown" outside git
std::string_view build_kind();      // "release", "debug"

}  // namespace qd::base
