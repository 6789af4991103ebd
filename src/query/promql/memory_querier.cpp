#include "query/promql/memory_querier.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "model/histogram_arithmetic.h"

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
    out.histograms.clear();
    out.start_times.clear();
    if (!all.histograms.empty()) out.histograms.assign(all.histograms.begin() + begin, all.histograms.begin() + end);
    if (!all.start_times.empty())
      out.start_times.assign(all.start_times.begin() + begin, all.start_times.begin() + end);
    return {};
  }
  void add(const LabelSet& labels, const Columns& columns) { found_.emplace_back(&labels, &columns); }

 private:
  std::vector<std::pair<const LabelSet*, const Columns*>> found_;
};

bool overlaps(const Columns& columns, TimestampMs from_ms, TimestampMs to_ms) {
  return !columns.times.empty() && columns.times.front() <= to_ms && columns.times.back() >= from_ms;
}

// Where the sample is now.
std::size_t place(Columns& columns, TimestampMs time_ms, double value, TimestampMs start_ms) {
  const auto offset = std::lower_bound(columns.times.begin(), columns.times.end(), time_ms) - columns.times.begin();
  const auto at = static_cast<std::size_t>(offset);
  if (at == columns.size() || columns.times[at] != time_ms) {
    columns.times.insert(columns.times.begin() + offset, time_ms);
    columns.values.insert(columns.values.begin() + offset, value);
    if (!columns.histograms.empty()) columns.histograms.insert(columns.histograms.begin() + offset, nullptr);
    if (!columns.start_times.empty()) columns.start_times.insert(columns.start_times.begin() + offset, 0);
  }
  columns.values[at] = value;
  if (!columns.histograms.empty()) columns.histograms[at] = nullptr;
  if (columns.start_times.empty() && start_ms != 0) columns.start_times.resize(columns.size());
  if (!columns.start_times.empty()) columns.start_times[at] = start_ms;
  return at;
}

// A store begins a new chunk where the layout changes or counting began anew, and knows of each histogram inside one
// that it counted on.
model::HistogramPtr with_hint(model::HistogramPtr histogram, const model::Histogram* before) {
  using model::CounterReset;
  CounterReset hint = histogram->reset;
  if (hint != CounterReset::kGauge && hint != CounterReset::kReset) {
    const bool same_chunk =
        before != nullptr && before->reset != CounterReset::kGauge && before->schema == histogram->schema &&
        before->zero_threshold == histogram->zero_threshold && before->custom_bounds == histogram->custom_bounds;
    hint = CounterReset::kUnknown;
    if (same_chunk) {
      model::Histogram unhinted = *histogram;
      unhinted.reset = CounterReset::kUnknown;
      hint = model::was_reset(*before, unhinted) ? CounterReset::kReset : CounterReset::kNotReset;
    }
  }
  if (hint == histogram->reset) return histogram;
  auto out = std::make_shared<model::Histogram>(*histogram);
  out->reset = hint;
  return out;
}

}  // namespace

void MemoryQuerier::add(const LabelSet& labels, TimestampMs time_ms, double value, TimestampMs start_ms) {
  place(series_[labels], time_ms, value, start_ms);
}

void MemoryQuerier::add(const LabelSet& labels, TimestampMs time_ms, model::HistogramPtr histogram,
                        TimestampMs start_ms) {
  Columns& columns = series_[labels];
  const std::size_t at = place(columns, time_ms, std::numeric_limits<double>::quiet_NaN(), start_ms);
  if (columns.histograms.empty()) columns.histograms.resize(columns.size());
  const model::Histogram* before = at > 0 ? columns.histograms[at - 1].get() : nullptr;
  columns.histograms[at] = with_hint(std::move(histogram), before);
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
