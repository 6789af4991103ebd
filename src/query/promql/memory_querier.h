// Series held in memory, for test scripts and tests of what stands on queries.
//
// Not thread-safe while add() runs; reading afterwards is. What select() returned stays valid while the querier lives
// and nothing is added.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "store/metrics/querier.h"

namespace qd::query::promql {

class MemoryQuerier final : public store::metrics::Querier {
 public:
  // A sample at a time that the series has already replaces the old one.
  // `start_ms`: when it began to be counted, 0 if that is not known.
  void add(const model::LabelSet& labels, model::TimestampMs time_ms, double value, model::TimestampMs start_ms = 0);
  // As a store keeps it: with what is known of the sample before it, unless it is a gauge or says so itself.
  void add(const model::LabelSet& labels, model::TimestampMs time_ms, model::HistogramPtr histogram,
           model::TimestampMs start_ms = 0);
  void clear() { series_.clear(); }
  std::size_t series_count() const { return series_.size(); }

  base::Result<std::unique_ptr<store::metrics::SeriesSet>> select(std::span<const model::Matcher> matchers,
                                                                  model::TimestampMs from_ms, model::TimestampMs to_ms,
                                                                  std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const model::Matcher> matchers,
                                                     model::TimestampMs from_ms,
                                                     model::TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const model::Matcher> matchers,
                                                      model::TimestampMs from_ms,
                                                      model::TimestampMs to_ms) const override;

 private:
  std::map<model::LabelSet, store::metrics::Columns> series_;
};

}  // namespace qd::query::promql
