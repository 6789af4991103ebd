// The functions of PromQL: names, argument types, and what each is to the engine.
//
// Source: the Prometheus documentation and the function list of Prometheus 3.14.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "query/promql/ast.h"

namespace qd::query::promql {

enum class FunctionId : std::uint8_t {
  // One sample in, one out.
  kAbs,
  kAcos,
  kAcosh,
  kAsin,
  kAsinh,
  kAtan,
  kAtanh,
  kCeil,
  kCos,
  kCosh,
  kDeg,
  kExp,
  kFloor,
  kLn,
  kLog10,
  kLog2,
  kRad,
  kSgn,
  kSin,
  kSinh,
  kSqrt,
  kTan,
  kTanh,
  kClamp,
  kClampMax,
  kClampMin,
  kRound,
  kDayOfMonth,
  kDayOfWeek,
  kDayOfYear,
  kDaysInMonth,
  kHour,
  kMinute,
  kMonth,
  kYear,
  kTimestamp,
  kStartTimestamp,
  // A window in, one sample out.
  kAbsentOverTime,
  kAvgOverTime,
  kChanges,
  kCountOverTime,
  kDelta,
  kDeriv,
  kDoubleExponentialSmoothing,
  kFirstOverTime,
  kIdelta,
  kIncrease,
  kIrate,
  kLastOverTime,
  kMadOverTime,
  kMaxOverTime,
  kMinOverTime,
  kPredictLinear,
  kPresentOverTime,
  kQuantileOverTime,
  kRate,
  kResets,
  kStddevOverTime,
  kStdvarOverTime,
  kSumOverTime,
  kTsOfFirstOverTime,
  kTsOfLastOverTime,
  kTsOfMaxOverTime,
  kTsOfMinOverTime,
  // A histogram in, a number out.
  kHistogramAvg,
  kHistogramCount,
  kHistogramStddev,
  kHistogramStdvar,
  kHistogramSum,
  // The whole vector at once.
  kAbsentAtStep,
  kHistogramFraction,
  kHistogramQuantile,
  kHistogramQuantiles,
  kInfo,
  kLabelJoin,
  kLabelReplace,
  kSort,
  kSortByLabel,
  kSortByLabelDesc,
  kSortDesc,
  // Scalars.
  kEnd,
  kPi,
  kRange,
  kScalar,
  kStart,
  kStep,
  kTime,
  kVector,
};

struct Function {
  std::string_view name;
  FunctionId id;
  std::vector<ValueType> args;
  int variadic;  // how many arguments may be left out or repeat the last one; -1: any number, also none
  ValueType returns;
  bool experimental;
};

// Null for a name that PromQL does not have.
const Function* find_function(std::string_view name);
// All of them in order of names, for completion and documentation.
std::span<const Function> all_functions();

// The result keeps the metric name.
inline bool keeps_name(FunctionId id) {
  return id == FunctionId::kFirstOverTime || id == FunctionId::kLastOverTime;
}
inline bool of_histogram(FunctionId id) {
  return id >= FunctionId::kHistogramAvg && id <= FunctionId::kHistogramSum;
}
inline bool takes_window(FunctionId id) {
  return id >= FunctionId::kAbsentOverTime && id <= FunctionId::kTsOfMinOverTime;
}

}  // namespace qd::query::promql
