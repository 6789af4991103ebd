// What a query asks the store for.
#pragma once

#include <vector>

#include "model/matcher.h"
#include "query/promql/ast.h"

namespace qd::query::promql {

// The matchers of every selector in the tree, those of ranges and subqueries among them, in the order of the text.
std::vector<std::vector<model::Matcher>> matchers_of(const Expr& expr);

}  // namespace qd::query::promql
