// A vector that is not there yet: series by number, each one's row computed when somebody wants it.
//
// The engine strings sources together (select, rate, times a scalar) and whoever ends the chain, an aggregation or the
// result, pulls each series through it once, from many threads. So a query holds its result and one series a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "query/promql/context.h"
#include "query/promql/grid.h"
#include "query/promql/rows.h"
#include "store/metrics/querier.h"

namespace qd::query::promql {

// What histograms are charged as: their bytes in samples. One that stands in a column several times counts each time.
std::uint64_t samples_of(const HistogramColumn& column);

// Buffers of one thread, reused from series to series.
class Scratch {
 public:
  explicit Scratch(Context& context) : context_(context) {}

  store::metrics::Columns columns;
  // Of the row that compute() has just filled.
  HistogramColumn histograms;
  // Those of the columns' samples that are numbers, where that has to be told apart.
  store::metrics::Columns numbers;
  std::vector<double> row;
  std::vector<std::size_t> indices;  // kSlidingSamplesMax of them at most
  std::vector<double> sorted;

  // Charges the query for what the columns have grown to, and for copies of so many of their values.
  base::Status charge_columns(std::size_t copied_values = 0) {
    const std::uint64_t samples = columns.size() + samples_of(columns.histograms) + (copied_values + 1) / 2;
    if (samples <= charge_.samples()) return {};
    QD_ASSIGN(Charge more, context_.charge(samples - charge_.samples()));
    charge_.absorb(std::move(more));
    return {};
  }
  // For the source inside the one that uses this.
  Scratch& inner() {
    if (inner_ == nullptr) inner_ = std::make_unique<Scratch>(context_);
    return *inner_;
  }

 private:
  Context& context_;
  Charge charge_;
  std::unique_ptr<Scratch> inner_;
};

class Source {
 public:
  virtual ~Source() = default;
  virtual std::size_t size() const = 0;
  // With the metric name, even where drops_name().
  virtual const model::LabelSet& labels(std::size_t i) const = 0;
  // The series is no longer what its name says.
  virtual bool drops_name(std::size_t i) const = 0;
  // No two series differ in their name alone.
  virtual bool unique_without_name() const = 0;
  // Fills `out`, one value a step, and scratch.histograms. True when there is any value.
  virtual base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const = 0;
};
using SourcePtr = std::unique_ptr<Source>;

SourcePtr make_rows_source(Rows rows);
// The one value of each series of `inner` at every step.
SourcePtr make_broadcast_source(SourcePtr inner);

// All series of `source` that have a value.
base::Result<Rows> materialize(Context& context, const Source& source, const Grid& grid);

// What `source` becomes where a function has just dropped names: itself, unless series now look the same, which
// join_same_labels decides. With query.delayed_name_removal that is left to the end of the query.
base::Result<SourcePtr> settle_names(Context& context, SourcePtr source, const Grid& grid, bool strict);

// The labels that series i has for whoever comes next.
model::LabelSet labels_after(const Context& context, const Source& source, std::size_t i);

}  // namespace qd::query::promql
