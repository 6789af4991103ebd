#include "store/prometheus/merged_querier.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <utility>

#include "store/prometheus/chunk.h"

namespace qd::store::prometheus {
namespace {

using metrics::Columns;
using metrics::Matcher;
using metrics::SeriesSet;
using model::LabelSet;
using model::TimestampMs;

class MergedSeries final : public SeriesSet {
 public:
  explicit MergedSeries(std::vector<std::unique_ptr<SeriesSet>> sets) : sets_(std::move(sets)) {
    struct Cursor {
      const LabelSet* labels;
      std::uint32_t set;
      std::uint32_t at;
    };
    const auto later = [](const Cursor& a, const Cursor& b) {
      const auto order = *a.labels <=> *b.labels;
      return order != 0 ? order > 0 : a.set > b.set;
    };
    std::priority_queue<Cursor, std::vector<Cursor>, decltype(later)> cursors(later);
    const auto push = [&](std::uint32_t set, std::uint32_t at) {
      if (at < sets_[set]->size()) cursors.push({&sets_[set]->labels(at), set, at});
    };
    for (std::uint32_t set = 0; set < sets_.size(); ++set) push(set, 0);
    while (!cursors.empty()) {
      const Cursor next = cursors.top();
      cursors.pop();
      if (rows_.empty() || *rows_.back().labels != *next.labels) {
        rows_.push_back({.labels = next.labels, .first = static_cast<std::uint32_t>(sources_.size()), .count = 0});
      }
      sources_.push_back({.set = next.set, .at = next.at});
      ++rows_.back().count;
      push(next.set, next.at + 1);
    }
  }

  std::size_t size() const override { return rows_.size(); }
  const LabelSet& labels(std::size_t i) const override { return *rows_[i].labels; }

  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    const auto sources = std::span(sources_).subspan(rows_[i].first, rows_[i].count);
    if (sources.size() == 1) return sets_[sources.front().set]->read(sources.front().at, from_ms, to_ms, out);
    Columns one;
    for (const Source& source : sources) {
      QD_TRY(sets_[source.set]->read(source.at, from_ms, to_ms, one));
      for (std::size_t k = 0; k < one.size(); ++k) {
        add_sample(out, one.times[k], one.values[k], one.histograms.empty() ? nullptr : std::move(one.histograms[k]));
      }
    }
    sort_columns(out);
    return {};
  }

 private:
  struct Source {
    std::uint32_t set;
    std::uint32_t at;
  };
  struct Row {
    const LabelSet* labels;
    std::uint32_t first;
    std::uint32_t count;
  };
  std::vector<std::unique_ptr<SeriesSet>> sets_;
  std::vector<Source> sources_;
  std::vector<Row> rows_;
};

void unite(std::vector<std::string>& all, std::vector<std::string> more) {
  std::vector<std::string> both;
  both.reserve(all.size() + more.size());
  std::ranges::set_union(all, more, std::back_inserter(both));
  all = std::move(both);
}

}  // namespace

base::Result<std::unique_ptr<SeriesSet>> MergedQuerier::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                               TimestampMs to_ms, std::size_t series_limit) const {
  std::vector<std::unique_ptr<SeriesSet>> sets;
  for (const auto& part : parts_) {
    QD_ASSIGN(auto set, part->select(matchers, from_ms, to_ms, series_limit));
    if (set->size() > 0) sets.push_back(std::move(set));
  }
  if (sets.size() == 1) return std::move(sets.front());
  auto merged = std::make_unique<MergedSeries>(std::move(sets));
  if (merged->size() > series_limit) {
    return base::fail(base::ErrorCode::kLimit,
                      fmt::format("the selection matches more than {} series (query.series_limit): name more labels, "
                                  "or raise the limit",
                                  series_limit));
  }
  return merged;
}

base::Result<std::vector<std::string>> MergedQuerier::label_names(std::span<const Matcher> matchers,
                                                                  TimestampMs from_ms, TimestampMs to_ms) const {
  std::vector<std::string> all;
  for (const auto& part : parts_) {
    QD_ASSIGN(auto names, part->label_names(matchers, from_ms, to_ms));
    unite(all, std::move(names));
  }
  return all;
}

base::Result<std::vector<std::string>> MergedQuerier::label_values(std::string_view name,
                                                                   std::span<const Matcher> matchers,
                                                                   TimestampMs from_ms, TimestampMs to_ms) const {
  std::vector<std::string> all;
  for (const auto& part : parts_) {
    QD_ASSIGN(auto values, part->label_values(name, matchers, from_ms, to_ms));
    unite(all, std::move(values));
  }
  return all;
}

}  // namespace qd::store::prometheus
