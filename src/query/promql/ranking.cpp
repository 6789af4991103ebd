// topk, bottomk, limitk, limit_ratio, quantile and count_values.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/strings.h"
#include "query/promql/aggregate.h"
#include "query/promql/statistics.h"

namespace qd::query::promql {

namespace {

std::string shown(double value) {
  return std::isnan(value) ? "NaN" : fmt::format("{:g}", value);
}

base::Status check_parameter(Context& context, const AggregateExpr& expr, const RowValues& parameter) {
  constexpr double kIntegerMax = 9.2233720368547758e18;
  for (const double p : parameter) {
    switch (expr.op) {
      case AggregateOp::kTopk:
      case AggregateOp::kBottomk:
      case AggregateOp::kLimitk:
        if (std::isnan(p)) return base::fail(base::ErrorCode::kInvalid, "Parameter value is NaN");
        if (p >= kIntegerMax || p <= -kIntegerMax) {
          return base::fail(base::ErrorCode::kInvalid,
                            fmt::format("Scalar value {} {} int64", p, p > 0 ? "overflows" : "underflows"));
        }
        break;
      case AggregateOp::kLimitRatio:
        if (std::isnan(p)) return base::fail(base::ErrorCode::kInvalid, "Ratio value is NaN");
        if (p < -1 || p > 1) {
          context.annotations().warn(
              fmt::format("ratio value should be between -1 and 1, got {}, capping to {}", shown(p), p > 1 ? 1 : -1),
              expr.parameter->span);
        }
        break;
      default:
        if (std::isnan(p) || p < 0 || p > 1) {
          context.annotations().warn(fmt::format("quantile value should be between 0 and 1, got {}", shown(p)),
                                     expr.parameter->span);
        }
        break;
    }
  }
  return {};
}

// Where in [0, 1) the series falls, always the same place: limit_ratio(0.1) and limit_ratio(-0.9) share nothing.
double place_of(const model::LabelSet& labels) {
  return static_cast<double>(labels.hash() >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

class Ranker {
 public:
  Ranker(const AggregateExpr& expr, Rows rows, const Grid& grid, const RowValues& parameter, Grouping grouping)
      : op_(expr.op),
        rows_(std::move(rows)),
        steps_(grid.count),
        parameter_(parameter),
        members_(grouping.labels.size()),
        labels_(std::move(grouping.labels)) {
    for (std::size_t i = 0; i < rows_.rows.size(); ++i) members_[grouping.group_of[i]].push_back(i);
  }

  Rows quantiles() {
    Rows out;
    out.charge = std::move(rows_.charge);
    std::vector<double> values;
    for (std::size_t g = 0; g < members_.size(); ++g) {
      Row row{std::move(labels_[g]), false, RowValues(steps_, kAbsent)};
      for (std::size_t k = 0; k < steps_; ++k) {
        values.clear();
        for (const std::size_t i : members_[g]) {
          if (!is_absent(rows_.rows[i].values[k])) values.push_back(rows_.rows[i].values[k]);
        }
        if (!values.empty()) row.values[k] = quantile(parameter_[k], values);
      }
      for (const std::size_t i : members_[g]) row.drop_name = row.drop_name || rows_.rows[i].drop_name;
      out.rows.push_back(std::move(row));
    }
    return out;
  }

  // Keeps the chosen values of the input series. At a single step they come in the order of their rank.
  Rows chosen() {
    std::vector<RowValues> kept(rows_.rows.size());
    std::vector<std::size_t> order;
    std::vector<std::size_t> candidates;
    for (const auto& members : members_) {
      for (std::size_t k = 0; k < steps_; ++k) {
        choose(members, k, candidates);
        for (const std::size_t i : candidates) {
          if (kept[i].empty()) {
            kept[i].assign(steps_, kAbsent);
            order.push_back(i);
          }
          kept[i][k] = rows_.rows[i].values[k];
        }
      }
    }
    Rows out;
    for (const std::size_t i : order) {
      out.rows.push_back({std::move(rows_.rows[i].labels), rows_.rows[i].drop_name, std::move(kept[i])});
    }
    out.charge = std::move(rows_.charge);
    return out;
  }

 private:
  void choose(const std::vector<std::size_t>& members, std::size_t k, std::vector<std::size_t>& out) const {
    out.clear();
    const double p = parameter_[k];
    const auto value = [&](std::size_t i) { return rows_.rows[i].values[k]; };
    for (const std::size_t i : members) {
      if (is_absent(value(i))) continue;
      if (op_ == AggregateOp::kLimitRatio) {
        const double place = place_of(rows_.rows[i].labels);
        const bool in = p >= 0 ? place < p : place >= 1 + p;
        if (!in) continue;
      }
      out.push_back(i);
    }
    if (op_ == AggregateOp::kLimitRatio) return;
    const auto limit = static_cast<std::size_t>(std::clamp(std::trunc(p), 0.0, static_cast<double>(out.size())));
    if (op_ != AggregateOp::kLimitk) {
      const double sign = op_ == AggregateOp::kTopk ? 1 : -1;
      std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
        const bool a_missing = std::isnan(value(a));
        const bool b_missing = std::isnan(value(b));
        if (a_missing != b_missing) return b_missing;
        if (!a_missing && value(a) != value(b)) return value(a) * sign > value(b) * sign;
        return a < b;
      });
    }
    out.resize(std::min(limit, out.size()));
  }

  const AggregateOp op_;
  Rows rows_;
  const std::size_t steps_;
  const RowValues& parameter_;
  std::vector<std::vector<std::size_t>> members_;
  std::vector<model::LabelSet> labels_;
};

}  // namespace

base::Result<Rows> rank_groups(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid,
                               const RowValues& parameter) {
  QD_TRY(check_parameter(context, expr, parameter));
  QD_ASSIGN(Rows rows, materialize(context, source, grid));
  if (rows.rows.empty()) return rows;
  Grouping grouping = group_rows(expr, rows);
  Ranker ranker(expr, std::move(rows), grid, parameter, std::move(grouping));
  return expr.op == AggregateOp::kQuantile ? ranker.quantiles() : ranker.chosen();
}

base::Result<Rows> count_values(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid,
                                const std::string& label) {
  if (label.empty() || !base::valid_utf8(label)) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("invalid label name {}", base::quote(label)));
  }
  QD_ASSIGN(Rows rows, materialize(context, source, grid));
  const Grouping grouping = group_rows(expr, rows);
  std::map<std::pair<std::uint32_t, std::string>, std::size_t> index;
  Rows out;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    QD_TRY(context.check());
    const RowValues& values = rows.rows[i].values;
    for (std::size_t k = 0; k < grid.count; ++k) {
      if (is_absent(values[k])) continue;
      const auto [found, fresh] =
          index.try_emplace({grouping.group_of[i], base::format_float(values[k])}, out.rows.size());
      if (fresh) {
        // At most a group's labels, a name from the query and a number: charged, but short enough by itself.
        model::LabelBuilder builder(grouping.labels[found->first.first]);
        builder.set(label, found->first.second);
        model::LabelSet labels = builder.build();
        QD_ASSIGN(Charge charge, context.charge(grid.count, labels.bytes().size()));
        out.charge.absorb(std::move(charge));
        out.rows.push_back({std::move(labels), false, RowValues(grid.count, kAbsent)});
      }
      Row& row = out.rows[found->second];
      row.values[k] = is_absent(row.values[k]) ? 1 : row.values[k] + 1;
      row.drop_name = row.drop_name || rows.rows[i].drop_name;
    }
  }
  QD_TRY(join_same_labels(out, false));
  return out;
}

}  // namespace qd::query::promql
