// What the store does on its own: sync, seal, cut the log, merge, forget.
//
// Sealing a window [.., until):
//   1. Samples before `until` are refused from now on; what was acknowledged before is in the head.
//   2. Those samples are written to a segment, synced and renamed.
//   3. The manifest names the segment and `until`: the instant at which the window is sealed. A crash before leaves a
//      file that nothing names; replay finds the samples in the log. After it, replay passes over them.
//   4. Queries from now on take the window from the segment, those that began before from the head.
//   5. When the last of those has ended, series without newer samples and blocks of closed chunks are dropped.
//
// Cutting the log (a checkpoint):
//   1. A new log segment is started: what is before it has been applied to the head.
//   2. Every open chunk is closed, and closed chunks and new series are written to files and synced.
//   3. The manifest names those files and the new log segment. A crash before leaves files that nothing names.
//   4. Older log segments are removed. Samples that came between 1 and 2 are in a chunk and in the log; replay passes
//      over what is not newer than a series' newest chunk.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/bytes.h"
#include "store/metrics/merge.h"
#include "store/metrics/merge_plan.h"
#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using base::MutexLock;
using base::Status;
using model::TimestampMs;

namespace {

// Either makes a checkpoint due: replay then reads at most this much of the log, which takes about a second. As a
// checkpoint closes every open chunk, both grow with the series beyond a million: else chunks of ten million series
// would be closed after three samples.
struct CheckpointLimits {
  std::uint64_t samples;
  std::uint64_t bytes;
};
CheckpointLimits checkpoint_limits(std::uint64_t series) {
  const std::uint64_t scale = std::max<std::uint64_t>(series, 1'000'000);
  return {.samples = 32 * scale, .bytes = 268 * scale};
}
// More files than this are written anew as one.
constexpr std::size_t kSeriesFilesMax = 16;
// Windows sealed by one call, so that samples from years ago do not hold up the rest.
constexpr int kSealsAtOnce = 64;

// The newest time that is believed.
TimestampMs latest(const StoreOptions& options, TimestampMs now_ms) {
  return now_ms > model::kMaxTimestampMs - options.future_limit_ms ? model::kMaxTimestampMs
                                                                   : now_ms + options.future_limit_ms;
}

std::vector<std::uint64_t> numbers_of(const SegmentList& list) {
  std::vector<std::uint64_t> numbers;
  for (const LiveSegment& entry : list) numbers.push_back(entry.number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool contains(const std::vector<std::uint64_t>& sorted, std::uint64_t number) {
  return std::binary_search(sorted.begin(), sorted.end(), number);
}

}  // namespace

Status StoreImpl::maintain(TimestampMs now_ms) {
  MutexLock lock(maintain_mutex_);
  const StoreOptions now = options();
  head_->accept_until(latest(now, now_ms));
  const bool bounded = now.retention_ms > 0 && now_ms >= model::kMinTimestampMs + now.retention_ms;
  retained_from_ms_ = bounded ? now_ms - now.retention_ms : model::kMinTimestampMs;
  Status first;
  const auto note = [&](std::string_view what, const Status& status) {
    if (status) return true;
    failed_maintenance_.add();
    log_.error("maintenance of the metrics store failed and will be tried again",
               {{"step", what}, {"error", status.error()}});
    if (first) first = base::fail(status.error().within(what));
    return false;
  };
  note("syncing the log", sync(now, now_ms));
  bool chunks_written = false;
  if (chunks_pause_.over()) {
    chunks_written = note("writing chunks of the head", head_->write_blocks(files_, head_dir_));
    chunks_pause_.note(chunks_written);
  }
  for (int i = 0; i < kSealsAtOnce; ++i) {
    const auto until = seal_due(now, now_ms);
    if (!until || !note("sealing", seal(*until))) break;
  }
  raise_floor(now, latest(now, now_ms));
  if (late_due()) note("sealing late samples", seal_late());
  // It begins with a new log segment, and all exemplars: not where it cannot succeed.
  if (chunks_written && checkpoint_due() && checkpoint_pause_.over()) note("cutting the log", checkpoint());
  note("applying the retention", apply_retention(now, now_ms));
  note("merging segments", merge(now));
  note("dropping tombstones", drop_spent_tombstones());
  update_gauges();
  return first;
}

Status StoreImpl::sync(const StoreOptions& now, TimestampMs now_ms) {
  const bool due = synced_at_ms_ == model::kMinTimestampMs || now_ms < synced_at_ms_ ||
                   now_ms - synced_at_ms_ >= now.sync_interval_ms;
  if (!due) return {};
  QD_TRY(wal_->sync());
  synced_at_ms_ = now_ms;
  return {};
}

// Whether the manifest on disk is the old or the new one is not known after writing it failed: until one is written
// whole, files that the new one names must stay, and no further ones are made.
Status StoreImpl::settle_doubts() {
  if (doubtful_.empty()) return {};
  QD_TRY(manifest_.write(files_, manifest_path_));
  remove_doubtful();
  return {};
}

void StoreImpl::remove_doubtful() {
  for (const auto& path : doubtful_) {
    if (const Status removed = files_.remove(path); !removed)
      log_.warn("a file that nothing names could not be removed", {{"error", removed.error()}});
  }
  doubtful_.clear();
}

// --- Sealing ---

std::optional<TimestampMs> StoreImpl::seal_due(const StoreOptions& now, TimestampMs now_ms) const {
  if (head_->first_ms() > head_->last_ms()) return std::nullopt;
  // A sample from the far future, or a clock that was set back, must not seal what still grows.
  const TimestampMs reach = std::min(head_->last_ms(), latest(now, now_ms));
  const TimestampMs until = window_start(head_->first_ms(), now.seal_interval_ms) + now.seal_interval_ms;
  if (reach < until || reach - until < now.seal_interval_ms / 2) return std::nullopt;
  return until;
}

Status StoreImpl::seal(TimestampMs until_ms) {
  {
    // Batches are judged again when this has changed: one that holds older samples is refused as a whole.
    MutexLock lock(commit_mutex_);
    head_->accept_from(until_ms);
    head_->watch_first();
    changes_.fetch_add(1, std::memory_order_relaxed);
  }
  const auto attempt = [&]() -> Status {
    QD_TRY(settle_doubts());
    QD_ASSIGN(HeadSelection selection,
              head_->select({}, model::kMinTimestampMs, model::kMaxTimestampMs, std::numeric_limits<std::size_t>::max(),
                            Head::Labels::kWithout, [] {}));
    const std::uint64_t number = next_segment_++;
    const auto path = numbered(segment_dir_, number, ".seg");
    TimestampMs next_first_ms = model::kMaxTimestampMs;
    std::uint64_t samples = 0;
    ExemplarRing::BySeries exemplars;
    QD_ASSIGN(const std::shared_ptr<const Segment> sealed,
              write_sealed(selection, until_ms, path, next_first_ms, samples, exemplars));
    SegmentList list = *segments();
    if (sealed != nullptr) list.push_back({number, sealed});
    if (Status published = replace_segments(std::move(list), until_ms); !published) {
      doubtful_.push_back(path);
      return published;
    }
    exemplars_.remove(exemplars);
    head_->settle_first(next_first_ms);
    head_->subtract_samples(samples);
    return {};
  };
  QD_TRY(attempt());
  seals_.add();
  retire_ = true;
  return {};
}

base::Result<std::shared_ptr<const Segment>> StoreImpl::write_sealed(const HeadSelection& selection,
                                                                     TimestampMs until_ms,
                                                                     const std::filesystem::path& path,
                                                                     TimestampMs& next_first_ms, std::uint64_t& samples,
                                                                     ExemplarRing::BySeries& sealed_exemplars) {
  const auto deleted = tombstones();
  std::unique_ptr<SegmentWriter> writer;
  Columns columns;
  std::vector<base::Error> skipped;
  ExemplarRing::BySeries exemplars = exemplars_.select(model::kMinTimestampMs, until_ms - 1);
  for (std::size_t i = 0; i < selection.slots.size(); ++i) {
    columns.clear();
    QD_TRY(head_->read(selection, i, model::kMinTimestampMs, model::kMaxTimestampMs, columns, &skipped));
    const auto passed = std::lower_bound(columns.times.begin(), columns.times.end(), until_ms);
    const auto with_deleted = static_cast<std::uint64_t>(passed - columns.times.begin());
    samples += with_deleted;
    deleted->cut_head(head_->ref(selection.slots[i]), columns, 0);
    const auto end = std::lower_bound(columns.times.begin(), columns.times.end(), until_ms);
    if (end != columns.times.end()) next_first_ms = std::min(next_first_ms, *end);
    const auto n = static_cast<std::size_t>(end - columns.times.begin());
    // Those of a series that has no samples here wait in the ring for some, but they go with samples that are deleted.
    if (with_deleted == 0) continue;
    auto its_exemplars = exemplars.extract(head_->ref(selection.slots[i]));
    if (n == 0) {
      if (!its_exemplars.empty()) sealed_exemplars.insert(std::move(its_exemplars));
      continue;
    }
    if (writer == nullptr) {
      QD_ASSIGN(writer, SegmentWriter::create(files_, path, {}));
    }
    QD_TRY(
        writer->add(head_->labels(selection.slots[i]),
                    {.times = std::span(columns.times).first(n),
                     .values = std::span(columns.values).first(n),
                     .histograms = std::span(columns.histograms).first(columns.histograms.empty() ? 0 : n),
                     .exemplars = its_exemplars.empty() ? std::span<const model::Exemplar>()
                                                        : std::span<const model::Exemplar>(its_exemplars.mapped())}));
    if (!its_exemplars.empty()) sealed_exemplars.insert(std::move(its_exemplars));
  }
  for (const base::Error& error : skipped) {
    damaged_parts_.add();
    log_.error("a damaged chunk was passed over while sealing", {{"error", error}});
  }
  if (writer == nullptr) return nullptr;
  QD_TRY(writer->finish());
  return Segment::open(files_, path);
}

Status StoreImpl::replace_segments(SegmentList list, TimestampMs sealed_until_ms) {
  Manifest next = manifest_;
  next.generation = head_->generation();
  next.sealed_until_ms = sealed_until_ms;
  next.segments = numbers_of(list);
  QD_TRY(next.write(files_, manifest_path_));
  const std::vector<std::uint64_t> before = std::exchange(manifest_, next).segments;
  remove_doubtful();
  publish_segments(std::move(list), before);
  return {};
}

// Queries see `list` from now on; what is no longer in it is removed.
void StoreImpl::publish_segments(SegmentList list, const std::vector<std::uint64_t>& before, bool late_sealed,
                                 std::shared_ptr<const Tombstones> tombstones) {
  std::sort(list.begin(), list.end(), [](const LiveSegment& a, const LiveSegment& b) {
    return a.segment->info().min_ms < b.segment->info().min_ms;
  });
  auto shared = std::make_shared<const SegmentList>(std::move(list));
  head_->publish(manifest_.sealed_until_ms, [&] {
    if (late_sealed) late_.drop_frozen();
    MutexLock lock(segments_mutex_);
    segments_ = std::move(shared);
    if (tombstones != nullptr) tombstones_ = std::move(tombstones);
  });
  for (const std::uint64_t number : before) {
    if (contains(manifest_.segments, number)) continue;
    // Nothing names it any more: what stays now goes when the store is opened next.
    if (const Status removed = files_.remove(numbered(segment_dir_, number, ".seg")); !removed)
      log_.warn("a segment that is no longer used could not be removed", {{"error", removed.error()}});
  }
}

// --- The log ---

bool StoreImpl::checkpoint_due() {
  if (retire_) return true;
  const CheckpointLimits limits = checkpoint_limits(head_->series_count());
  return log_samples_.load(std::memory_order_relaxed) >= limits.samples || wal_->bytes() >= limits.bytes;
}

Status StoreImpl::checkpoint() {
  Status status = cut_log();
  checkpoint_pause_.note(status.has_value());
  // Due again, whatever has been counted anew since.
  if (!status) log_samples_.fetch_add(checkpoint_limits(head_->series_count()).samples, std::memory_order_relaxed);
  return status;
}

Status StoreImpl::cut_log() {
  QD_TRY(settle_doubts());
  std::uint64_t first_log = 0;
  bool retired = false;
  {
    MutexLock lock(commit_mutex_);
    QD_ASSIGN(first_log, wal_->rotate());
    late_.freeze();
    log_samples_.store(0, std::memory_order_relaxed);
    QD_TRY(log_exemplars());
    if (retire_ && !head_->pinned()) {
      if (head_->drop_dead([&](Slot slot) { return late_.holds(slot); }) > 0) series_written_ = 0;
      changes_.fetch_add(1, std::memory_order_relaxed);
      retired = true;
    }
  }
  QD_TRY(head_->close_chunks(files_, head_dir_));
  QD_ASSIGN(SegmentList late, write_late());
  const bool anew = series_written_ == 0 || manifest_.series_files.size() >= kSeriesFilesMax;
  const std::size_t from = anew ? 0 : series_written_;
  // A number is never used twice: a manifest whose writing failed half-way may name the file.
  const std::uint64_t series_file = next_series_file_++;
  const auto series_written = write_series(from, series_file);
  if (!series_written) {
    for (const LiveSegment& entry : late) (void)files_.remove(entry.segment->path());
    return base::fail(series_written.error());
  }
  const std::uint64_t written = *series_written;

  Manifest next = manifest_;
  next.generation = head_->generation();
  next.log_first = first_log;
  if (anew) next.series_files.clear();
  if (written > 0) next.series_files.push_back(series_file);
  next.chunk_files = head_->written_blocks();
  const Manifest before = manifest_;
  if (const Status named = name_late(std::move(next), first_log, std::move(late)); !named) {
    if (written > 0) doubtful_.push_back(numbered(head_dir_, series_file, ".series"));
    return named;
  }
  series_written_ = from + written;
  if (retired) retire_ = false;

  for (const std::uint64_t number : before.series_files) {
    if (!contains(manifest_.series_files, number)) QD_TRY(files_.remove(numbered(head_dir_, number, ".series")));
  }
  for (const std::uint64_t number : before.chunk_files) {
    if (!contains(manifest_.chunk_files, number)) QD_TRY(files_.remove(numbered(head_dir_, number, ".chunks")));
  }
  return wal_->remove_before(first_log);
}

// Series from position `from` of the index on; returns how many. Nothing to write is no file.
base::Result<std::uint64_t> StoreImpl::write_series(std::size_t from, std::uint64_t number) {
  constexpr std::size_t kSeriesAtATime = 4096;
  const std::size_t end = head_->series_count();
  if (from >= end) return 0;
  const auto path = numbered(head_dir_, number, ".series");
  std::uint64_t written = 0;
  const auto write_all = [&]() -> Status {
    QD_ASSIGN(const auto file, files_.create(path));
    QD_TRY(file->append(base::as_bytes(wal_header(number))));
    std::string buffer;
    while (from + written < end) {
      buffer.clear();
      const std::size_t n =
          head_->encode_series(from + written, std::min(kSeriesAtATime, end - from - written), buffer);
      if (n == 0) break;
      QD_TRY(file->append(base::as_bytes(buffer)));
      written += n;
    }
    QD_TRY(file->sync());
    return files_.sync_directory(head_dir_);
  };
  if (Status status = write_all(); !status) {
    (void)files_.remove(path);
    return base::fail(std::move(status).error());
  }
  return written;
}

// --- Segments ---

Status StoreImpl::apply_retention(const StoreOptions& now, TimestampMs now_ms) {
  SegmentList list = *segments();
  if (list.empty()) return {};
  const std::size_t before = list.size();
  TimestampMs newest = head_->last_ms();
  std::uint64_t bytes = wal_->bytes() + head_->block_bytes();
  for (const LiveSegment& entry : list) {
    newest = std::max(newest, entry.segment->info().max_ms);
    bytes += entry.segment->info().bytes;
  }
  // A clock that was set far ahead must not empty the store.
  const TimestampMs today = std::min(now_ms, newest);
  if (now.retention_ms > 0 && today >= model::kMinTimestampMs + now.retention_ms) {
    std::erase_if(list, [&](const LiveSegment& entry) {
      const bool expired = entry.segment->info().max_ms < today - now.retention_ms;
      if (expired) bytes -= entry.segment->info().bytes;
      return expired;
    });
  }
  while (now.retention_bytes > 0 && bytes > now.retention_bytes && !list.empty()) {
    const auto oldest = std::min_element(list.begin(), list.end(), [](const LiveSegment& a, const LiveSegment& b) {
      return a.segment->info().max_ms < b.segment->info().max_ms;
    });
    bytes -= oldest->segment->info().bytes;
    list.erase(oldest);
  }
  if (list.size() == before) return {};
  log_.info("segments past the retention were dropped", {{"segments", before - list.size()}});
  // The files go before the manifest says so: on a full disk nothing can be written until there is room again. Opening
  // passes over a segment that is named and not there.
  const std::vector<std::uint64_t> named = std::exchange(manifest_.segments, numbers_of(list));
  publish_segments(std::move(list), named);
  change_log_.note(model::kMinTimestampMs);
  return manifest_.write(files_, manifest_path_);
}

MergeOptions StoreImpl::merge_options(const StoreOptions& now) const {
  return {.seal_interval_ms = now.seal_interval_ms,
          .retention_ms = now.retention_ms,
          .sealed_until_ms = head_->accepted_from()};
}

Status StoreImpl::merge(const StoreOptions& now) {
  SegmentList list = *segments();
  std::vector<SegmentInfo> infos;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (unmergeable_.contains(list[i].number)) continue;
    infos.push_back(list[i].segment->info());
    places.push_back(i);
  }
  const MergeOptions how = merge_options(now);
  std::vector<std::size_t> plan = plan_merge(infos, how);
  if (plan.empty()) return {};
  // What comes later wins: late samples never do, and of those what was sealed first.
  std::stable_sort(plan.begin(), plan.end(), [&](std::size_t a, std::size_t b) {
    const bool a_late = infos[a].late();
    if (a_late != infos[b].late()) return a_late;
    return a_late && list[places[a]].number > list[places[b]].number;
  });
  SegmentList inputs;
  SegmentOptions merged_options;
  const bool all_late = std::all_of(plan.begin(), plan.end(), [&](std::size_t i) { return infos[i].late(); });
  TimestampMs first_ms = model::kMaxTimestampMs;
  TimestampMs last_ms = model::kMinTimestampMs;
  for (const std::size_t i : plan) {
    inputs.push_back(list[places[i]]);
    merged_options.level = std::max(merged_options.level, infos[i].merges() + 1);
    first_ms = std::min(first_ms, infos[i].min_ms);
    last_ms = std::max(last_ms, infos[i].max_ms);
  }
  if (all_late) merged_options.level |= kLateLevel;
  // It stays as it is until retention takes it.
  merged_options.compress_cold = is_final(last_ms - first_ms, how);
  if (Status merged = rewrite(inputs, merged_options); !merged) {
    if (merged.error().code() != base::ErrorCode::kCorrupt) return merged;
    // It stays as it is and serves the series that are whole; merging it can never succeed.
    for (const LiveSegment& entry : inputs) {
      if (entry.segment->verify()) continue;
      damaged_parts_.add();
      unmergeable_.insert(entry.number);
    }
    return merged;
  }
  merges_.add();
  return {};
}

}  // namespace qd::store::metrics
