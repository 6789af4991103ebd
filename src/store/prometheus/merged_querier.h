// Several queriers as one: series are joined by labels, samples by time, names and values united.
//
// Where two have a sample of one series at the same time, the one named first wins. Thread-safe as its parts are.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/metrics/querier.h"

namespace qd::store::prometheus {

class MergedQuerier final : public metrics::Querier {
 public:
  // The parts outlive it or are kept alive by it; each gives series in label order.
  explicit MergedQuerier(std::vector<std::shared_ptr<const metrics::Querier>> parts) : parts_(std::move(parts)) {}

  base::Result<std::unique_ptr<metrics::SeriesSet>> select(std::span<const metrics::Matcher> matchers,
                                                           model::TimestampMs from_ms, model::TimestampMs to_ms,
                                                           std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const metrics::Matcher> matchers,
                                                     model::TimestampMs from_ms,
                                                     model::TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const metrics::Matcher> matchers,
                                                      model::TimestampMs from_ms,
                                                      model::TimestampMs to_ms) const override;

 private:
  std::vector<std::shared_ptr<const metrics::Querier>> parts_;
};

// One that somebody else owns, as a part.
inline std::shared_ptr<const metrics::Querier> borrowed(const metrics::Querier& querier) {
  return {std::shared_ptr<const metrics::Querier>(), &querier};
}

}  // namespace qd::store::prometheus
