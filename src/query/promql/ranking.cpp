// topk, bottomk, limitk, limit_ratio, quantile and count_values.
#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/strings.h"
#include "model/histogram_estimates.h"
#include "query/promql/aggregate.h"
#include "query/promql/remarks.h"
#include "query/promql/statistics.h"

namespace qd::query::promql {

namespace {

std::string shown(double value) {
  return std::isnan(value) ? "NaN" : fmt::format("{:g}", value);
}

std::unexpected<base::Error> too_long(const std::string& label) {
  return base::fail(base::ErrorCode::kLimit,
                    fmt::format("count_values() would set label {} to a histogram of more than {} bytes, the most that "
                                "a query may make: count with fewer buckets",
                                base::quote(label), kLabelValueBytesMax));
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

// What ranks values has no place for histograms.
void ignore_histograms(Context& context, const AggregateExpr& expr, Rows& rows) {
  for (Row& row : rows.rows) {
    if (row.histograms.empty()) continue;
    context.annotations().info(remarks::ignored_in_aggregation(expr.op), expr.inner->span);
    row.histograms.clear();
  }
  std::erase_if(rows.rows, [](const Row& row) {
    return std::all_of(row.values.begin(), row.values.end(), [](double v) { return is_absent(v); });
  });
}

// Where in [0, 1) the series falls: always the same place, so that limit_ratio(0.1) and limit_ratio(-0.9) share
// nothing, and the place that Prometheus gives it, so that it is the same series there. That hashes names and values
// with their lengths before them: a byte, or from 255 on a byte 255 and three of the length, the lowest first.
double place_of(const model::LabelSet& labels) {
  std::string bytes;
  const auto append = [&](std::string_view text) {
    if (text.size() < 255) {
      bytes += static_cast<char>(text.size());
    } else {
      bytes += '\xff';
      for (int shift = 0; shift < 24; shift += 8) bytes += static_cast<char>((text.size() >> shift) & 0xff);
    }
    bytes.append(text);
  };
  for (const model::Label& label : labels) {
    append(label.name);
    append(label.value);
  }
  constexpr double kHashes = 18446744073709551616.0;  // 2^64
  return static_cast<double>(XXH64(bytes.data(), bytes.size(), 0)) / kHashes;
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
    std::vector<std::vector<bool>> kept(rows_.rows.size());
    std::vector<std::size_t> order;
    std::vector<std::size_t> candidates;
    for (const auto& members : members_) {
      for (std::size_t k = 0; k < steps_; ++k) {
        choose(members, k, candidates);
        for (const std::size_t i : candidates) {
          if (kept[i].empty()) {
            kept[i].assign(steps_, false);
            order.push_back(i);
          }
          kept[i][k] = true;
        }
      }
    }
    Rows out;
    for (const std::size_t i : order) {
      Row& row = rows_.rows[i];
      for (std::size_t k = 0; k < steps_; ++k) {
        if (!kept[i][k]) row.drop(k);
      }
      out.rows.push_back(std::move(row));
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
      if (!rows_.rows[i].has(k)) continue;
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
  if (expr.op != AggregateOp::kLimitk && expr.op != AggregateOp::kLimitRatio) ignore_histograms(context, expr, rows);
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
    const Row& from = rows.rows[i];
    for (std::size_t k = 0; k < grid.count; ++k) {
      if (!from.has(k)) continue;
      std::string text = has_histogram(from.histograms, k) ? model::to_string(*from.histograms[k])
                                                           : base::format_float(from.values[k]);
      if (text.size() > kLabelValueBytesMax) return too_long(label);
      const auto [found, fresh] = index.try_emplace({grouping.group_of[i], std::move(text)}, out.rows.size());
      if (fresh) {
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
