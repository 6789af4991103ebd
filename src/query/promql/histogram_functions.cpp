#include "query/promql/histogram_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "base/strings.h"
#include "model/histogram_estimates.h"
#include "query/promql/remarks.h"

namespace qd::query::promql {

namespace {

// Rates of buckets that were scraped together differ by rounding in about the last four bits.
constexpr double kRounding = 1e-12;

bool almost_equal(double a, double b) {
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  constexpr double kSmallest = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kSmallest) return difference < kRounding * kSmallest;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kRounding;
}

// Sorts, adds up buckets with the same bound, and lets no count fall. False without a bucket for +Inf.
bool prepare(std::vector<Bucket>& buckets, bool& repaired) {
  std::sort(buckets.begin(), buckets.end(), [](const Bucket& a, const Bucket& b) { return a.upper < b.upper; });
  if (buckets.empty() || buckets.back().upper != kInfinity) return false;
  std::size_t last = 0;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper == buckets[last].upper) {
      buckets[last].count += buckets[i].count;
    } else {
      buckets[++last] = buckets[i];
    }
  }
  buckets.resize(last + 1);
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    const double before = buckets[i - 1].count;
    double& count = buckets[i].count;
    if (count == before) continue;
    if (almost_equal(count, before)) {
      count = before;
    } else if (count < before) {
      count = before;
      repaired = true;
    }
  }
  return true;
}

// One histogram: the rows of its buckets, which have the same labels but for `le`, or a row of native ones.
struct BucketRows {
  model::LabelSet labels;  // without le
  bool drop_name = false;
  std::string_view name;
  std::vector<std::pair<double, const RowValues*>> buckets;
  const HistogramColumn* native = nullptr;
};

std::vector<BucketRows> group_buckets(Context& context, const Rows& rows, Span span) {
  std::vector<BucketRows> out;
  std::unordered_map<model::LabelSet, std::size_t> index;
  const auto group = [&](model::LabelSet labels, const Row& row) -> BucketRows& {
    const auto [found, fresh] = index.try_emplace(labels, out.size());
    if (fresh) out.push_back({std::move(labels), row.drop_name, row.labels.name(), {}});
    out[found->second].drop_name = out[found->second].drop_name || row.drop_name;
    return out[found->second];
  };
  for (const Row& row : rows.rows) {
    if (!row.histograms.empty()) {
      group(row.labels, row).native = &row.histograms;
      if (std::all_of(row.values.begin(), row.values.end(), [](double v) { return is_absent(v); })) continue;
    }
    const std::string_view le = row.labels.get("le");
    const auto upper = base::parse_float(le);
    if (!upper) {
      std::string message =
          fmt::format("bucket label \"le\" is missing or has a malformed value of {}", base::quote(le));
      if (!row.labels.name().empty()) message += fmt::format(" for metric name {}", base::quote(row.labels.name()));
      context.annotations().warn(std::move(message), span);
      continue;
    }
    model::LabelBuilder builder(row.labels);
    builder.remove("le");
    group(builder.build(), row).buckets.emplace_back(*upper, &row.values);
  }
  return out;
}

// One row a histogram: f(buckets, step, repaired) at each step where a bucket has a value, native(histogram, step,
// name) where there is a native one.
template <typename F, typename Native>
base::Result<Rows> each_histogram(Context& context, const Rows& rows, Span span, const Grid& grid, F&& f,
                                  Native&& native) {
  Rows out;
  std::vector<Bucket> buckets;
  for (const BucketRows& histogram : group_buckets(context, rows, span)) {
    QD_TRY(context.check());
    QD_ASSIGN(Charge charge, context.charge(grid.count));
    out.charge.absorb(std::move(charge));
    Row row;
    const bool delayed = context.options().delayed_name_removal;
    row.labels = delayed ? histogram.labels : without_name(histogram.labels);
    row.drop_name = delayed;
    row.values.assign(grid.count, kAbsent);
    bool repaired = false;
    for (std::size_t k = 0; k < grid.count; ++k) {
      buckets.clear();
      for (const auto& [upper, values] : histogram.buckets) {
        if (!is_absent((*values)[k])) buckets.push_back({upper, (*values)[k]});
      }
      const model::Histogram* whole =
          histogram.native != nullptr && has_histogram(*histogram.native, k) ? (*histogram.native)[k].get() : nullptr;
      if (whole != nullptr && !buckets.empty()) {
        context.annotations().warn(remarks::mixed_classic_and_native(histogram.name), span);
      } else if (whole != nullptr) {
        row.values[k] = native(*whole, k, histogram.name);
      } else if (!buckets.empty()) {
        row.values[k] = f(buckets, k, repaired);
      }
    }
    if (repaired) {
      std::string message =
          "input to histogram_quantile needed to be fixed for monotonicity (see "
          "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
      if (!histogram.name.empty()) message += fmt::format(" for metric name {}", base::quote(histogram.name));
      context.annotations().info(std::move(message), span);
    }
    out.rows.push_back(std::move(row));
  }
  QD_TRY(join_same_labels(out, false));
  return out;
}

void check_quantile(Context& context, const RowValues& q, Span span) {
  for (const double value : q) {
    if (value >= 0 && value <= 1) continue;
    context.annotations().warn(fmt::format("quantile value should be between 0 and 1, got {}",
                                           std::isnan(value) ? "NaN" : fmt::format("{:g}", value)),
                               span);
  }
}

double native_quantile(Context& context, double q, const model::Histogram& histogram, std::string_view name,
                       Span span) {
  const double value = model::quantile(q, histogram);
  if (q >= 0 && q <= 1 && model::has_nan_observations(histogram)) {
    context.annotations().info(std::isnan(value) ? remarks::quantile_is_nan(name) : remarks::quantile_is_skewed(name),
                               span);
  }
  return value;
}

// A float as OpenMetrics writes it in label values: always with a point or an exponent.
std::string open_metrics_float(double value) {
  std::string text = base::format_float(value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

double bucket_quantile(double q, std::vector<Bucket>& buckets, bool& repaired) {
  if (std::isnan(q)) return kNan;
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  if (!prepare(buckets, repaired) || buckets.size() < 2) return kNan;
  const double observations = buckets.back().count;
  if (observations == 0 || std::isnan(observations)) return kNan;
  double rank = q * observations;
  std::size_t b = 0;
  while (b + 1 < buckets.size() && !(buckets[b].count >= rank)) ++b;
  if (b + 1 == buckets.size()) return buckets[b - 1].upper;
  if (b == 0 && buckets[0].upper <= 0) return buckets[0].upper;
  double start = 0;
  double count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return start + (buckets[b].upper - start) * (rank / count);
}

double bucket_fraction(double lower, double upper, std::vector<Bucket>& buckets) {
  bool repaired = false;
  if (!prepare(buckets, repaired)) return kNan;
  const double count = buckets.back().count;
  if (count == 0 || std::isnan(count) || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  // How many observations are below `value`. Nothing is known about how they lie in a bucket without an end, so that
  // one counts only where it is inside the range whole.
  const auto rank_of = [&](double value) {
    double below = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      const double end = buckets[i].upper;
      const double start = i > 0 ? buckets[i - 1].upper : end > 0 ? 0 : -kInfinity;
      if (start >= value) return below;
      if (end > value) {
        if (end == kInfinity) return below;
        if (start == -kInfinity) return buckets[i].count;
        return below + (buckets[i].count - below) * (value - start) / (end - start);
      }
      below = buckets[i].count;
    }
    return count;
  };
  return (std::min(rank_of(upper), count) - std::min(rank_of(lower), count)) / count;
}

base::Result<Rows> histogram_quantile(Context& context, Rows buckets, const RowValues& q, Span q_span, Span span,
                                      const Grid& grid) {
  check_quantile(context, q, q_span);
  return each_histogram(
      context, buckets, span, grid,
      [&](std::vector<Bucket>& at, std::size_t k, bool& repaired) { return bucket_quantile(q[k], at, repaired); },
      [&](const model::Histogram& native, std::size_t k, std::string_view name) {
        return native_quantile(context, q[k], native, name, q_span);
      });
}

base::Result<Rows> histogram_fraction(Context& context, Rows buckets, const RowValues& lower, const RowValues& upper,
                                      Span span, const Grid& grid) {
  return each_histogram(
      context, buckets, span, grid,
      [&](std::vector<Bucket>& at, std::size_t k, bool&) { return bucket_fraction(lower[k], upper[k], at); },
      [&](const model::Histogram& native, std::size_t k, std::string_view name) {
        if (model::has_nan_observations(native)) context.annotations().info(remarks::fraction_without_nan(name), span);
        return model::fraction(lower[k], upper[k], native);
      });
}

base::Result<Rows> histogram_quantiles(Context& context, Rows buckets, const std::string& label,
                                       const std::vector<RowValues>& q, Span q_span, Span span, const Grid& grid) {
  if (label.empty() || !base::valid_utf8(label)) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("invalid label name {} in histogram_quantiles()", base::quote(label)));
  }
  Rows out;
  for (const RowValues& values : q) {
    check_quantile(context, values, q_span);
    const auto classic = [&](std::vector<Bucket>& at, std::size_t k, bool& repaired) {
      return bucket_quantile(values[k], at, repaired);
    };
    const auto native = [&](const model::Histogram& whole, std::size_t k, std::string_view name) {
      return native_quantile(context, values[k], whole, name, span);
    };
    QD_ASSIGN(Rows one, each_histogram(context, buckets, span, grid, classic, native));
    // The label is the quantile at each step; a quantile that changes over time gives a series a value.
    for (Row& row : one.rows) {
      std::unordered_map<std::string, std::size_t> series;
      for (std::size_t k = 0; k < grid.count; ++k) {
        if (is_absent(row.values[k])) continue;
        const auto [found, fresh] = series.try_emplace(open_metrics_float(values[k]), out.rows.size());
        if (fresh) {
          model::LabelBuilder builder(row.labels);
          builder.set(label, found->first);
          model::LabelSet labels = builder.build();
          QD_ASSIGN(Charge charge, context.charge(grid.count, labels.bytes().size()));
          out.charge.absorb(std::move(charge));
          out.rows.push_back({std::move(labels), row.drop_name, RowValues(grid.count, kAbsent)});
        }
        out.rows[found->second].values[k] = row.values[k];
      }
    }
  }
  QD_TRY(join_same_labels(out, false));
  return out;
}

}  // namespace qd::query::promql
