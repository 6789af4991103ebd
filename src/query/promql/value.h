// What a query answers with.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

namespace qd::query::promql {

struct ScalarValue {
  model::TimestampMs time_ms = 0;
  double value = 0;
};
struct StringValue {
  model::TimestampMs time_ms = 0;
  std::string value;
};
struct VectorSample {
  model::LabelSet labels;
  model::TimestampMs time_ms = 0;
  double value = 0;
  model::HistogramPtr histogram = nullptr;  // instead of the value, where it is not null
};
struct HistogramSample {
  model::TimestampMs time_ms = 0;
  model::HistogramPtr histogram;
};
// A time is in one of the two at most; both rise.
struct MatrixSeries {
  model::LabelSet labels;
  std::vector<model::Sample> samples = {};
  std::vector<HistogramSample> histograms = {};
};
using Vector = std::vector<VectorSample>;
using Matrix = std::vector<MatrixSeries>;

struct QueryStats {
  std::uint64_t series = 0;        // selected from the store, over all selectors
  std::uint64_t samples_read = 0;  // decoded from it
  std::uint64_t samples_peak = 0;  // held in memory at once, what query.samples_limit bounds
  std::int64_t parse_ns = 0;
  std::int64_t evaluate_ns = 0;
};

struct QueryResult {
  // An instant query gives what its expression is; a range query always gives a Matrix, in label order.
  std::variant<ScalarValue, StringValue, Vector, Matrix> value;
  // "PromQL warning: ... (1:5)" and "PromQL info: ... (1:5)", each once.
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  QueryStats stats;
};

}  // namespace qd::query::promql
