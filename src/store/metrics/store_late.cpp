// What becomes of samples that come late.
//
// Committed, they are in the log, in records of their own kind, and in the late buffer. Sealing them:
//   1. A new log segment is started and what the buffer holds is frozen, at one moment.
//   2. It is written to segments, one for each window that it touches, synced and renamed.
//   3. The manifest names them and, as `late`, the new log segment: late samples of older ones are not replayed. A
//      crash before leaves files that nothing names; after it, the log may stay as long as the head needs it.
//   4. Queries take them from the segments, and the frozen part is dropped, at one moment.
// Cutting the log seals them too: what is removed of it is nowhere else.

#include <algorithm>
#include <map>
#include <utility>

#include "store/metrics/merge_plan.h"
#include "store/metrics/segment_writer.h"
#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using base::MutexLock;
using base::Status;
using model::TimestampMs;

namespace {

// Of the late buffer: sealed when it weighs so much, some 50 MB.
constexpr std::size_t kLateWeightDue = 1'000'000;
// Segments that are written side by side. What came late touches far fewer windows, unless it reaches over years.
constexpr std::int64_t kWritersMax = 32;

}  // namespace

TimestampMs StoreImpl::late_from_ms(bool of_any_age) const {
  if (of_any_age) return retained_from_ms_.load(std::memory_order_relaxed);
  const TimestampMs newest = head_->last_ms();
  return newest == model::kMinTimestampMs ? model::kMaxTimestampMs : newest - out_of_order_window_ms();
}

Status StoreImpl::stored(SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  out.clear();
  std::shared_ptr<const SegmentList> live;
  LateBuffer::View late;
  std::shared_ptr<const Tombstones> deleted;
  const HeadSelection selection = head_->select_one(ref, [&] {
    live = segments();
    late = late_.view();
    deleted = tombstones();
  });
  if (selection.slots.empty()) return {};
  late_.read(late, slot_of(ref), from_ms, to_ms, out);
  model::LabelSet labels;
  for (const LiveSegment& entry : *live) {
    const SegmentInfo& info = entry.segment->info();
    if (info.min_ms > to_ms || info.max_ms < from_ms) continue;
    if (labels.empty()) labels = head_->labels(slot_of(ref));
    const auto id = entry.segment->find_series(labels);
    if (!id) continue;
    const std::size_t before = out.size();
    QD_TRY(entry.segment->read(*id, from_ms, to_ms, out));
    deleted->cut_segment(entry.number, labels, out, before);
  }
  const std::size_t before = out.size();
  QD_TRY(head_->read(selection, 0, from_ms, to_ms, out));
  deleted->cut_head(ref, out, before);
  if (!std::is_sorted(out.times.begin(), out.times.end(), std::less_equal<>())) put_in_order(out);
  return {};
}

// Where the head has nothing so old, what is old enough to be sealed is late from now on: the head need not reach back
// for it, window after window.
void StoreImpl::raise_floor(const StoreOptions& now, TimestampMs latest_ms) {
  if (head_->first_ms() > head_->last_ms()) return;
  const TimestampMs reach = std::min(head_->last_ms(), latest_ms);
  const TimestampMs floor = window_start(reach - now.seal_interval_ms / 2, now.seal_interval_ms);
  if (floor <= head_->accepted_from()) return;
  MutexLock lock(commit_mutex_);
  if (head_->first_ms() < floor) return;
  head_->accept_from(floor);
  changes_.fetch_add(1, std::memory_order_relaxed);
}

bool StoreImpl::late_due() const {
  return late_.weight() >= kLateWeightDue;
}

Status StoreImpl::seal_late() {
  QD_TRY(settle_doubts());
  std::uint64_t first_log = 0;
  {
    MutexLock lock(commit_mutex_);
    QD_ASSIGN(first_log, wal_->rotate());
    late_.freeze();
  }
  QD_ASSIGN(SegmentList late, write_late());
  Manifest next = manifest_;
  next.generation = head_->generation();
  return name_late(std::move(next), first_log, std::move(late));
}

Status StoreImpl::name_late(Manifest next, std::uint64_t first_log, SegmentList late,
                            std::shared_ptr<const Tombstones> tombstones) {
  next.late_first = first_log;
  for (const LiveSegment& entry : late) next.segments.push_back(entry.number);
  std::sort(next.segments.begin(), next.segments.end());
  if (Status named = next.write(files_, manifest_path_); !named) {
    for (const LiveSegment& entry : late) doubtful_.push_back(entry.segment->path());
    return named;
  }
  manifest_ = std::move(next);
  remove_doubtful();
  if (late.empty() && tombstones == nullptr) return {};
  SegmentList list = *segments();
  list.insert(list.end(), late.begin(), late.end());
  publish_segments(std::move(list), {}, true, std::move(tombstones));
  return {};
}

namespace {

// Segments of late samples that are written side by side, one for each window.
class LateWriters {
 public:
  LateWriters(base::Files& files, std::filesystem::path dir, std::int64_t width_ms, std::uint64_t& next_number)
      : files_(files), dir_(std::move(dir)), width_ms_(width_ms), next_number_(next_number) {}

  // Adds what a series has before `until_ms`; the first time that it has from there on, if any. In label order.
  base::Result<TimestampMs> add(const model::LabelSet& labels, const Columns& columns, TimestampMs until_ms) {
    std::size_t at = 0;
    while (at < columns.size() && columns.times[at] < until_ms) {
      const TimestampMs start = window_start(columns.times[at], width_ms_);
      const auto begin = columns.times.begin() + static_cast<std::ptrdiff_t>(at);
      const auto n = static_cast<std::size_t>(std::lower_bound(begin, columns.times.end(), start + width_ms_) - begin);
      QD_ASSIGN(SegmentWriter* const to, writer_of(start));
      SeriesContent content{.times = std::span(columns.times).subspan(at, n),
                            .values = std::span(columns.values).subspan(at, n)};
      if (!columns.histograms.empty()) content.histograms = std::span(columns.histograms).subspan(at, n);
      QD_TRY(to->add(labels, content));
      at += n;
    }
    return at < columns.size() ? columns.times[at] : model::kMaxTimestampMs;
  }

  // Appends the segments to `written`.
  Status finish(SegmentList& written) {
    for (auto& [start, one] : writing_) {
      QD_TRY(one.writer->finish());
      one.writer.reset();
      auto opened = Segment::open(files_, one.path);
      if (!opened) {
        (void)files_.remove(one.path);
        return base::fail(opened.error());
      }
      written.push_back({one.number, std::move(*opened)});
    }
    return {};
  }

 private:
  struct Writing {
    std::uint64_t number = 0;
    std::filesystem::path path;
    std::unique_ptr<SegmentWriter> writer;
  };

  base::Result<SegmentWriter*> writer_of(TimestampMs start_ms) {
    Writing& to = writing_[start_ms];
    if (to.writer == nullptr) {
      to.number = next_number_++;
      to.path = numbered(dir_, to.number, ".seg");
      QD_ASSIGN(to.writer, SegmentWriter::create(files_, to.path, {.level = kLateLevel}));
    }
    return to.writer.get();
  }

  base::Files& files_;
  const std::filesystem::path dir_;
  const std::int64_t width_ms_;
  std::uint64_t& next_number_;
  std::map<TimestampMs, Writing> writing_;
};

}  // namespace

base::Result<SegmentList> StoreImpl::write_late() {
  const LateBuffer::View frozen = late_.frozen();
  if (frozen.empty()) return SegmentList{};
  std::vector<Slot> slots = late_.slots(frozen);
  head_->with_index([&](const LabelIndex& index) {
    const std::vector<std::uint32_t> order = index.label_order(slots);
    std::vector<Slot> sorted(slots.size());
    for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = slots[order[i]];
    slots = std::move(sorted);
  });

  const StoreOptions now = options();
  const auto [first_ms, last_ms] = late_.frozen_reach();
  const std::int64_t width = late_window_ms(now.seal_interval_ms, now.retention_ms, last_ms - first_ms);
  SegmentList written;
  Columns columns;
  // Writes the windows from the one of `from_ms` on; the first time beyond them, if any.
  const auto write_windows = [&](TimestampMs from_ms) -> base::Result<TimestampMs> {
    const TimestampMs until_ms = window_start(from_ms, width) + kWritersMax * width;
    TimestampMs next_ms = model::kMaxTimestampMs;
    LateWriters writers(files_, segment_dir_, width, next_segment_);
    for (const Slot slot : slots) {
      columns.clear();
      late_.read(frozen, slot, from_ms, model::kMaxTimestampMs, columns);
      if (columns.times.empty()) continue;
      QD_ASSIGN(const TimestampMs beyond_ms, writers.add(head_->labels(slot), columns, until_ms));
      next_ms = std::min(next_ms, beyond_ms);
    }
    QD_TRY(writers.finish(written));
    return next_ms;
  };
  for (TimestampMs from_ms = first_ms; from_ms < model::kMaxTimestampMs;) {
    const auto next_ms = write_windows(from_ms);
    if (!next_ms) {
      for (const LiveSegment& entry : written) (void)files_.remove(entry.segment->path());
      return base::fail(next_ms.error());
    }
    from_ms = *next_ms;
  }
  return written;
}

}  // namespace qd::store::metrics
