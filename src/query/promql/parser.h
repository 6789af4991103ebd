// PromQL, from text to a typed tree: the grammar of Prometheus 3, with every error at its line and column.
//
// Safe on any bytes: text and nesting are bounded. Pure and thread-safe.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"

namespace qd::query::promql {

// A query longer than this, or whose tree is deeper, is refused.
inline constexpr std::size_t kQueryBytesMax = 256 * 1024;
inline constexpr int kQueryDepthMax = 512;

struct ParseOptions {
  // What Prometheus 3 hides behind feature flags: experimental functions, limitk and limit_ratio, arithmetic in
  // durations, fill, anchored and smoothed.
  bool experimental = false;
};

// kInvalid: `1:5: parse error: ...`, line and column in bytes from 1; kLimit past the bounds above.
base::Result<ExprPtr> parse(std::string_view text, const ParseOptions& options = {});

// One series selector, as the API's match[] has it: up{job="node"}.
base::Result<std::vector<model::Matcher>> parse_matchers(std::string_view text);

}  // namespace qd::query::promql
