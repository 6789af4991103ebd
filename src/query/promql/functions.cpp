#include "query/promql/functions.h"

#include <algorithm>

namespace qd::query::promql {

namespace {

constexpr ValueType kS = ValueType::kScalar;
constexpr ValueType kT = ValueType::kString;
constexpr ValueType kV = ValueType::kVector;
constexpr ValueType kM = ValueType::kMatrix;

// Sorted by name.
const std::vector<Function>& table() {
  using Id = FunctionId;
  static const std::vector<Function> functions = {
      {"abs", Id::kAbs, {kV}, 0, kV, false},
      {"absent", Id::kAbsentAtStep, {kV}, 0, kV, false},
      {"absent_over_time", Id::kAbsentOverTime, {kM}, 0, kV, false},
      {"acos", Id::kAcos, {kV}, 0, kV, false},
      {"acosh", Id::kAcosh, {kV}, 0, kV, false},
      {"asin", Id::kAsin, {kV}, 0, kV, false},
      {"asinh", Id::kAsinh, {kV}, 0, kV, false},
      {"atan", Id::kAtan, {kV}, 0, kV, false},
      {"atanh", Id::kAtanh, {kV}, 0, kV, false},
      {"avg_over_time", Id::kAvgOverTime, {kM}, 0, kV, false},
      {"ceil", Id::kCeil, {kV}, 0, kV, false},
      {"changes", Id::kChanges, {kM}, 0, kV, false},
      {"clamp", Id::kClamp, {kV, kS, kS}, 0, kV, false},
      {"clamp_max", Id::kClampMax, {kV, kS}, 0, kV, false},
      {"clamp_min", Id::kClampMin, {kV, kS}, 0, kV, false},
      {"cos", Id::kCos, {kV}, 0, kV, false},
      {"cosh", Id::kCosh, {kV}, 0, kV, false},
      {"count_over_time", Id::kCountOverTime, {kM}, 0, kV, false},
      {"day_of_month", Id::kDayOfMonth, {kV}, 1, kV, false},
      {"day_of_week", Id::kDayOfWeek, {kV}, 1, kV, false},
      {"day_of_year", Id::kDayOfYear, {kV}, 1, kV, false},
      {"days_in_month", Id::kDaysInMonth, {kV}, 1, kV, false},
      {"deg", Id::kDeg, {kV}, 0, kV, false},
      {"delta", Id::kDelta, {kM}, 0, kV, false},
      {"deriv", Id::kDeriv, {kM}, 0, kV, false},
      {"double_exponential_smoothing", Id::kDoubleExponentialSmoothing, {kM, kS, kS}, 0, kV, true},
      {"end", Id::kEnd, {}, 0, kS, true},
      {"exp", Id::kExp, {kV}, 0, kV, false},
      {"first_over_time", Id::kFirstOverTime, {kM}, 0, kV, true},
      {"floor", Id::kFloor, {kV}, 0, kV, false},
      {"histogram_avg", Id::kHistogramAvg, {kV}, 0, kV, false},
      {"histogram_count", Id::kHistogramCount, {kV}, 0, kV, false},
      {"histogram_fraction", Id::kHistogramFraction, {kS, kS, kV}, 0, kV, false},
      {"histogram_quantile", Id::kHistogramQuantile, {kS, kV}, 0, kV, false},
      {"histogram_quantiles", Id::kHistogramQuantiles, {kV, kT, kS, kS}, 9, kV, true},
      {"histogram_stddev", Id::kHistogramStddev, {kV}, 0, kV, false},
      {"histogram_stdvar", Id::kHistogramStdvar, {kV}, 0, kV, false},
      {"histogram_sum", Id::kHistogramSum, {kV}, 0, kV, false},
      {"holt_winters", Id::kDoubleExponentialSmoothing, {kM, kS, kS}, 0, kV, false},  // its name in Prometheus 2
      {"hour", Id::kHour, {kV}, 1, kV, false},
      {"idelta", Id::kIdelta, {kM}, 0, kV, false},
      {"increase", Id::kIncrease, {kM}, 0, kV, false},
      {"info", Id::kInfo, {kV, kV}, 1, kV, true},
      {"irate", Id::kIrate, {kM}, 0, kV, false},
      {"label_join", Id::kLabelJoin, {kV, kT, kT, kT}, -1, kV, false},
      {"label_replace", Id::kLabelReplace, {kV, kT, kT, kT, kT}, 0, kV, false},
      {"last_over_time", Id::kLastOverTime, {kM}, 0, kV, false},
      {"ln", Id::kLn, {kV}, 0, kV, false},
      {"log10", Id::kLog10, {kV}, 0, kV, false},
      {"log2", Id::kLog2, {kV}, 0, kV, false},
      {"mad_over_time", Id::kMadOverTime, {kM}, 0, kV, true},
      {"max_over_time", Id::kMaxOverTime, {kM}, 0, kV, false},
      {"min_over_time", Id::kMinOverTime, {kM}, 0, kV, false},
      {"minute", Id::kMinute, {kV}, 1, kV, false},
      {"month", Id::kMonth, {kV}, 1, kV, false},
      {"pi", Id::kPi, {}, 0, kS, false},
      {"predict_linear", Id::kPredictLinear, {kM, kS}, 0, kV, false},
      {"present_over_time", Id::kPresentOverTime, {kM}, 0, kV, false},
      {"quantile_over_time", Id::kQuantileOverTime, {kS, kM}, 0, kV, false},
      {"rad", Id::kRad, {kV}, 0, kV, false},
      {"range", Id::kRange, {}, 0, kS, true},
      {"rate", Id::kRate, {kM}, 0, kV, false},
      {"resets", Id::kResets, {kM}, 0, kV, false},
      {"round", Id::kRound, {kV, kS}, 1, kV, false},
      {"scalar", Id::kScalar, {kV}, 0, kS, false},
      {"sgn", Id::kSgn, {kV}, 0, kV, false},
      {"sin", Id::kSin, {kV}, 0, kV, false},
      {"sinh", Id::kSinh, {kV}, 0, kV, false},
      {"sort", Id::kSort, {kV}, 0, kV, false},
      {"sort_by_label", Id::kSortByLabel, {kV, kT}, -1, kV, true},
      {"sort_by_label_desc", Id::kSortByLabelDesc, {kV, kT}, -1, kV, true},
      {"sort_desc", Id::kSortDesc, {kV}, 0, kV, false},
      {"sqrt", Id::kSqrt, {kV}, 0, kV, false},
      {"start", Id::kStart, {}, 0, kS, true},
      {"start_timestamp", Id::kStartTimestamp, {kV}, 0, kV, true},
      {"stddev_over_time", Id::kStddevOverTime, {kM}, 0, kV, false},
      {"stdvar_over_time", Id::kStdvarOverTime, {kM}, 0, kV, false},
      {"step", Id::kStep, {}, 0, kS, true},
      {"sum_over_time", Id::kSumOverTime, {kM}, 0, kV, false},
      {"tan", Id::kTan, {kV}, 0, kV, false},
      {"tanh", Id::kTanh, {kV}, 0, kV, false},
      {"time", Id::kTime, {}, 0, kS, false},
      {"timestamp", Id::kTimestamp, {kV}, 0, kV, false},
      {"ts_of_first_over_time", Id::kTsOfFirstOverTime, {kM}, 0, kV, true},
      {"ts_of_last_over_time", Id::kTsOfLastOverTime, {kM}, 0, kV, true},
      {"ts_of_max_over_time", Id::kTsOfMaxOverTime, {kM}, 0, kV, true},
      {"ts_of_min_over_time", Id::kTsOfMinOverTime, {kM}, 0, kV, true},
      {"vector", Id::kVector, {kS}, 0, kV, false},
      {"year", Id::kYear, {kV}, 1, kV, false},
  };
  return functions;
}

}  // namespace

const Function* find_function(std::string_view name) {
  const auto& functions = table();
  const auto found = std::lower_bound(functions.begin(), functions.end(), name,
                                      [](const Function& f, std::string_view wanted) { return f.name < wanted; });
  return found != functions.end() && found->name == name ? &*found : nullptr;
}

std::span<const Function> all_functions() {
  return table();
}

}  // namespace qd::query::promql
