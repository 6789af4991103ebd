// Walks a typed tree and strings sources together for it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/context.h"
#include "query/promql/selectors.h"
#include "query/promql/source.h"

namespace qd::query::promql {

class Evaluator {
 public:
  explicit Evaluator(Context& context) : context_(context) {}

  // `expr` is of the type that the function is named after.
  base::Result<SourcePtr> vector(const Expr& expr, const Grid& grid);
  base::Result<RowValues> scalar(const Expr& expr, const Grid& grid);
  static const std::string& string(const Expr& expr);
  base::Result<Windows> windows(const Expr& expr, const Grid& grid);

  // Steps from `start_ms` to `end_ms`; kLimit for more than a query may hold.
  base::Result<Grid> make_grid(model::TimestampMs start_ms, model::TimestampMs end_ms, std::int64_t step_ms);

 private:
  base::Result<SourcePtr> vector_each_step(const Expr& expr, const Grid& grid);
  base::Result<Rows> rows(const Expr& expr, const Grid& grid);
  base::Result<SourcePtr> unary(const UnaryExpr& expr, const Grid& grid);
  base::Result<SourcePtr> binary(const BinaryExpr& expr, const Grid& grid);
  base::Result<SourcePtr> aggregate(const AggregateExpr& expr, const Grid& grid);
  base::Result<SourcePtr> call(const Call& expr, const Grid& grid);
  base::Result<SourcePtr> elementwise(const Call& expr, const Grid& grid);
  base::Result<SourcePtr> timestamp(const Call& expr, const Grid& grid);
  base::Result<SourcePtr> window_call(const Call& expr, const Grid& grid);
  base::Result<SourcePtr> absent(const Call& expr, SourcePtr source, const Grid& grid);
  base::Result<SourcePtr> sorted(const Call& expr, const Grid& grid);
  base::Result<SourcePtr> info(const Call& expr, const Grid& grid);
  base::Result<RowValues> scalar_call(const Call& expr, const Grid& grid);

  Context& context_;
};

// The value is the same at every step: @ fixes all times in it.
bool step_invariant(const Expr& expr);

}  // namespace qd::query::promql
