// The texts of warnings and infos about histograms, as Prometheus words them (util/annotations).
#pragma once

#include <string>
#include <string_view>

#include "query/promql/ast.h"

namespace qd::query::promql::remarks {

// Warnings.
std::string mixed_floats_and_histograms(std::string_view metric);
std::string mixed_floats_and_histograms_in_aggregation();
std::string mixed_classic_and_native(std::string_view metric);
std::string mixed_exponential_and_custom(std::string_view metric);
std::string not_a_counter(std::string_view metric);
std::string not_a_gauge(std::string_view metric);
std::string start_time_overlap(std::string_view metric);
// `operation`: addition, subtraction or aggregation.
std::string conflicting_resets(std::string_view operation);

// Infos.
std::string custom_buckets_reconciled(std::string_view operation);
std::string incompatible_types(BinaryOp op, bool left_histogram, bool right_histogram);
std::string ignored_in_aggregation(AggregateOp op);
std::string ignored_in_mixed_range(std::string_view metric);
std::string quantile_is_nan(std::string_view metric);
std::string quantile_is_skewed(std::string_view metric);
std::string fraction_without_nan(std::string_view metric);

}  // namespace qd::query::promql::remarks
