#include "store/metrics/merge.h"

#include <fmt/core.h>

#include <algorithm>
#include <queue>
#include <utility>
#include <vector>

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

// Adds `newer` to `into`: both rise; at the same time `newer` wins.
void merge_columns(Columns& into, const Columns& newer, Columns& scratch) {
  if (into.times.empty() || newer.times.empty() || into.times.back() < newer.times.front()) {
    into.times.insert(into.times.end(), newer.times.begin(), newer.times.end());
    into.values.insert(into.values.end(), newer.values.begin(), newer.values.end());
    return;
  }
  scratch.clear();
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < into.size() || j < newer.size()) {
    const bool take_newer = i == into.size() || (j < newer.size() && newer.times[j] <= into.times[i]);
    if (take_newer) {
      if (i < into.size() && into.times[i] == newer.times[j]) ++i;
      scratch.times.push_back(newer.times[j]);
      scratch.values.push_back(newer.values[j++]);
    } else {
      scratch.times.push_back(into.times[i]);
      scratch.values.push_back(into.values[i++]);
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
  bool any = false;
  while (!cursors.empty()) {
    const LabelSet labels = cursors.top().labels;
    all.clear();
    while (!cursors.empty() && cursors.top().labels == labels) {
      const std::size_t segment = cursors.top().segment;
      const std::uint32_t id = cursors.top().id;
      cursors.pop();
      one.clear();
      QD_TRY(segments[segment]->read(id, drop_before_ms, model::kMaxTimestampMs, one));
      if (cut) cut(segment, labels, one);
      merge_columns(all, one, scratch);
      push(segment, id + 1);
    }
    if (all.times.empty()) continue;
    any = true;
    QD_TRY(writer->add(labels, all.times, all.values));
  }
  if (!any) {
    return base::fail(base::ErrorCode::kNotFound,
                      fmt::format("merging {} segments into {}: no sample is left", segments.size(), path.native()));
  }
  return writer->finish();
}

}  // namespace qd::store::metrics
