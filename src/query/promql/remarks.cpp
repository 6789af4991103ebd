#include "query/promql/remarks.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace qd::query::promql::remarks {

namespace {

// Some texts leave an empty name out, others tell it.
std::string of_metric(std::string_view text, std::string_view metric) {
  return metric.empty() ? std::string(text) : fmt::format("{} for metric name {}", text, base::quote(metric));
}

}  // namespace

std::string mixed_floats_and_histograms(std::string_view metric) {
  return fmt::format("encountered a mix of histograms and floats for metric name {}", base::quote(metric));
}
std::string mixed_floats_and_histograms_in_aggregation() {
  return "encountered a mix of histograms and floats for aggregation";
}
std::string mixed_classic_and_native(std::string_view metric) {
  return of_metric("vector contains a mix of classic and native histograms", metric);
}
std::string mixed_exponential_and_custom(std::string_view metric) {
  return fmt::format(
      "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
      base::quote(metric));
}
std::string not_a_counter(std::string_view metric) {
  return fmt::format("this native histogram metric is not a counter: {}", base::quote(metric));
}
std::string not_a_gauge(std::string_view metric) {
  return fmt::format("this native histogram metric is not a gauge: {}", base::quote(metric));
}
std::string start_time_overlap(std::string_view metric) {
  return fmt::format("sample has start time that overlaps with previous sample timestamp for metric {}",
                     base::quote(metric));
}
std::string conflicting_resets(std::string_view operation) {
  return fmt::format("conflicting counter resets during histogram {}", operation);
}
std::string custom_buckets_reconciled(std::string_view operation) {
  return fmt::format("mismatched custom buckets were reconciled during {}", operation);
}
std::string incompatible_types(BinaryOp op, bool left_histogram, bool right_histogram) {
  const auto type = [](bool histogram) { return histogram ? "histogram" : "float"; };
  return fmt::format("incompatible sample types encountered for binary operator \"{}\": {} {} {}", to_string(op),
                     type(left_histogram), to_string(op), type(right_histogram));
}
std::string ignored_in_aggregation(AggregateOp op) {
  return fmt::format("ignored histogram in {} aggregation", to_string(op));
}
std::string ignored_in_mixed_range(std::string_view metric) {
  return fmt::format("ignored histograms in a range containing both floats and histograms for metric name {}",
                     base::quote(metric));
}
std::string quantile_is_nan(std::string_view metric) {
  return of_metric("input to histogram_quantile has NaN observations, result is NaN", metric);
}
std::string quantile_is_skewed(std::string_view metric) {
  return of_metric("input to histogram_quantile has NaN observations, result is skewed higher", metric);
}
std::string fraction_without_nan(std::string_view metric) {
  return of_metric("input to histogram_fraction has NaN observations, which are excluded from all fractions", metric);
}

}  // namespace qd::query::promql::remarks
