// sum, avg, topk and the other aggregations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/source.h"

namespace qd::query::promql {

// Aggregations that fold one series after the other into its group's row, without keeping any.
base::Result<Rows> fold_groups(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid);

// Aggregations that must see all values of a step. `parameter`: k, the ratio or the quantile, one value a step.
base::Result<Rows> rank_groups(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid,
                               const RowValues& parameter);
base::Result<Rows> count_values(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid,
                                const std::string& label);

// Which group each series is in; groups are numbered as they first appear.
struct Grouping {
  std::vector<std::uint32_t> group_of;
  std::vector<model::LabelSet> labels;
};
Grouping group_series(const Context& context, const AggregateExpr& expr, const Source& source);
Grouping group_rows(const AggregateExpr& expr, const Rows& rows);

}  // namespace qd::query::promql
