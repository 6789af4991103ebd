// The store put together: head, log, segments, and what keeps them in order. Private to the store_*.cpp files.
//
// Locks, in the order in which they are taken: maintain_mutex_ (what changes the manifest and the files it names:
// maintain, deletions, cleaning, snapshots), then commit_mutex_ (one group of batches, or one step of sealing, at a
// time), then the head's own.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "store/metrics/exemplars.h"
#include "store/metrics/head.h"
#include "store/metrics/late_buffer.h"
#include "store/metrics/manifest.h"
#include "store/metrics/merge_plan.h"
#include "store/metrics/segment.h"
#include "store/metrics/store.h"
#include "store/metrics/tombstones.h"
#include "store/metrics/wal.h"

namespace qd::store::metrics {

// A segment in use; sorted by time of their first sample.
struct LiveSegment {
  std::uint64_t number;
  std::shared_ptr<const Segment> segment;
};
using SegmentList = std::vector<LiveSegment>;

// A batch on its way into the log.
struct CommitRequest {
  const SampleBatch* batch = nullptr;
  const SampleBatch* late = nullptr;  // what came late of it
  std::string record;                 // both as they go into the log
  SeriesRef min_ref = 0;
  SeriesRef max_ref = 0;
  TimestampMs min_ms = 0;            // of its samples
  std::uint64_t judged_at = 0;       // changes() when its first sample was judged
  std::uint64_t late_judged_at = 0;  // the same of its late ones: commits() of the late buffer
  std::span<const RefExemplar> exemplars;
  base::Status status;
  bool done = false;
};

// Columns that were appended one after the other from sources whose times overlap: where two have a sample, the later
// source wins.
void put_in_order(Columns& columns);

// Moves a file that cannot be read out of the way. Other errors than damage are the caller's to return.
base::Status set_aside(base::Files& files, base::Log& log, const std::filesystem::path& path, const base::Error& error);

// Of a task that each call of maintain tries: after its nth failure in a row 2^(n-1) - 1 calls leave it out, kCallsMax
// at most.
class Pause {
 public:
  // Whether this call is to try.
  bool over() {
    if (left_ == 0) return true;
    --left_;
    return false;
  }
  void note(bool success) {
    failures_ = success ? 0 : std::min(failures_ + 1, kFailuresMax);
    left_ = success ? 0 : std::min((1U << (failures_ - 1)) - 1, kCallsMax);
  }

 private:
  static constexpr unsigned kFailuresMax = 16;
  static constexpr unsigned kCallsMax = 60;
  unsigned failures_ = 0;
  unsigned left_ = 0;
};

class StoreImpl final : public Store {
 public:
  StoreImpl(base::Files& files, std::filesystem::path dir, const StoreOptions& options, base::Log& log,
            base::Registry& registry);
  ~StoreImpl() override;

  // Of Store::open.
  base::Status load();

  std::unique_ptr<Appender> appender() override;
  base::Result<std::unique_ptr<SeriesSet>> select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                  TimestampMs to_ms, std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                     TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const Matcher> matchers,
                                                      TimestampMs from_ms, TimestampMs to_ms) const override;
  base::Result<std::vector<SeriesExemplars>> exemplars(std::span<const std::vector<Matcher>> selectors,
                                                       TimestampMs from_ms, TimestampMs to_ms,
                                                       std::size_t series_limit) const override;
  base::Status maintain(model::TimestampMs now_ms) override;
  void set_options(const StoreOptions& options) override;
  base::Status delete_series(std::span<const std::vector<Matcher>> selectors, TimestampMs from_ms,
                             TimestampMs to_ms) override;
  base::Status clean_tombstones() override;
  base::Status snapshot(const std::filesystem::path& into, bool skip_head) override;
  ChangeLog& change_log() override { return change_log_; }
  StoreStats stats() const override;
  Cardinality cardinality(std::size_t rows) const override;
  std::map<std::string, model::Metadata, std::less<>> metadata() const override;

  // For appenders.
  Head& head() { return *head_; }
  base::Result<SeriesRef> series(const model::LabelSet& labels);
  void set_metadata(std::string_view family, const model::Metadata& metadata);
  base::Status commit(CommitRequest& request);
  const LateBuffer& late() const { return late_; }
  std::int64_t out_of_order_window_ms() const { return out_of_order_window_ms_.load(std::memory_order_relaxed); }
  bool takes_starts() const { return takes_starts_.load(std::memory_order_relaxed); }
  // The oldest time that is taken of what comes late: of all within the retention, or within the window.
  model::TimestampMs late_from_ms(bool of_any_age) const;
  std::shared_ptr<const Tombstones> tombstones() const;
  // Replaces `out` with all samples of one series in [from_ms, to_ms].
  base::Status stored(SeriesRef ref, model::TimestampMs from_ms, model::TimestampMs to_ms, Columns& out) const;
  // As Appender::exemplar; `repeated` when there is nothing to store.
  AppendOutcome judge_exemplar(SeriesRef ref, const model::Exemplar& exemplar, bool& repeated) const;
  base::Counter& exemplars_dropped() { return exemplars_dropped_; }
  std::uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }

 private:
  class Replay;

  StoreOptions options() const;
  std::shared_ptr<const SegmentList> segments() const;

  // store_select.cpp
  std::vector<std::pair<LabelSet, Slot>> late_series(const LateBuffer::View& late, std::span<const Matcher> matchers,
                                                     TimestampMs from_ms, TimestampMs to_ms) const;
  Postings present(const LabelIndex& index, const LateBuffer::View& late, std::span<const Matcher> matchers,
                   TimestampMs from_ms, TimestampMs to_ms) const;

  // cardinality.cpp
  void count_targets(std::size_t rows, Cardinality& result) const;

  // store.cpp
  base::Status read_manifest();
  base::Result<Manifest> rebuilt_manifest();
  base::Status load_segments();
  base::Status load_head();
  base::Status remove_left_overs();

  // store_commit.cpp
  std::vector<CommitRequest*> take_group() QD_REQUIRES(queue_mutex_);
  // Returns those that must wait for a later group, because they share series with an earlier one of this group.
  std::vector<CommitRequest*> write_group(std::vector<CommitRequest*> group) QD_EXCLUDES(commit_mutex_);
  base::Status judge_anew(const CommitRequest& request) const QD_REQUIRES(commit_mutex_);
  bool shares_series(const CommitRequest& request, std::span<CommitRequest* const> earlier) QD_REQUIRES(commit_mutex_);

  // store_late.cpp
  void raise_floor(const StoreOptions& options, model::TimestampMs latest_ms);
  bool late_due() const;
  base::Status seal_late();
  // Segments of what is frozen, each series read once unless that is more windows than are written side by side;
  // nothing names them yet. None are left behind on failure.
  base::Result<SegmentList> write_late();
  // `next` becomes the manifest, with these segments and without what is frozen.
  base::Status name_late(Manifest next, std::uint64_t first_log, SegmentList late,
                         std::shared_ptr<const Tombstones> tombstones = nullptr);

  // store_delete.cpp
  base::Status load_tombstones();
  // Whether the segment may hold samples that the tombstone deletes.
  bool hides_in(const Tombstone& tombstone, const LiveSegment& entry) const;
  base::Status rewrite(const SegmentList& inputs, const SegmentOptions& options);
  base::Status drop_spent_tombstones();
  // store_exemplars.cpp
  void add_exemplar(SeriesRef ref, const model::Exemplar& exemplar);
  // What is not sealed is repeated in the new log segment, before the older ones go.
  base::Status log_exemplars() QD_REQUIRES(commit_mutex_);

  // store_maintain.cpp
  base::Status sync(const StoreOptions& options, model::TimestampMs now_ms);
  std::optional<model::TimestampMs> seal_due(const StoreOptions& options, model::TimestampMs now_ms) const;
  base::Status seal(model::TimestampMs until_ms);
  base::Result<std::shared_ptr<const Segment>> write_sealed(const HeadSelection& selection, model::TimestampMs until_ms,
                                                            const std::filesystem::path& path,
                                                            model::TimestampMs& next_first_ms, std::uint64_t& sealed,
                                                            ExemplarRing::BySeries& sealed_exemplars);
  bool checkpoint_due();
  base::Status checkpoint();
  base::Status cut_log();
  base::Result<std::uint64_t> write_series(std::size_t from, std::uint64_t number);
  base::Status apply_retention(const StoreOptions& options, model::TimestampMs now_ms);
  MergeOptions merge_options(const StoreOptions& options) const;
  base::Status merge(const StoreOptions& options);
  base::Status settle_doubts();
  void remove_doubtful();
  // With `late_sealed`, what is frozen of the late samples is in `list`.
  void publish_segments(SegmentList list, const std::vector<std::uint64_t>& before, bool late_sealed = false,
                        std::shared_ptr<const Tombstones> tombstones = nullptr);
  base::Status replace_segments(SegmentList list, model::TimestampMs sealed_until_ms);
  void update_gauges();

  base::Files& files_;
  const std::filesystem::path dir_;
  const std::filesystem::path wal_dir_;
  const std::filesystem::path head_dir_;
  const std::filesystem::path segment_dir_;
  const std::filesystem::path tombstone_dir_;
  const std::filesystem::path manifest_path_;
  base::Log& log_;

  mutable base::Mutex options_mutex_;
  StoreOptions options_ QD_GUARDED_BY(options_mutex_);

  std::unique_ptr<Head> head_;
  std::unique_ptr<Wal> wal_;
  LateBuffer late_;
  std::atomic<std::int64_t> out_of_order_window_ms_;
  std::atomic<bool> takes_starts_;
  std::atomic<model::TimestampMs> retained_from_ms_{model::kMinTimestampMs};  // as of the last maintenance
  ExemplarRing exemplars_;

  // Changed inside Head::publish, read inside Head::select: both see head and segments of one moment.
  mutable base::Mutex segments_mutex_;
  std::shared_ptr<const SegmentList> segments_ QD_GUARDED_BY(segments_mutex_);
  std::shared_ptr<const Tombstones> tombstones_ QD_GUARDED_BY(segments_mutex_);

  base::Mutex maintain_mutex_;  // guards no data: one change of the manifest and the files it names at a time
  base::Mutex commit_mutex_;
  std::string group_buffer_ QD_GUARDED_BY(commit_mutex_);
  // By slot: the last group in which batches had to be told apart by series, and that held this one.
  std::vector<std::uint32_t> group_marks_ QD_GUARDED_BY(commit_mutex_);
  std::uint32_t group_mark_ QD_GUARDED_BY(commit_mutex_) = 0;
  ChangeLog change_log_;
  std::atomic<std::uint64_t> changes_{0};      // of what may be appended: batches applied, boundaries moved
  std::atomic<std::uint64_t> log_samples_{0};  // since the last checkpoint

  base::Mutex queue_mutex_;
  base::CondVar queue_wake_;
  std::vector<CommitRequest*> queue_ QD_GUARDED_BY(queue_mutex_);
  bool leading_ QD_GUARDED_BY(queue_mutex_) = false;

  mutable base::Mutex metadata_mutex_;
  std::map<std::string, model::Metadata, std::less<>> metadata_ QD_GUARDED_BY(metadata_mutex_);
  std::size_t metadata_bytes_ QD_GUARDED_BY(metadata_mutex_) = 0;

  // Of whoever holds maintain_mutex_.
  Manifest manifest_;
  std::size_t series_written_ = 0;  // positions of the index that the series files hold
  std::uint64_t next_series_file_ = 1;
  std::uint64_t next_segment_ = 1;
  std::uint64_t next_tombstone_ = 1;
  bool retire_ = false;  // something was sealed, and what it left behind is still there
  Pause chunks_pause_;
  Pause checkpoint_pause_;
  bool damaged_ = false;  // the log holds what should not be read again
  model::TimestampMs synced_at_ms_ = model::kMinTimestampMs;
  std::set<std::uint64_t> unmergeable_;
  std::vector<std::filesystem::path> doubtful_;  // made for a manifest whose writing failed

  base::Counter& samples_appended_;
  base::Counter& late_samples_;
  base::Counter& exemplars_appended_;
  base::Counter& exemplars_dropped_;
  base::Counter& commits_;
  base::Counter& failed_commits_;
  base::Counter& series_refused_;
  base::Counter& torn_tails_;
  base::Counter& damaged_parts_;
  base::Counter& seals_;
  base::Counter& merges_;
  base::Counter& failed_maintenance_;
  base::Gauge& series_gauge_;
  base::Gauge& late_gauge_;
  base::Gauge& wal_bytes_gauge_;
  base::Gauge& segment_bytes_gauge_;
  base::Gauge& segments_gauge_;
  base::Gauge& tombstones_gauge_;
};

}  // namespace qd::store::metrics
