#include "query/promql/memory_querier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace qd::query::promql {

namespace {

using model::LabelSet;
using model::TimestampMs;
using store::metrics::Columns;

class MemorySeries final : public store::metrics::SeriesSet {
 public:
  std::size_t size() const override { return found_.size(); }
  const LabelSet& labels(std::size_t i) const override { return *found_[i].first; }
  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    const Columns& all = *found_[i].second;
    const auto begin = std::lower_bound(all.times.begin(), all.times.end(), from_ms) - all.times.begin();
    const auto end = std::max(begin, std::upper_bound(all.times.begin(), all.times.end(), to_ms) - all.times.begin());
    out.times.assign(all.times.begin() + begin, all.times.begin() + end);
    out.values.assign(all.values.begin() + begin, all.values.begin() + end);
    return {};
  }
  void add(const LabelSet& labels, const Columns& columns) { found_.emplace_back(&labels, &columns); }

 private:
  std::vector<std::pair<const LabelSet*, const Columns*>> found_;
};

bool overlaps(const Columns& columns, TimestampMs from_ms, TimestampMs to_ms) {
  return !columns.times.empty() && columns.times.front() <= to_ms && columns.times.back() >= from_ms;
}

}  // namespace

void MemoryQuerier::add(const LabelSet& labels, TimestampMs time_ms, double value) {
  Columns& columns = series_[labels];
  const auto at = std::lower_bound(columns.times.begin(), columns.times.end(), time_ms) - columns.times.begin();
  if (static_cast<std::size_t>(at) < columns.size() && columns.times[static_cast<std::size_t>(at)] == time_ms) {
    columns.values[static_cast<std::size_t>(at)] = value;
    return;
  }
  columns.times.insert(columns.times.begin() + at, time_ms);
  columns.values.insert(columns.values.begin() + at, value);
}

base::Result<std::unique_ptr<store::metrics::SeriesSet>> MemoryQuerier::select(std::span<const model::Matcher> matchers,
                                                                               TimestampMs from_ms, TimestampMs to_ms,
                                                                               std::size_t series_limit) const {
  auto out = std::make_unique<MemorySeries>();
  for (const auto& [labels, columns] : series_) {
    if (!overlaps(columns, from_ms, to_ms) || !model::matches_all(matchers, labels)) continue;
    if (out->size() == series_limit) {
      return base::fail(base::ErrorCode::kLimit,
                        fmt::format("a selector matches more than {} series (query.series_limit): narrow it, or raise "
                                    "the limit",
                                    series_limit));
    }
    out->add(labels, columns);
  }
  return out;
}

base::Result<std::vector<std::string>> MemoryQuerier::label_names(std::span<const model::Matcher> matchers,
                                                                  TimestampMs from_ms, TimestampMs to_ms) const {
  std::set<std::string> names;
  for (const auto& [labels, columns] : series_) {
    if (!overlaps(columns, from_ms, to_ms) || !model::matches_all(matchers, labels)) continue;
    for (const model::Label& label : labels) names.emplace(label.name);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

base::Result<std::vector<std::string>> MemoryQuerier::label_values(std::string_view name,
                                                                   std::span<const model::Matcher> matchers,
                                                                   TimestampMs from_ms, TimestampMs to_ms) const {
  std::set<std::string> values;
  for (const auto& [labels, columns] : series_) {
    if (!overlaps(columns, from_ms, to_ms) || !model::matches_all(matchers, labels)) continue;
    if (const std::string_view value = labels.get(name); !value.empty()) values.emplace(value);
  }
  return std::vector<std::string>(values.begin(), values.end());
}

}  // namespace qd::query::promql
