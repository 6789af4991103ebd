// Series in memory: labels and one value a step, a number or a histogram.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "query/promql/context.h"
#include "query/promql/grid.h"

namespace qd::query::promql {

struct Row {
  model::LabelSet labels;
  // The metric name goes when the query ends (query.delayed_name_removal); without it, it is gone from `labels`
  // already.
  bool drop_name = false;
  RowValues values;
  HistogramColumn histograms = {};

  bool has(std::size_t k) const { return !is_absent(values[k]) || has_histogram(histograms, k); }
  void drop(std::size_t k) {
    values[k] = kAbsent;
    if (!histograms.empty()) histograms[k] = nullptr;
  }
  // Takes over what `other` has at step k.
  void take(std::size_t k, const Row& other) {
    values[k] = other.values[k];
    if (!has_histogram(other.histograms, k)) return;
    if (histograms.empty()) histograms.resize(values.size());
    histograms[k] = other.histograms[k];
  }
};

// Rows in the order of what they were made from; none is empty of values.
struct Rows {
  std::vector<Row> rows;
  Charge charge;
};

// __name__, __type__ and __unit__: they say what the samples were before a function changed them.
bool is_name_label(std::string_view name);
// The labels without those.
model::LabelSet without_name(const model::LabelSet& labels);

// Joins rows that have the same labels now. Two with a value at the same step are kInvalid, `strict`: any two are.
base::Status join_same_labels(Rows& rows, bool strict);

// Takes the names off rows that are marked, then joins.
base::Status remove_delayed_names(Rows& rows);

}  // namespace qd::query::promql
