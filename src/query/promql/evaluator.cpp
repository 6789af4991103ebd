#include "query/promql/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "query/promql/aggregate.h"
#include "query/promql/elementwise.h"
#include "query/promql/functions.h"
#include "query/promql/grid.h"
#include "query/promql/histogram_functions.h"
#include "query/promql/histogram_operators.h"
#include "query/promql/info.h"
#include "query/promql/label_functions.h"
#include "query/promql/map_source.h"
#include "query/promql/matching.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

using base::Result;
using model::TimestampMs;

// Their value depends on the time of evaluation, not only on that of the samples.
bool looks_at_the_step(const Call& expr) {
  switch (expr.function->id) {
    case FunctionId::kTime:
    case FunctionId::kTimestamp:
    case FunctionId::kPredictLinear:
      return true;
    default:
      return expr.args.empty() && expr.function->returns == ValueType::kVector;  // minute() and the like
  }
}

Rows one_row(RowValues values) {
  Rows rows;
  rows.rows.push_back({model::LabelSet(), false, std::move(values)});
  return rows;
}

// What absent(foo{a="b"}) says about the series that is not there: what the selector fixes, each label once.
model::LabelSet labels_of_absent(const Expr& expr) {
  const Expr& inner = without_parens(expr);
  const VectorSelector* selector = nullptr;
  if (inner.kind == Expr::Kind::kVectorSelector) selector = &as<VectorSelector>(inner);
  if (inner.kind == Expr::Kind::kMatrixSelector) selector = as<MatrixSelector>(inner).selector.get();
  if (selector == nullptr) return {};
  model::LabelBuilder builder;
  for (const model::Matcher& matcher : selector->matchers) {
    if (matcher.name() == model::kMetricName || matcher.kind() != model::Matcher::Kind::kEqual) continue;
    const auto same_name = [&](const model::Matcher& m) { return m.name() == matcher.name(); };
    if (std::count_if(selector->matchers.begin(), selector->matchers.end(), same_name) == 1) {
      builder.set(matcher.name(), matcher.value());
    }
  }
  return builder.build();
}

}  // namespace

bool step_invariant(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kNumber:
    case Expr::Kind::kString:
      return true;
    case Expr::Kind::kVectorSelector:
      return as<VectorSelector>(expr).at.kind != AtModifier::Kind::kNone;
    case Expr::Kind::kMatrixSelector:
      return as<MatrixSelector>(expr).selector->at.kind != AtModifier::Kind::kNone;
    case Expr::Kind::kSubquery:
      return as<Subquery>(expr).at.kind != AtModifier::Kind::kNone;
    case Expr::Kind::kParen:
      return step_invariant(*as<ParenExpr>(expr).inner);
    case Expr::Kind::kUnary:
      return step_invariant(*as<UnaryExpr>(expr).inner);
    case Expr::Kind::kBinary:
      return step_invariant(*as<BinaryExpr>(expr).left) && step_invariant(*as<BinaryExpr>(expr).right);
    case Expr::Kind::kCall: {
      const auto& call = as<Call>(expr);
      return !looks_at_the_step(call) &&
             std::all_of(call.args.begin(), call.args.end(), [](const ExprPtr& arg) { return step_invariant(*arg); });
    }
    case Expr::Kind::kAggregate: {
      const auto& aggregate = as<AggregateExpr>(expr);
      return step_invariant(*aggregate.inner) &&
             (aggregate.parameter == nullptr || step_invariant(*aggregate.parameter));
    }
  }
  return false;
}

Result<Grid> Evaluator::make_grid(TimestampMs start_ms, TimestampMs end_ms, std::int64_t step_ms) {
  Grid grid{start_ms, step_ms, 0};
  if (end_ms < start_ms) return grid;
  grid.count = static_cast<std::size_t>((end_ms - start_ms) / step_ms) + 1;
  QD_TRY(context_.charge(grid.count));
  return grid;
}

// --- vectors

Result<SourcePtr> Evaluator::vector(const Expr& expr, const Grid& grid) {
  QD_TRY(context_.check());
  if (grid.count > 1 && step_invariant(expr)) {
    const Grid one{grid.start_ms, grid.step_ms, 1};
    QD_ASSIGN(SourcePtr source, vector_each_step(expr, one));
    return make_broadcast_source(std::move(source));
  }
  return vector_each_step(expr, grid);
}

Result<SourcePtr> Evaluator::vector_each_step(const Expr& expr, const Grid& grid) {
  switch (expr.kind) {
    case Expr::Kind::kVectorSelector:
      return select_instant(context_, as<VectorSelector>(expr), grid, Reading::kValue);
    case Expr::Kind::kParen:
      return vector(*as<ParenExpr>(expr).inner, grid);
    case Expr::Kind::kUnary:
      return unary(as<UnaryExpr>(expr), grid);
    case Expr::Kind::kBinary:
      return binary(as<BinaryExpr>(expr), grid);
    case Expr::Kind::kAggregate:
      return aggregate(as<AggregateExpr>(expr), grid);
    case Expr::Kind::kCall:
      return call(as<Call>(expr), grid);
    default:
      return base::fail(base::ErrorCode::kInternal, "expression is no instant vector");
  }
}

Result<Rows> Evaluator::rows(const Expr& expr, const Grid& grid) {
  QD_ASSIGN(const SourcePtr source, vector(expr, grid));
  return materialize(context_, *source, grid);
}

Result<SourcePtr> Evaluator::unary(const UnaryExpr& expr, const Grid& grid) {
  QD_ASSIGN(SourcePtr inner, vector(*expr.inner, grid));
  if (!expr.negative) return inner;
  return make_negation(context_, std::move(inner), grid);
}

Result<SourcePtr> Evaluator::binary(const BinaryExpr& expr, const Grid& grid) {
  const bool left_scalar = expr.left->type == ValueType::kScalar;
  if (left_scalar || expr.right->type == ValueType::kScalar) {
    QD_ASSIGN(RowValues number, scalar(left_scalar ? *expr.left : *expr.right, grid));
    QD_ASSIGN(SourcePtr source, vector(left_scalar ? *expr.right : *expr.left, grid));
    return make_scalar_operator(context_, expr.op, expr.return_bool, std::move(source), std::move(number), left_scalar,
                                expr.span, grid);
  }
  QD_ASSIGN(Rows left, rows(*expr.left, grid));
  QD_ASSIGN(Rows right, rows(*expr.right, grid));
  QD_ASSIGN(Rows out, is_set_operator(expr.op)
                          ? set_operation(context_, expr, std::move(left), std::move(right), grid)
                          : match_vectors(context_, expr, std::move(left), std::move(right), grid));
  return make_rows_source(std::move(out));
}

Result<SourcePtr> Evaluator::aggregate(const AggregateExpr& expr, const Grid& grid) {
  QD_ASSIGN(const SourcePtr source, vector(*expr.inner, grid));
  if (!takes_parameter(expr.op)) {
    QD_ASSIGN(Rows out, fold_groups(context_, expr, *source, grid));
    return make_rows_source(std::move(out));
  }
  if (expr.op == AggregateOp::kCountValues) {
    QD_ASSIGN(Rows out, count_values(context_, expr, *source, grid, string(*expr.parameter)));
    return make_rows_source(std::move(out));
  }
  QD_ASSIGN(const RowValues parameter, scalar(*expr.parameter, grid));
  QD_ASSIGN(Rows out, rank_groups(context_, expr, *source, grid, parameter));
  return make_rows_source(std::move(out));
}

// --- functions that give vectors

Result<SourcePtr> Evaluator::call(const Call& expr, const Grid& grid) {
  const FunctionId id = expr.function->id;
  const auto& args = expr.args;
  if (takes_window(id)) return window_call(expr, grid);
  if (of_histogram(id)) {
    QD_ASSIGN(SourcePtr source, vector(*args[0], grid));
    return make_histogram_function(context_, id, std::move(source), grid);
  }
  switch (id) {
    case FunctionId::kTimestamp:
    case FunctionId::kStartTimestamp:
      return timestamp(expr, grid);
    case FunctionId::kVector: {
      QD_ASSIGN(RowValues values, scalar(*args[0], grid));
      return make_rows_source(one_row(std::move(values)));
    }
    case FunctionId::kAbsentAtStep: {
      QD_ASSIGN(SourcePtr source, vector(*args[0], grid));
      return absent(expr, std::move(source), grid);
    }
    case FunctionId::kHistogramQuantile: {
      QD_ASSIGN(const RowValues q, scalar(*args[0], grid));
      QD_ASSIGN(Rows buckets, rows(*args[1], grid));
      QD_ASSIGN(Rows out, histogram_quantile(context_, std::move(buckets), q, args[0]->span, args[1]->span, grid));
      return make_rows_source(std::move(out));
    }
    case FunctionId::kHistogramFraction: {
      QD_ASSIGN(const RowValues lower, scalar(*args[0], grid));
      QD_ASSIGN(const RowValues upper, scalar(*args[1], grid));
      QD_ASSIGN(Rows buckets, rows(*args[2], grid));
      QD_ASSIGN(Rows out, histogram_fraction(context_, std::move(buckets), lower, upper, args[2]->span, grid));
      return make_rows_source(std::move(out));
    }
    case FunctionId::kHistogramQuantiles: {
      QD_ASSIGN(Rows buckets, rows(*args[0], grid));
      std::vector<RowValues> quantiles;
      for (std::size_t i = 2; i < args.size(); ++i) {
        QD_ASSIGN(RowValues q, scalar(*args[i], grid));
        quantiles.push_back(std::move(q));
      }
      QD_ASSIGN(Rows out, histogram_quantiles(context_, std::move(buckets), string(*args[1]), quantiles,
                                              args.back()->span, args[0]->span, grid));
      return make_rows_source(std::move(out));
    }
    case FunctionId::kLabelReplace: {
      QD_ASSIGN(Rows out, rows(*args[0], grid));
      QD_TRY(label_replace(context_, out, string(*args[1]), string(*args[2]), string(*args[3]), string(*args[4])));
      return make_rows_source(std::move(out));
    }
    case FunctionId::kLabelJoin: {
      QD_ASSIGN(Rows out, rows(*args[0], grid));
      std::vector<std::string> sources;
      for (std::size_t i = 3; i < args.size(); ++i) sources.push_back(string(*args[i]));
      QD_TRY(label_join(context_, out, string(*args[1]), string(*args[2]), sources));
      return make_rows_source(std::move(out));
    }
    case FunctionId::kSort:
    case FunctionId::kSortDesc:
    case FunctionId::kSortByLabel:
    case FunctionId::kSortByLabelDesc:
      return sorted(expr, grid);
    case FunctionId::kInfo:
      return info(expr, grid);
    default:
      return elementwise(expr, grid);
  }
}

Result<SourcePtr> Evaluator::elementwise(const Call& expr, const Grid& grid) {
  SourcePtr source;
  if (expr.args.empty()) {
    // minute() is minute(vector(time())).
    RowValues now(grid.count);
    for (std::size_t k = 0; k < grid.count; ++k) now[k] = static_cast<double>(grid.at(k)) / 1000;
    source = make_rows_source(one_row(std::move(now)));
  } else {
    QD_ASSIGN(source, vector(*expr.args[0], grid));
  }
  std::vector<RowValues> parameters;
  for (std::size_t i = 1; i < expr.args.size(); ++i) {
    QD_ASSIGN(RowValues parameter, scalar(*expr.args[i], grid));
    parameters.push_back(std::move(parameter));
  }
  return make_function_source(context_, expr.function->id, std::move(source), grid, std::move(parameters));
}

Result<SourcePtr> Evaluator::timestamp(const Call& expr, const Grid& grid) {
  const Expr& arg = without_parens(*expr.args[0]);
  const bool start = expr.function->id == FunctionId::kStartTimestamp;
  if (arg.kind == Expr::Kind::kVectorSelector) {
    QD_ASSIGN(SourcePtr source,
              select_instant(context_, as<VectorSelector>(arg), grid, start ? Reading::kStartTime : Reading::kTime));
    return settle_names(context_, std::move(source), grid, false);
  }
  QD_ASSIGN(SourcePtr source, vector(arg, grid));
  // What is computed began to be counted at no time.
  if (start) return make_rows_source({});
  return make_step_timestamps(context_, std::move(source), grid);
}

Result<Windows> Evaluator::windows(const Expr& expr, const Grid& grid) {
  const Expr& arg = without_parens(expr);
  if (arg.kind == Expr::Kind::kMatrixSelector) return select_windows(context_, as<MatrixSelector>(arg), grid);
  const auto& subquery = as<Subquery>(arg);
  Windows out;
  QD_ASSIGN(out.moment, resolve(context_, subquery.at, subquery.offset));
  QD_ASSIGN(out.range_ms, resolve(context_, subquery.range, true));
  std::int64_t step = context_.options().subquery_step_ms;
  if (subquery.step) {
    QD_ASSIGN(step, resolve(context_, *subquery.step, true));
  }
  // Steps of a subquery are multiples of its resolution, so that it gives the same values wherever the query starts.
  const TimestampMs after = out.moment.first(grid) - out.range_ms;
  TimestampMs start = step * (after / step);
  if (start <= after) start += step;
  QD_ASSIGN(const Grid inner, make_grid(start, out.moment.last(grid), step));
  if (inner.count == 0) {
    out.input = subquery_input(make_rows_source({}), inner);
    return out;
  }
  QD_ASSIGN(SourcePtr source, vector(*subquery.inner, inner));
  out.input = subquery_input(std::move(source), inner);
  return out;
}

Result<SourcePtr> Evaluator::window_call(const Call& expr, const Grid& grid) {
  const auto matrix = std::find_if(expr.args.begin(), expr.args.end(),
                                   [](const ExprPtr& arg) { return arg->type == ValueType::kMatrix; });
  Parameters parameters;
  Span span = (*matrix)->span;
  for (const ExprPtr& arg : expr.args) {
    if (arg->type != ValueType::kScalar) continue;
    QD_ASSIGN(RowValues parameter, scalar(*arg, grid));
    parameters.push_back(std::move(parameter));
    if (expr.function->id == FunctionId::kQuantileOverTime) span = arg->span;
  }
  QD_ASSIGN(Windows w, windows(**matrix, grid));
  if (expr.function->id == FunctionId::kAbsentOverTime) {
    // Which series are there does not matter, so names need not be told apart.
    QD_ASSIGN(SourcePtr source, make_window_source(context_, FunctionId::kLastOverTime, std::move(w), grid, {}, span));
    return absent(expr, std::move(source), grid);
  }
  return make_window_source(context_, expr.function->id, std::move(w), grid, std::move(parameters), span);
}

Result<SourcePtr> Evaluator::absent(const Call& expr, SourcePtr source, const Grid& grid) {
  AggregateExpr any;
  any.op = AggregateOp::kGroup;
  QD_ASSIGN(const Rows present, fold_groups(context_, any, *source, grid));
  Rows out = one_row(RowValues(grid.count, 1));
  out.rows[0].labels = labels_of_absent(*expr.args[0]);
  if (present.rows.empty()) return make_rows_source(std::move(out));
  bool left = false;
  for (std::size_t k = 0; k < grid.count; ++k) {
    if (is_absent(present.rows[0].values[k])) {
      left = true;
    } else {
      out.rows[0].values[k] = kAbsent;
    }
  }
  if (!left) out.rows.clear();
  return make_rows_source(std::move(out));
}

Result<SourcePtr> Evaluator::sorted(const Call& expr, const Grid& grid) {
  if (grid.count > 1) {
    context_.annotations().warn("sort is ineffective for range queries since results are always ordered by labels",
                                expr.span);
    QD_ASSIGN(SourcePtr source, vector(*expr.args[0], grid));
    const bool by_value = expr.function->id == FunctionId::kSort || expr.function->id == FunctionId::kSortDesc;
    if (!by_value) return source;
    return map_source(context_, std::move(source), grid, false, [](double v, std::size_t) { return v; });
  }
  QD_ASSIGN(Rows out, rows(*expr.args[0], grid));
  const FunctionId id = expr.function->id;
  if (id == FunctionId::kSort || id == FunctionId::kSortDesc) {
    sort_by_value(out, id == FunctionId::kSortDesc);
  } else {
    std::vector<std::string> names;
    for (std::size_t i = 1; i < expr.args.size(); ++i) names.push_back(string(*expr.args[i]));
    sort_by_labels(out, names, id == FunctionId::kSortByLabelDesc);
  }
  return make_rows_source(std::move(out));
}

Result<SourcePtr> Evaluator::info(const Call& expr, const Grid& grid) {
  QD_ASSIGN(Rows base_rows, rows(*expr.args[0], grid));
  const VectorSelector* selector = expr.args.size() > 1 ? &as<VectorSelector>(*expr.args[1]) : nullptr;
  QD_ASSIGN(Rows out, add_info_labels(context_, *expr.args[0], std::move(base_rows), selector, grid));
  return make_rows_source(std::move(out));
}

// --- scalars and strings

Result<RowValues> Evaluator::scalar(const Expr& expr, const Grid& grid) {
  switch (expr.kind) {
    case Expr::Kind::kNumber:
      return RowValues(grid.count, as<NumberLiteral>(expr).value);
    case Expr::Kind::kParen:
      return scalar(*as<ParenExpr>(expr).inner, grid);
    case Expr::Kind::kUnary: {
      QD_ASSIGN(RowValues values, scalar(*as<UnaryExpr>(expr).inner, grid));
      if (as<UnaryExpr>(expr).negative) {
        for (double& value : values) value = -value;
      }
      return values;
    }
    case Expr::Kind::kBinary: {
      const auto& binary = as<BinaryExpr>(expr);
      QD_ASSIGN(RowValues left, scalar(*binary.left, grid));
      QD_ASSIGN(const RowValues right, scalar(*binary.right, grid));
      for (std::size_t k = 0; k < grid.count; ++k) left[k] = arithmetic(binary.op, left[k], right[k]);
      return left;
    }
    case Expr::Kind::kCall:
      return scalar_call(as<Call>(expr), grid);
    default:
      return base::fail(base::ErrorCode::kInternal, "expression is no scalar");
  }
}

Result<RowValues> Evaluator::scalar_call(const Call& expr, const Grid& grid) {
  const auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000; };
  switch (expr.function->id) {
    case FunctionId::kPi:
      return RowValues(grid.count, std::numbers::pi);
    case FunctionId::kStart:
      return RowValues(grid.count, seconds(context_.start_ms()));
    case FunctionId::kEnd:
      return RowValues(grid.count, seconds(context_.end_ms()));
    case FunctionId::kStep:
      return RowValues(grid.count, seconds(context_.durations().step_ms));
    case FunctionId::kRange:
      return RowValues(grid.count, seconds(context_.durations().range_ms));
    case FunctionId::kTime: {
      RowValues now(grid.count);
      for (std::size_t k = 0; k < grid.count; ++k) now[k] = seconds(grid.at(k));
      return now;
    }
    default:
      break;
  }
  // scalar(v): the value of the only series at that step.
  QD_ASSIGN(const Rows in, rows(*expr.args[0], grid));
  RowValues out(grid.count, kNan);
  for (std::size_t k = 0; k < grid.count; ++k) {
    std::size_t found = 0;
    for (const Row& row : in.rows) {
      if (is_absent(row.values[k])) continue;
      out[k] = row.values[k];
      if (++found > 1) break;
    }
    if (found > 1) out[k] = kNan;
  }
  return out;
}

const std::string& Evaluator::string(const Expr& expr) {
  return as<StringLiteral>(without_parens(expr)).value;
}

}  // namespace qd::query::promql
