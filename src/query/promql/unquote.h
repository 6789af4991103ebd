// Strings as PromQL writes them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::query::promql {

// In double quotes, escaped.
std::string quote(std::string_view text);

// The value of a string in any of the three kinds of quotes, escapes resolved; kInvalid says what is wrong in it.
base::Result<std::string> unquote(std::string_view quoted);

}  // namespace qd::query::promql
