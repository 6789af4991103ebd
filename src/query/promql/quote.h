// A string as PromQL writes it: in double quotes, escaped.
#pragma once

#include <string>
#include <string_view>

namespace qd::query::promql {

std::string quote(std::string_view text);

}  // namespace qd::query::promql
