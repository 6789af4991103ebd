#include "query/promql/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <new>

#include "query/promql/context.h"
#include "query/promql/evaluator.h"
#include "query/promql/parser.h"
#include "query/promql/rows.h"

namespace qd::query::promql {

namespace {

using base::ErrorCode;
using base::Result;
using model::TimestampMs;

// Times beyond this (290 million years / 4) come from overflow, not from clocks.
constexpr TimestampMs kTimeMax = std::numeric_limits<TimestampMs>::max() / 8;

base::Status check_time(TimestampMs time_ms) {
  if (time_ms <= kTimeMax && time_ms >= -kTimeMax) return {};
  return base::fail(ErrorCode::kInvalid, fmt::format("time {} ms is out of range", time_ms));
}

Matrix to_matrix(Rows rows, const Grid& grid) {
  std::sort(rows.rows.begin(), rows.rows.end(), [](const Row& a, const Row& b) { return a.labels < b.labels; });
  Matrix out;
  out.reserve(rows.rows.size());
  for (Row& row : rows.rows) {
    MatrixSeries series{std::move(row.labels)};
    series.samples.reserve(row.values.size());
    for (std::size_t k = 0; k < row.values.size(); ++k) {
      if (!is_absent(row.values[k])) series.samples.push_back({grid.at(k), row.values[k]});
      if (has_histogram(row.histograms, k)) series.histograms.push_back({grid.at(k), std::move(row.histograms[k])});
    }
    row.values = {};
    row.histograms = {};
    if (!series.samples.empty() || !series.histograms.empty()) out.push_back(std::move(series));
  }
  return out;
}

Vector to_vector(Rows rows, TimestampMs time_ms) {
  Vector out;
  out.reserve(rows.rows.size());
  for (Row& row : rows.rows) {
    if (has_histogram(row.histograms, 0)) {
      out.push_back({std::move(row.labels), time_ms, 0, std::move(row.histograms[0])});
    } else if (!is_absent(row.values[0])) {
      out.push_back({std::move(row.labels), time_ms, row.values[0]});
    }
  }
  return out;
}

// foo[5m] as an instant query: the samples themselves.
Result<Matrix> raw_samples(Context& context, Evaluator& evaluator, const Expr& expr, const Grid& grid) {
  QD_ASSIGN(const Windows windows, evaluator.windows(expr, grid));
  Matrix out;
  Charge held;
  Scratch scratch(context);
  const TimestampMs end = windows.moment.last(grid);
  for (std::size_t i = 0; i < windows.input->size(); ++i) {
    QD_TRY(context.check());
    QD_TRY(windows.input->read(i, scratch.columns, scratch));
    MatrixSeries series;
    for (std::size_t s = 0; s < scratch.columns.size(); ++s) {
      const TimestampMs time = scratch.columns.times[s];
      if (time <= end - windows.range_ms || time > end) continue;
      if (has_histogram(scratch.columns.histograms, s)) {
        series.histograms.push_back({time, scratch.columns.histograms[s]});
      } else {
        series.samples.push_back({time, scratch.columns.values[s]});
      }
    }
    if (series.samples.empty() && series.histograms.empty()) continue;
    QD_ASSIGN(Charge charge, context.charge(series.samples.size() + samples_of(scratch.columns.histograms)));
    held.absorb(std::move(charge));
    series.labels = windows.input->drops_name(i) ? without_name(windows.input->labels(i)) : windows.input->labels(i);
    out.push_back(std::move(series));
  }
  std::sort(out.begin(), out.end(), [](const MatrixSeries& a, const MatrixSeries& b) { return a.labels < b.labels; });
  for (std::size_t i = 1; i < out.size(); ++i) {
    if (out[i].labels == out[i - 1].labels) {
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("vector cannot contain metrics with the same labelset: {} stands for more than "
                                    "one series here",
                                    out[i].labels.to_string()));
    }
  }
  return out;
}

Result<Rows> vector_rows(Context& context, Evaluator& evaluator, const Expr& expr, const Grid& grid) {
  QD_ASSIGN(const SourcePtr source, evaluator.vector(expr, grid));
  QD_ASSIGN(Rows rows, materialize(context, *source, grid));
  QD_TRY(remove_delayed_names(rows));
  return rows;
}

base::Status evaluate_instant(Context& context, const Expr& expr, const Grid& grid, QueryResult& out) {
  Evaluator evaluator(context);
  const TimestampMs time = grid.start_ms;
  switch (expr.type) {
    case ValueType::kString:
      out.value = StringValue{time, Evaluator::string(expr)};
      return {};
    case ValueType::kScalar: {
      QD_ASSIGN(const RowValues values, evaluator.scalar(expr, grid));
      out.value = ScalarValue{time, values[0]};
      return {};
    }
    case ValueType::kMatrix: {
      QD_ASSIGN(out.value, raw_samples(context, evaluator, expr, grid));
      return {};
    }
    case ValueType::kVector: {
      QD_ASSIGN(Rows rows, vector_rows(context, evaluator, expr, grid));
      out.value = to_vector(std::move(rows), time);
      return {};
    }
  }
  return {};
}

base::Status evaluate_range(Context& context, const Expr& expr, TimestampMs start_ms, TimestampMs end_ms,
                            std::int64_t step_ms, QueryResult& out) {
  Evaluator evaluator(context);
  QD_ASSIGN(const Grid grid, evaluator.make_grid(start_ms, end_ms, step_ms));
  if (expr.type == ValueType::kScalar) {
    QD_ASSIGN(RowValues values, evaluator.scalar(expr, grid));
    Rows rows;
    rows.rows.push_back({model::LabelSet(), false, std::move(values)});
    out.value = to_matrix(std::move(rows), grid);
    return {};
  }
  QD_ASSIGN(Rows rows, vector_rows(context, evaluator, expr, grid));
  out.value = to_matrix(std::move(rows), grid);
  return {};
}

// Budgets refuse work before memory ends; should one have a hole, the query fails and not the process.
base::Status within_memory(const std::function<base::Status()>& evaluate) {
  try {
    return evaluate();
  } catch (const std::bad_alloc&) {
    return base::fail(ErrorCode::kLimit,
                      "the query needs more memory than there is: ask for less, or lower "
                      "query.memory_limit so that it is refused sooner");
  }
}

void finish(const Context& context, Annotations& annotations, std::string_view text, const base::Clock& clock,
            std::int64_t began_ns, QueryResult& out) {
  out.warnings = annotations.warnings(text);
  out.infos = annotations.infos(text);
  out.stats.series = context.series();
  out.stats.samples_read = context.samples_read();
  out.stats.samples_peak = context.samples_peak();
  out.stats.evaluate_ns = clock.monotonic_ns() - began_ns;
}

}  // namespace

base::Status check_range_type(const Expr& expr) {
  if (expr.type == ValueType::kVector || expr.type == ValueType::kScalar) return {};
  return base::fail(ErrorCode::kInvalid,
                    fmt::format("invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                                to_string(expr.type)));
}

Result<QueryResult> Engine::instant(const store::metrics::Querier& querier, const Expr& expr, std::string_view text,
                                    TimestampMs time_ms, const QueryOptions& options) const {
  QD_TRY(check_time(time_ms));
  const std::int64_t began = clock_.monotonic_ns();
  Context context(querier, options, pool_, clock_, text, time_ms, time_ms, 0);
  QueryResult out;
  QD_TRY(within_memory([&] { return evaluate_instant(context, expr, Grid{time_ms, 1, 1}, out); }));
  finish(context, context.annotations(), text, clock_, began, out);
  return out;
}

Result<QueryResult> Engine::range(const store::metrics::Querier& querier, const Expr& expr, std::string_view text,
                                  TimestampMs start_ms, TimestampMs end_ms, std::int64_t step_ms,
                                  const QueryOptions& options) const {
  QD_TRY(check_time(start_ms));
  QD_TRY(check_time(end_ms));
  if (step_ms <= 0) return base::fail(ErrorCode::kInvalid, "step of a range query must be greater than 0");
  if (end_ms < start_ms) return base::fail(ErrorCode::kInvalid, "end of a range query is before its start");
  QD_TRY(check_range_type(expr));
  const std::int64_t began = clock_.monotonic_ns();
  Context context(querier, options, pool_, clock_, text, start_ms, end_ms, step_ms);
  QueryResult out;
  QD_TRY(within_memory([&] { return evaluate_range(context, expr, start_ms, end_ms, step_ms, out); }));
  finish(context, context.annotations(), text, clock_, began, out);
  return out;
}

Result<QueryResult> Engine::instant(const store::metrics::Querier& querier, std::string_view text, TimestampMs time_ms,
                                    const QueryOptions& options) const {
  const std::int64_t began = clock_.monotonic_ns();
  QD_ASSIGN(const ExprPtr expr, parse(text, {options.experimental}));
  const std::int64_t parsed = clock_.monotonic_ns();
  QD_ASSIGN(QueryResult out, instant(querier, *expr, text, time_ms, options));
  out.stats.parse_ns = parsed - began;
  return out;
}

Result<QueryResult> Engine::range(const store::metrics::Querier& querier, std::string_view text, TimestampMs start_ms,
                                  TimestampMs end_ms, std::int64_t step_ms, const QueryOptions& options) const {
  const std::int64_t began = clock_.monotonic_ns();
  QD_ASSIGN(const ExprPtr expr, parse(text, {options.experimental}));
  const std::int64_t parsed = clock_.monotonic_ns();
  QD_ASSIGN(QueryResult out, range(querier, *expr, text, start_ms, end_ms, step_ms, options));
  out.stats.parse_ns = parsed - began;
  return out;
}

}  // namespace qd::query::promql
