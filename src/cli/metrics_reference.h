// docs/exporters.md: every metric of the built-in collectors, from their own tables.
#pragma once

#include <string>

namespace qd::cli {

std::string metrics_reference();

}  // namespace qd::cli
