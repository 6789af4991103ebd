// Durations in a query: literals, and arithmetic on them as in foo[2 * step()].
#pragma once

#include <memory>
#include <string_view>

#include "query/promql/token_stream.h"

namespace qd::query::promql {

class DurationParser : public TokenStream {
 public:
  using TokenStream::TokenStream;

 protected:
  // A range or resolution, up to ":" or "]": greater than 0.
  base::Result<Duration> bracket_duration();
  // One operand: more than that belongs to the expression around (foo offset 5m + 2 is a sum).
  base::Result<Duration> offset_duration();

 private:
  base::Result<Duration> finish_duration(const Token& token, std::unique_ptr<DurationExpr> expr, bool positive);
  base::Result<std::unique_ptr<DurationExpr>> duration_expression(int min_precedence);
  base::Result<std::unique_ptr<DurationExpr>> duration_operand(std::string_view context);
};

}  // namespace qd::query::promql
