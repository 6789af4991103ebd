// Deletion: what it hides at once, and what makes it good.
//
//   1. At one moment between two batches: late samples are frozen, and for each series of the head that is meant it is
//      noted how far its samples reach.
//   2. The late samples are sealed; so all that a tombstone means in segments has numbers before a bound.
//   3. Tombstones are written to files and synced, and the manifest names them: the instant of the deletion.
//   4. Readers honour them from now on. Sealing and merging leave out what they hide, and write it under numbers from
//      the bound on; cleaning does that to all segments that have such.
//   5. A tombstone that hides nothing any more is dropped.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "store/metrics/merge.h"
#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using base::ErrorCode;
using base::MutexLock;
using base::Status;
using model::TimestampMs;

namespace {

// A selection compares each of its series with them.
constexpr std::size_t kTombstonesMax = 1'000;
constexpr std::size_t kTombstoneBytesMax = 1ULL << 30;

}  // namespace

std::shared_ptr<const Tombstones> StoreImpl::tombstones() const {
  MutexLock lock(segments_mutex_);
  return tombstones_;
}

Status StoreImpl::load_tombstones() {
  Tombstones::List list;
  for (const std::uint64_t number : manifest_.tombstones) {
    next_tombstone_ = std::max(next_tombstone_, number + 1);
    const auto path = numbered(tombstone_dir_, number, ".tomb");
    base::Result<Tombstone> read = base::fail(ErrorCode::kInternal, "not read");
    if (auto bytes = base::read_file(files_, path, kTombstoneBytesMax)) {
      read = decode_tombstone(base::as_bytes(*bytes), number, path);
    } else {
      read = base::fail(std::move(bytes).error());
    }
    if (!read) {
      if (read.error().code() != ErrorCode::kNotFound) damaged_parts_.add();
      QD_TRY(set_aside(files_, log_, path, read.error()));
      continue;
    }
    // A number that was given once must not come to mean a segment that a tombstone knows nothing of.
    next_segment_ = std::max(next_segment_, read->segments_before);
    list.push_back(std::make_shared<const Tombstone>(std::move(*read)));
  }
  manifest_.tombstones.clear();
  for (const auto& one : list) manifest_.tombstones.push_back(one->number);
  MutexLock lock(segments_mutex_);
  tombstones_ = std::make_shared<const Tombstones>(std::move(list));
  return {};
}

Status StoreImpl::delete_series(std::span<const std::vector<Matcher>> selectors, TimestampMs from_ms,
                                TimestampMs to_ms) {
  if (from_ms > to_ms) return {};
  for (const auto& matchers : selectors) {
    if (matchers.empty()) return base::fail(ErrorCode::kInvalid, "a deletion without matchers: name the series");
  }
  MutexLock maintain_lock(maintain_mutex_);
  Tombstones::List list = tombstones()->list();
  if (list.size() + selectors.size() > kTombstonesMax) {
    return base::fail(ErrorCode::kLimit,
                      fmt::format("there are {} deletions that are not made good yet, and {} at most are kept: clean "
                                  "tombstones first",
                                  list.size(), kTombstonesMax));
  }
  QD_TRY(settle_doubts());
  std::uint64_t first_log = 0;
  std::vector<Tombstone> made(selectors.size());
  {
    MutexLock lock(commit_mutex_);
    QD_ASSIGN(first_log, wal_->rotate());
    late_.freeze();
    for (std::size_t i = 0; i < selectors.size(); ++i) {
      made[i].from_ms = from_ms;
      made[i].to_ms = to_ms;
      made[i].matchers = selectors[i];
      for (const auto& [ref, last_ms] : head_->newest(selectors[i], from_ms))
        made[i].in_head.push_back({ref, std::min(to_ms, last_ms)});
      std::sort(made[i].in_head.begin(), made[i].in_head.end(),
                [](const auto& a, const auto& b) { return a.ref < b.ref; });
    }
  }
  QD_ASSIGN(SegmentList late, write_late());
  Manifest next = manifest_;
  next.generation = head_->generation();
  std::vector<std::filesystem::path> written;
  const auto write_all = [&]() -> Status {
    for (Tombstone& one : made) {
      one.segments_before = next_segment_;
      one.number = next_tombstone_++;
      written.push_back(numbered(tombstone_dir_, one.number, ".tomb"));
      QD_TRY(base::write_file_atomically(files_, written.back(), encode_tombstone(one)));
      next.tombstones.push_back(one.number);
      list.push_back(std::make_shared<const Tombstone>(std::move(one)));
    }
    return {};
  };
  if (Status status = write_all(); !status) {
    for (const auto& path : written) (void)files_.remove(path);
    for (const LiveSegment& entry : late) (void)files_.remove(entry.segment->path());
    return status;
  }
  auto tombstones = std::make_shared<const Tombstones>(std::move(list));
  if (Status named = name_late(std::move(next), first_log, std::move(late), std::move(tombstones)); !named) {
    doubtful_.insert(doubtful_.end(), written.begin(), written.end());
    return named;
  }
  change_log_.note(from_ms);
  update_gauges();
  return {};
}

bool StoreImpl::hides_in(const Tombstone& tombstone, const LiveSegment& entry) const {
  const SegmentInfo& info = entry.segment->info();
  if (entry.number >= tombstone.segments_before || !tombstone.overlaps(info.min_ms, info.max_ms)) return false;
  const auto found = entry.segment->find(tombstone.matchers, tombstone.from_ms, tombstone.to_ms);
  return !found || !found->empty();
}

Status StoreImpl::clean_tombstones() {
  MutexLock maintain_lock(maintain_mutex_);
  const auto tombstones = this->tombstones();
  Status damaged;
  for (const LiveSegment& entry : SegmentList(*segments())) {
    const bool any = std::any_of(tombstones->list().begin(), tombstones->list().end(),
                                 [&](const auto& one) { return hides_in(*one, entry); });
    if (!any) continue;
    const SegmentInfo& info = entry.segment->info();
    const bool cold = is_final(info.max_ms - info.min_ms, merge_options(options()));
    Status written = rewrite({entry}, {.level = info.level, .compress_cold = cold});
    if (written) continue;
    if (written.error().code() != ErrorCode::kCorrupt) return written;
    // The others are cleaned all the same.
    if (damaged) damaged = std::move(written);
  }
  QD_TRY(drop_spent_tombstones());
  return damaged;
}

// One segment in place of several, without what is deleted; none where nothing is left.
Status StoreImpl::rewrite(const SegmentList& inputs, const SegmentOptions& options) {
  QD_TRY(settle_doubts());
  const auto tombstones = this->tombstones();
  std::vector<std::shared_ptr<const Segment>> segments_in;
  for (const LiveSegment& entry : inputs) segments_in.push_back(entry.segment);
  const std::uint64_t number = next_segment_++;
  const auto path = numbered(segment_dir_, number, ".seg");
  const auto cut = [&](std::size_t input, const LabelSet& labels, Columns& columns) {
    tombstones->cut_segment(inputs[input].number, labels, columns, 0);
  };
  const auto written = merge_segments(files_, segments_in, path, model::kMinTimestampMs, options, cut);
  if (!written && written.error().code() != ErrorCode::kNotFound) return base::fail(written.error());
  SegmentList list = *segments();
  std::erase_if(list, [&](const LiveSegment& entry) {
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const LiveSegment& gone) { return gone.number == entry.number; });
  });
  if (written) {
    QD_ASSIGN(auto segment, Segment::open(files_, path));
    list.push_back({number, std::move(segment)});
  }
  Status replaced = replace_segments(std::move(list), manifest_.sealed_until_ms);
  if (!replaced && written) doubtful_.push_back(path);
  return replaced;
}

Status StoreImpl::drop_spent_tombstones() {
  const auto before = tombstones();
  if (before->empty()) return {};
  const auto live = segments();
  Tombstones::List left;
  for (const auto& one : before->list()) {
    const auto hides = [&](const LiveSegment& entry) { return hides_in(*one, entry); };
    if (one->head_until_ms() >= manifest_.sealed_until_ms || std::any_of(live->begin(), live->end(), hides))
      left.push_back(one);
  }
  if (left.size() == before->list().size()) return {};
  QD_TRY(settle_doubts());
  Manifest next = manifest_;
  next.tombstones.clear();
  for (const auto& one : left) next.tombstones.push_back(one->number);
  QD_TRY(next.write(files_, manifest_path_));
  manifest_ = std::move(next);
  remove_doubtful();
  {
    MutexLock lock(segments_mutex_);
    tombstones_ = std::make_shared<const Tombstones>(std::move(left));
  }
  for (const auto& one : before->list()) {
    if (std::binary_search(manifest_.tombstones.begin(), manifest_.tombstones.end(), one->number)) continue;
    if (const Status removed = files_.remove(numbered(tombstone_dir_, one->number, ".tomb")); !removed)
      log_.warn("a tombstone that hides nothing any more could not be removed", {{"error", removed.error()}});
  }
  update_gauges();
  return {};
}

}  // namespace qd::store::metrics
