#include "store/metrics/merge.h"

#include <fmt/core.h>

#include <algorithm>
#include <queue>
#include <utility>
#include <vector>

#include "store/metrics/exemplars.h"

namespace qd::store::metrics {
namespace {

// Where the merge stands in one segment.
struct Cursor {
  LabelSet labels;
  std::size_t segment = 0;
  std::uint32_t id = 0;
};

struct Later {
  bool operator()(const Cursor& a, const Cursor& b) const {
    const auto order = a.labels <=> b.labels;
    return order != 0 ? order > 0 : a.segment > b.segment;
  }
};

// Adds samples [from, from + n) of `columns` to `to`.
void append(Columns& to, const Columns& columns, std::size_t from, std::size_t n) {
  const auto copy = [&](auto& into, const auto& column) {
    const auto begin = column.begin() + static_cast<std::ptrdiff_t>(from);
    into.insert(into.end(), begin, begin + static_cast<std::ptrdiff_t>(n));
  };
  const std::size_t before = to.size();
  copy(to.times, columns.times);
  copy(to.values, columns.values);
  if (!columns.histograms.empty()) {
    to.histograms.resize(before);
    copy(to.histograms, columns.histograms);
  } else if (!to.histograms.empty()) {
    to.histograms.resize(to.size());
  }
}

// Adds `newer` to `into`: both rise; at the same time `newer` wins.
void merge_columns(Columns& into, const Columns& newer, Columns& scratch) {
  if (into.times.empty() || newer.times.empty() || into.times.back() < newer.times.front()) {
    append(into, newer, 0, newer.size());
    return;
  }
  scratch.clear();
  const bool histograms = !into.histograms.empty() || !newer.histograms.empty();
  const auto take = [&](const Columns& from, std::size_t at) {
    scratch.times.push_back(from.times[at]);
    scratch.values.push_back(from.values[at]);
    if (histograms) scratch.histograms.push_back(from.histograms.empty() ? nullptr : from.histograms[at]);
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < into.size() || j < newer.size()) {
    const bool take_newer = i == into.size() || (j < newer.size() && newer.times[j] <= into.times[i]);
    if (take_newer) {
      if (i < into.size() && into.times[i] == newer.times[j]) ++i;
      take(newer, j++);
    } else {
      take(into, i++);
    }
  }
  std::swap(into, scratch);
}

}  // namespace

base::Result<SegmentInfo> merge_segments(base::Files& files, std::span<const std::shared_ptr<const Segment>> segments,
                                         const std::filesystem::path& path, model::TimestampMs drop_before_ms,
                                         const SegmentOptions& options, const SegmentCut& cut) {
  QD_ASSIGN(auto writer, SegmentWriter::create(files, path, options));
  std::priority_queue<Cursor, std::vector<Cursor>, Later> cursors;
  const auto push = [&](std::size_t segment, std::uint32_t id) {
    if (id < segments[segment]->info().series) cursors.push({segments[segment]->labels(id), segment, id});
  };
  for (std::size_t i = 0; i < segments.size(); ++i) push(i, 0);

  Columns all;
  Columns one;
  Columns scratch;
  std::vector<model::Exemplar> exemplars;
  bool any = false;
  while (!cursors.empty()) {
    const LabelSet labels = cursors.top().labels;
    all.clear();
    exemplars.clear();
    while (!cursors.empty() && cursors.top().labels == labels) {
      const std::size_t segment = cursors.top().segment;
      const std::uint32_t id = cursors.top().id;
      cursors.pop();
      one.clear();
      QD_TRY(segments[segment]->read(id, drop_before_ms, model::kMaxTimestampMs, one));
      if (cut) cut(segment, labels, one);
      merge_columns(all, one, scratch);
      QD_TRY(segments[segment]->exemplars(id, drop_before_ms, model::kMaxTimestampMs, exemplars));
      push(segment, id + 1);
    }
    if (all.times.empty()) continue;
    any = true;
    put_in_order(exemplars);
    QD_TRY(writer->add(
        labels, {.times = all.times, .values = all.values, .histograms = all.histograms, .exemplars = exemplars}));
  }
  if (!any) {
    return base::fail(base::ErrorCode::kNotFound,
                      fmt::format("merging {} segments into {}: no sample is left", segments.size(), path.native()));
  }
  return writer->finish();
}

}  // namespace qd::store::metrics
