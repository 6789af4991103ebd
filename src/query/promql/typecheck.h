// What the grammar alone cannot see: argument counts and types, which operators fit which operands.
#pragma once

#include <string_view>

#include "base/result.h"
#include "query/promql/ast.h"

namespace qd::query::promql {

// `text` is what the tree was parsed from, for the position in the error.
base::Status check_types(const Expr& expr, std::string_view text);

}  // namespace qd::query::promql
