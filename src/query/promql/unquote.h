// Strings as PromQL writes them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::query::promql {

// The value of a string in any of the three kinds of quotes, escapes resolved; kInvalid says what is wrong in it.
base::Result<std::string> unquote(std::string_view quoted);

}  // namespace qd::query::promql
