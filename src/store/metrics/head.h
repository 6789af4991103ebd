// The newest samples of every series: what is appended goes here and to the log, and stays until it is sealed.
//
// A series is a record of 64 bytes, an open chunk that grows to 256 bytes, and a reference to its newest closed chunk
// in a ChunkBlock. The open chunk of a series of histograms is kept beside its stripe, one to two kilobytes, and is
// closed as soon as a number comes, as the other is by a histogram. Records never move; a reference names slot and
// generation, so that one to a dropped series is noticed.
//
// Thread-safe as a whole: any number of threads look up series, judge samples and read. `apply`, `close_chunks`,
// `drop_dead` and `publish` are called by one thread at a time, which the store sees to. A read sees a batch whole or
// not at all: select notes the newest time of every series at one moment between two batches, and read never goes
// past it.
//
// Locks, in the order in which they are taken: index_, then state_, then a stripe, then blocks_mutex_. State_ is held
// while a batch is applied and while a selection is noted; a stripe while a few series' open chunks change or are
// copied.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/result.h"
#include "store/metrics/chunk_block.h"
#include "store/metrics/head_series.h"
#include "store/metrics/histogram_chunk.h"
#include "store/metrics/label_index.h"
#include "store/metrics/open_chunk.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

// Blocks by number, copied on change: whoever holds one keeps its blocks.
struct BlockTable {
  std::uint32_t first = 1;
  std::vector<std::shared_ptr<const ChunkBlock>> blocks;  // null where one was dropped

  const ChunkBlock* find(std::uint32_t number) const {
    return number >= first && number - first < blocks.size() ? blocks[number - first].get() : nullptr;
  }
};

// Series of the head as they were at one moment. Keeps what it saw from being dropped.
struct HeadSelection {
  std::vector<Slot> slots;                  // in label order
  std::vector<model::TimestampMs> last_ms;  // newest visible sample of each
  std::vector<model::LabelSet> labels;      // of each, unless not asked for
  model::TimestampMs min_ms = 0;            // older ones are in segments
  std::uint64_t number = 0;  // of selections of this process, from 1; 0 where nothing was found by select_one
  std::shared_ptr<const BlockTable> blocks;
  std::shared_ptr<const int> pin;
};

class Head {
 public:
  explicit Head(std::uint64_t generation);
  ~Head();

  // --- Series ---
  // Finds or creates. kInvalid for no labels; kLimit past `series_limit` or `labels_limit_bytes`.
  base::Result<SeriesRef> series(const model::LabelSet& labels, std::size_t series_limit,
                                 std::size_t labels_limit_bytes);
  // While opening: a series as it was called before. Returns what it is called now, which differs when the slot or the
  // label set is taken; 0 when `labels` are none.
  SeriesRef restore(SeriesRef ref, const model::LabelSet& labels);
  // References made from now on differ from all that were made before, also of series that were not restored.
  void begin_generation() { generation_.fetch_add(1, std::memory_order_relaxed); }
  // After the last restore: slots that nothing was restored to are free.
  void finish_restore();
  std::size_t series_count() const;
  std::uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }

  // Series that are not in the log yet, and their records appended to `out`. Whoever could not write them gives them
  // back.
  std::vector<SeriesRef> take_unlogged(std::string& out);
  void give_back_unlogged(std::vector<SeriesRef> refs);

  // --- Samples ---
  // `repeated` when the very same sample is there already.
  AppendOutcome judge(SeriesRef ref, model::TimestampMs time_ms, double value, bool& repeated) const;
  // Whether every sample of the batch would still be taken. Batches that were judged before others were applied may
  // have been overtaken.
  bool still_fits(const SampleBatch& batch) const;
  bool knows(SeriesRef ref) const { return find_record(ref) != nullptr; }
  struct Applied {
    std::size_t stored = 0;
    std::size_t unknown = 0;  // would be taken, but there is no such series
  };
  // Makes the batch visible. Samples that are not newer than the newest of their series, or older than what the head
  // takes, are passed over.
  // `at_that_moment` as in select.
  Applied apply(const SampleBatch& batch, const std::function<void()>& at_that_moment = {});
  // Nothing before this is taken any more.
  void accept_from(model::TimestampMs time_ms) { accept_min_ms_.store(time_ms, std::memory_order_release); }
  void accept_until(model::TimestampMs time_ms) { accept_max_ms_.store(time_ms, std::memory_order_relaxed); }
  model::TimestampMs accepted_from() const { return accept_min_ms_.load(std::memory_order_acquire); }

  // --- Reading ---
  enum class Labels : std::uint8_t { kWith, kWithout };
  // Calls `at_that_moment` while no batch is half visible. kLimit past `series_limit`.
  base::Result<HeadSelection> select(std::span<const model::Matcher> matchers, model::TimestampMs from_ms,
                                     model::TimestampMs to_ms, std::size_t series_limit, Labels labels,
                                     const std::function<void()>& at_that_moment) const;
  // Appends to `out`. kCorrupt names file and offset; with `skipped`, damaged chunks are noted there and passed over.
  base::Status read(const HeadSelection& selection, std::size_t i, model::TimestampMs from_ms, model::TimestampMs to_ms,
                    Columns& out, std::vector<base::Error>* skipped = nullptr) const;
  // Of each series that all of `matchers` accept, its newest sample, where that is not before `from_ms`. REQUIRES: no
  // batch is being applied.
  std::vector<std::pair<SeriesRef, model::TimestampMs>> newest(std::span<const model::Matcher> matchers,
                                                               model::TimestampMs from_ms) const;
  // One series, whatever its times; nothing when it is not there.
  HeadSelection select_one(SeriesRef ref, const std::function<void()>& at_that_moment) const;
  model::LabelSet labels(Slot slot) const;
  // 0 when no series has the slot. REQUIRES: one had it.
  SeriesRef ref(Slot slot) const { return record(slot).ref.load(std::memory_order_acquire); }
  // Runs `use` on the index, which stays unchanged meanwhile.
  void with_index(const std::function<void(const LabelIndex&)>& use) const;
  // Series that may have samples from `from_ms` on, as positions of the index, inside with_index.
  Postings present(const LabelIndex& index, std::span<const model::Matcher> matchers, model::TimestampMs from_ms) const;

  // --- Chunks and blocks ---
  // Closes every open chunk, a few hundred series at a time, and stops adding to the present block. Blocks are written
  // as they fill, as write_blocks does: the chunks of a million series take more than a hundred megabytes. Everything
  // is closed also where that fails.
  base::Status close_chunks(base::Files& files, const std::filesystem::path& dir);
  // Writes finished blocks to `dir`, and maps them instead of keeping them.
  base::Status write_blocks(base::Files& files, const std::filesystem::path& dir);
  // Numbers of the blocks that are on disk, rising.
  std::vector<std::uint64_t> written_blocks() const;
  // While opening: a block that the manifest names, and its directory; in rising order of numbers.
  void restore_block(std::shared_ptr<const ChunkBlock> block, std::span<const ChunkEntry> entries);
  void start_blocks_at(std::uint32_t number);

  // --- Sealing ---
  // From now on selections begin at `min_ms`; `at_that_moment` as in select.
  void publish(model::TimestampMs min_ms, const std::function<void()>& at_that_moment);
  // Whether selections made before the last publish are still held.
  bool pinned();
  // Drops series whose newest sample is before the published minimum, and blocks that hold nothing newer. Series that
  // have had no sample yet stay for one more time, those that `kept` names as long as it does. REQUIRES: !pinned(), and
  // no batch is being applied.
  std::size_t drop_dead(const std::function<bool(Slot)>& kept);

  // Labels of series, position by position from `from` on, as series records with their references.
  std::size_t encode_series(std::size_t from, std::size_t count, std::string& out) const;

  model::TimestampMs min_ms() const { return min_ms_.load(std::memory_order_relaxed); }
  // Bounds of the samples in the head, or wider; first > last when there are none.
  model::TimestampMs first_ms() const { return first_ms_.load(std::memory_order_relaxed); }
  model::TimestampMs last_ms() const { return last_ms_.load(std::memory_order_relaxed); }
  // While a window is sealed its samples are still here. Afterwards the first is that of what was applied since
  // `watch_first`, or `others_ms` of what was there before and stays.
  void watch_first() { first_since_ms_.store(model::kMaxTimestampMs, std::memory_order_relaxed); }
  void settle_first(model::TimestampMs others_ms);
  std::uint64_t samples() const { return samples_.load(std::memory_order_relaxed); }
  void subtract_samples(std::uint64_t n);
  std::uint64_t chunk_count() const;
  std::uint64_t block_bytes() const;
  // What open chunks of histograms take.
  std::uint64_t histogram_bytes() const;

 private:
  static constexpr unsigned kPageLog2 = 12;
  static constexpr std::uint32_t kPageSeries = 1U << kPageLog2;
  static constexpr std::uint32_t kPagesMax = 1U << (26 - kPageLog2);  // 67 million series
  static constexpr std::size_t kStripes = 64;
  static constexpr unsigned kStripeRunLog2 = 6;  // neighbours share a stripe, so that a batch takes few locks

  struct alignas(64) Stripe {
    base::Mutex mutex;  // guards the open chunks of the records whose slots fall on this stripe
    std::unordered_map<Slot, std::unique_ptr<HistogramChunk>> histograms;  // theirs, where it is one of histograms
  };
  Stripe& stripe(Slot slot) const { return stripes_[(slot >> kStripeRunLog2) % kStripes]; }
  HeadSeries* page(Slot slot) const { return pages_[slot >> kPageLog2].load(std::memory_order_acquire); }
  HeadSeries& record(Slot slot) const { return page(slot)[slot & (kPageSeries - 1)]; }
  void note_moment(HeadSelection& selection) const QD_REQUIRES(state_);
  struct Ahead;
  void follow_chains(const HeadSelection& selection, Ahead& ahead) const;
  // Null when there is no such series.
  HeadSeries* find_record(SeriesRef ref) const;
  HeadSeries& make_record(Slot slot) QD_REQUIRES(index_mutex_);
  // `wanted` as its reference, or a new one when that is 0.
  SeriesRef create(std::span<const PairId> pairs, SeriesRef wanted) QD_REQUIRES(index_mutex_);

  bool store(HeadSeries& series, model::TimestampMs time_ms, double value) QD_REQUIRES(state_);
  bool store(HeadSeries& series, model::TimestampMs time_ms, double mark, const model::Histogram& histogram)
      QD_REQUIRES(state_);
  void close_chunk(HeadSeries& series) QD_REQUIRES(state_);
  void forget_open(HeadSeries& series) QD_REQUIRES(state_);
  void close_histograms(HeadSeries& series) QD_REQUIRES(state_);
  void keep_closed(HeadSeries& series, ChunkKind kind, std::uint16_t samples, std::span<const std::byte> bytes)
      QD_REQUIRES(state_);
  void finish_block() QD_REQUIRES(state_);
  void set_block(std::shared_ptr<const ChunkBlock> block) QD_EXCLUDES(blocks_mutex_);
  std::shared_ptr<const BlockTable> blocks() const QD_EXCLUDES(blocks_mutex_);

  mutable base::SharedMutex index_mutex_;
  LabelIndex index_ QD_GUARDED_BY(index_mutex_);
  std::vector<Slot> free_slots_ QD_GUARDED_BY(index_mutex_);  // the next one last
  Slot slots_used_ QD_GUARDED_BY(index_mutex_) = 0;
  std::vector<SeriesRef> unlogged_ QD_GUARDED_BY(index_mutex_);
  std::atomic<bool> any_unlogged_{false};
  std::atomic<std::uint64_t> generation_;

  struct FreeDeleter {
    void operator()(void* memory) const;
  };
  std::unique_ptr<std::atomic<HeadSeries*>[], FreeDeleter> pages_;

  mutable base::Mutex state_;
  Pieces pieces_ QD_GUARDED_BY(state_);
  std::shared_ptr<ChunkBlock> filling_ QD_GUARDED_BY(state_);
  std::vector<std::shared_ptr<ChunkBlock>> unwritten_ QD_GUARDED_BY(state_);
  std::uint32_t next_block_ QD_GUARDED_BY(state_) = 1;
  std::shared_ptr<const int> pin_ QD_GUARDED_BY(state_);
  std::vector<std::weak_ptr<const int>> old_pins_ QD_GUARDED_BY(state_);
  mutable std::array<Stripe, kStripes> stripes_;

  mutable base::Mutex blocks_mutex_;
  std::shared_ptr<const BlockTable> blocks_ QD_GUARDED_BY(blocks_mutex_);

  std::atomic<model::TimestampMs> min_ms_{model::kMinTimestampMs};
  std::atomic<model::TimestampMs> accept_min_ms_{model::kMinTimestampMs};
  std::atomic<model::TimestampMs> accept_max_ms_{model::kMaxTimestampMs};
  std::atomic<model::TimestampMs> first_ms_{model::kMaxTimestampMs};
  std::atomic<model::TimestampMs> first_since_ms_{model::kMaxTimestampMs};
  std::atomic<model::TimestampMs> last_ms_{model::kMinTimestampMs};
  std::atomic<std::uint64_t> samples_{0};
};

}  // namespace qd::store::metrics
