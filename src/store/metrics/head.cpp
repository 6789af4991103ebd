#include "store/metrics/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"
#include "store/metrics/bits.h"

namespace qd::store::metrics {

using base::ErrorCode;
using base::MutexLock;
using base::ReaderLock;
using base::WriterLock;
using model::TimestampMs;

namespace {

// Far beyond any calendar, and far enough from the ends that windows can be computed.
constexpr TimestampMs kTimeLimitMs = 1LL << 61;

void lower(std::atomic<TimestampMs>& bound, TimestampMs to) {
  TimestampMs now = bound.load(std::memory_order_relaxed);
  while (to < now && !bound.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
  }
}

void raise(std::atomic<TimestampMs>& bound, TimestampMs to) {
  TimestampMs now = bound.load(std::memory_order_relaxed);
  while (to > now && !bound.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
  }
}

}  // namespace

void Head::FreeDeleter::operator()(void* memory) const {
  std::free(memory);
}

Head::Head(std::uint64_t generation)
    : generation_(generation),
      // From calloc, so that memory is only touched where series are.
      pages_(static_cast<std::atomic<HeadSeries*>*>(std::calloc(kPagesMax, sizeof(std::atomic<HeadSeries*>)))),
      pin_(std::make_shared<const int>(0)),
      blocks_(std::make_shared<const BlockTable>()) {
  QD_ASSERT(pages_ != nullptr, "out of memory");
}

Head::~Head() {
  for (std::uint32_t i = 0; i < kPagesMax; ++i) {
    HeadSeries* const at = pages_[i].load(std::memory_order_relaxed);
    delete[] at;
  }
}

// --- Series ---

HeadSeries* Head::find_record(SeriesRef ref) const {
  const Slot slot = slot_of(ref);
  if ((slot >> kPageLog2) >= kPagesMax) return nullptr;
  HeadSeries* const at = page(slot);
  if (at == nullptr) return nullptr;
  HeadSeries* const series = at + (slot & (kPageSeries - 1));
  return ref != 0 && series->ref.load(std::memory_order_relaxed) == ref ? series : nullptr;
}

HeadSeries& Head::make_record(Slot slot) {
  std::atomic<HeadSeries*>& at = pages_[slot >> kPageLog2];
  if (at.load(std::memory_order_relaxed) == nullptr) at.store(new HeadSeries[kPageSeries], std::memory_order_release);
  return record(slot);
}

SeriesRef Head::create(std::span<const PairId> pairs, SeriesRef wanted) {
  SeriesRef ref = wanted;
  if (ref == 0) {
    Slot slot = 0;
    if (free_slots_.empty()) {
      slot = slots_used_++;
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    ref = make_ref(generation(), slot);
  }
  HeadSeries& series = make_record(slot_of(ref));
  series.last_ms.store(model::kMinTimestampMs, std::memory_order_relaxed);
  series.fresh = true;
  index_.add(pairs, slot_of(ref));
  series.ref.store(ref, std::memory_order_release);
  return ref;
}

base::Result<SeriesRef> Head::series(const model::LabelSet& labels, std::size_t series_limit,
                                     std::size_t labels_limit_bytes) {
  if (labels.empty()) return base::fail(ErrorCode::kInvalid, "a series without labels: give it a name at least");
  {
    ReaderLock lock(index_mutex_);
    const Slot slot = index_.find(labels);
    if (slot != kNoSlot) return record(slot).ref.load(std::memory_order_relaxed);
  }
  if (labels.bytes().size() > labels_limit_bytes) {
    return base::fail(
        ErrorCode::kInvalid,
        fmt::format("the labels of a series take {} bytes, and store.metrics.labels_limit_bytes allows {}: "
                    "{:.100}…",
                    labels.bytes().size(), labels_limit_bytes, labels.to_string()));
  }
  WriterLock lock(index_mutex_);
  const Slot slot = index_.find(labels);
  if (slot != kNoSlot) return record(slot).ref.load(std::memory_order_relaxed);
  const std::size_t limit = std::min<std::size_t>(series_limit, std::size_t{kPagesMax} * kPageSeries);
  if (index_.size() >= limit) {
    return base::fail(ErrorCode::kLimit,
                      fmt::format("the store has {} series, as many as store.metrics.series_limit allows: raise it, or "
                                  "drop labels that take many values",
                                  index_.size()));
  }
  std::vector<PairId> pairs;
  for (const model::Label& label : labels) pairs.push_back(index_.intern(label.name, label.value));
  const SeriesRef ref = create(pairs, 0);
  unlogged_.push_back(ref);
  any_unlogged_.store(true, std::memory_order_relaxed);
  return ref;
}

SeriesRef Head::restore(SeriesRef ref, const model::LabelSet& labels) {
  if (labels.empty()) return 0;
  WriterLock lock(index_mutex_);
  std::vector<PairId> pairs;
  for (const model::Label& label : labels) pairs.push_back(index_.intern(label.name, label.value));
  if (const Slot found = index_.find(pairs, LabelIndex::hash_of(pairs)); found != kNoSlot)
    return record(found).ref.load(std::memory_order_relaxed);
  const Slot slot = slot_of(ref);
  const std::uint64_t generation_of_ref = ref >> 32;
  if (generation_of_ref > generation()) generation_.store(generation_of_ref, std::memory_order_relaxed);
  const bool usable = generation_of_ref != 0 && slot < kPagesMax * kPageSeries;
  const bool free = usable && make_record(slot).ref.load(std::memory_order_relaxed) == 0;
  if (!free) ref = 0;
  if (free) slots_used_ = std::max(slots_used_, slot + 1);
  return create(pairs, ref);
}

void Head::finish_restore() {
  WriterLock lock(index_mutex_);
  free_slots_.clear();
  for (Slot slot = slots_used_; slot-- > 0;) {
    if (page(slot) == nullptr || record(slot).ref.load(std::memory_order_relaxed) == 0) free_slots_.push_back(slot);
  }
}

std::size_t Head::series_count() const {
  ReaderLock lock(index_mutex_);
  return index_.size();
}

std::vector<SeriesRef> Head::take_unlogged(std::string& out) {
  if (!any_unlogged_.load(std::memory_order_relaxed)) return {};
  std::vector<SeriesRef> taken;
  {
    WriterLock lock(index_mutex_);
    taken.swap(unlogged_);
    any_unlogged_.store(false, std::memory_order_relaxed);
  }
  ReaderLock lock(index_mutex_);
  SeriesRecordWriter writer(out);
  for (const SeriesRef ref : taken) {
    if (find_record(ref) != nullptr) writer.add(ref, index_.labels(slot_of(ref)).bytes());
  }
  writer.finish();
  return taken;
}

void Head::give_back_unlogged(std::vector<SeriesRef> refs) {
  if (refs.empty()) return;
  WriterLock lock(index_mutex_);
  unlogged_.insert(unlogged_.begin(), refs.begin(), refs.end());
  any_unlogged_.store(true, std::memory_order_relaxed);
}

std::size_t Head::encode_series(std::size_t from, std::size_t count, std::string& out) const {
  ReaderLock lock(index_mutex_);
  const std::span<const Slot> slots = index_.slots();
  const std::size_t end = std::min(slots.size(), from + count);
  SeriesRecordWriter writer(out);
  for (std::size_t i = from; i < end; ++i) {
    writer.add(record(slots[i]).ref.load(std::memory_order_relaxed), index_.labels(slots[i]).bytes());
  }
  writer.finish();
  return end > from ? end - from : 0;
}

// --- Samples ---

AppendOutcome Head::judge(SeriesRef ref, TimestampMs time_ms, double value, bool& repeated) const {
  repeated = false;
  HeadSeries* const series = find_record(ref);
  if (series == nullptr) return AppendOutcome::kUnknownSeries;
  if (time_ms < accepted_from() || time_ms < -kTimeLimitMs) return AppendOutcome::kTooOld;
  if (time_ms > accept_max_ms_.load(std::memory_order_relaxed) || time_ms > kTimeLimitMs)
    return AppendOutcome::kTooFarInFuture;
  if (time_ms > series->last_ms.load(std::memory_order_relaxed)) return AppendOutcome::kOk;
  // Time and value as they belong together.
  MutexLock lock(stripe(slot_of(ref)).mutex);
  const TimestampMs last = series->last_ms.load(std::memory_order_relaxed);
  if (time_ms > last) return AppendOutcome::kOk;
  if (time_ms < last) return AppendOutcome::kOutOfOrder;
  repeated = same_bits(series->last_value.load(std::memory_order_relaxed), value);
  return repeated ? AppendOutcome::kOk : AppendOutcome::kDuplicate;
}

bool Head::still_fits(const SampleBatch& batch) const {
  const TimestampMs oldest = accepted_from();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const HeadSeries* const series = find_record(batch.refs[i]);
    if (series == nullptr || batch.times[i] < oldest) return false;
    const TimestampMs last = series->last_ms.load(std::memory_order_relaxed);
    if (batch.times[i] > last) continue;
    if (batch.times[i] < last || !same_bits(series->last_value.load(std::memory_order_relaxed), batch.values[i]))
      return false;
  }
  return true;
}

Head::Applied Head::apply(const SampleBatch& batch, const std::function<void()>& at_that_moment) {
  constexpr std::size_t kAhead = 12;
  const std::size_t n = batch.size();
  const TimestampMs oldest = accepted_from();
  const model::HistogramPtr* const histograms = batch.histograms.empty() ? nullptr : batch.histograms.data();
  Applied applied;
  TimestampMs first = model::kMaxTimestampMs;
  TimestampMs last = model::kMinTimestampMs;
  MutexLock lock(state_);
  for (std::size_t i = 0; i < n;) {
    Stripe& held = stripe(slot_of(batch.refs[i]));
    MutexLock stripe_lock(held.mutex);
    do {
      if (i + 2 * kAhead < n) {
        if (HeadSeries* const later = find_record(batch.refs[i + kAhead]); later != nullptr) later->open.prefetch();
        const Slot far = slot_of(batch.refs[i + 2 * kAhead]);
        if ((far >> kPageLog2) < kPagesMax && page(far) != nullptr)
          __builtin_prefetch(page(far) + (far & (kPageSeries - 1)), 1);
      }
      const TimestampMs time = batch.times[i];
      if (HeadSeries* const series = find_record(batch.refs[i]); series == nullptr) {
        if (time >= oldest) ++applied.unknown;
      } else if (time >= oldest) {
        const bool is_number = histograms == nullptr || histograms[i] == nullptr;
        if (is_number ? store(*series, time, batch.values[i]) : store(*series, time, batch.values[i], *histograms[i])) {
          ++applied.stored;
          first = std::min(first, time);
          last = std::max(last, time);
        }
      }
      ++i;
    } while (i < n && &stripe(slot_of(batch.refs[i])) == &held);
  }
  lower(first_ms_, first);
  lower(first_since_ms_, first);
  raise(last_ms_, last);
  samples_.fetch_add(applied.stored, std::memory_order_relaxed);
  if (at_that_moment) at_that_moment();
  return applied;
}

bool Head::store(HeadSeries& series, TimestampMs time_ms, double value) {
  const TimestampMs last = series.last_ms.load(std::memory_order_relaxed);
  if (time_ms <= last) return false;
  if (series.histograms) [[unlikely]]
    close_histograms(series);
  ChunkState state{.time_ms = last,
                   .delta_ms = series.delta_ms,
                   .value = series.last_value.load(std::memory_order_relaxed),
                   .mantissa = series.mantissa,
                   .scale = series.scale};
  std::byte sample[kChunkSampleBytesMax + 8];
  std::size_t n = 0;
  if (series.open_bytes > 0) {
    if (time_ms - series.open_first_ms() <= kChunkSpanMsMax) n = extend_chunk(state, time_ms, value, sample);
    if (n == 0 || series.open_bytes + n > kChunkBytesMax) close_chunk(series);
  }
  std::int64_t span_ms = 0;
  if (series.open_bytes == 0) {
    n = begin_chunk(state, time_ms, value, sample);
  } else {
    span_ms = time_ms - series.open_first_ms();
  }
  // Changes nothing when it throws.
  series.open.append(pieces_, series.open_bytes, std::span(sample).first(n));
  series.open_span_ms = static_cast<std::int32_t>(span_ms);
  series.open_bytes = static_cast<std::uint16_t>(series.open_bytes + n);
  ++series.open_samples;
  series.delta_ms = static_cast<std::int32_t>(state.delta_ms);
  series.mantissa = state.mantissa;
  series.scale = state.scale;
  series.last_value.store(value, std::memory_order_relaxed);
  series.last_ms.store(time_ms, std::memory_order_relaxed);
  return true;
}

bool Head::store(HeadSeries& series, TimestampMs time_ms, double mark, const model::Histogram& histogram) {
  const TimestampMs last = series.last_ms.load(std::memory_order_relaxed);
  if (time_ms <= last) return false;
  if (series.open_bytes > 0) close_chunk(series);
  const Slot slot = slot_of(series.ref.load(std::memory_order_relaxed));
  if (series.histograms) {
    HistogramChunk& open = *stripe(slot).histograms[slot];
    if (open.full() || time_ms - series.open_first_ms() > kChunkSpanMsMax) {
      close_histograms(series);
    } else {
      open.add(time_ms, histogram);
      series.open_span_ms += static_cast<std::int32_t>(time_ms - last);
    }
  }
  if (!series.histograms) {
    stripe(slot).histograms[slot] = std::make_unique<HistogramChunk>(time_ms, histogram);
    series.histograms = true;
    series.open_span_ms = 0;
  }
  series.last_value.store(mark, std::memory_order_relaxed);
  series.last_ms.store(time_ms, std::memory_order_relaxed);
  return true;
}

void Head::close_chunk(HeadSeries& series) {
  std::array<std::byte, kChunkBytesMax> bytes;
  series.open.copy(series.open_bytes, bytes.data());
  keep_closed(series, ChunkKind::kNumbers, series.open_samples, std::span(bytes).first(series.open_bytes));
  forget_open(series);
}

void Head::forget_open(HeadSeries& series) {
  series.open.free(pieces_);
  series.open_bytes = 0;
  series.open_samples = 0;
}

void Head::close_histograms(HeadSeries& series) {
  const Slot slot = slot_of(series.ref.load(std::memory_order_relaxed));
  auto& histograms = stripe(slot).histograms;
  const auto open = histograms.find(slot);
  keep_closed(series, ChunkKind::kHistograms, open->second->samples(), open->second->bytes());
  histograms.erase(open);
  series.histograms = false;
}

// What ends at the newest sample of the series, as its newest chunk.
void Head::keep_closed(HeadSeries& series, ChunkKind kind, std::uint16_t samples, std::span<const std::byte> bytes) {
  const ChunkEntry entry{.series = series.ref.load(std::memory_order_relaxed),
                         .previous = series.closed,
                         .min_ms = series.open_first_ms(),
                         .max_ms = series.last_ms.load(std::memory_order_relaxed),
                         .last_value = series.last_value.load(std::memory_order_relaxed),
                         .offset = 0,
                         .crc = 0,
                         .bytes_low = 0,
                         .samples = samples,
                         .bytes_high = 0,
                         .kind = kind,
                         .zero = 0};
  std::optional<ChunkRef> ref;
  if (filling_ != nullptr) ref = filling_->add(entry, bytes);
  if (!ref) {
    finish_block();
    filling_ = std::make_shared<ChunkBlock>(next_block_++);
    set_block(filling_);
    ref = filling_->add(entry, bytes);
  }
  series.closed = *ref;
}

// --- Chunks and blocks ---

void Head::finish_block() {
  if (filling_ == nullptr) return;
  unwritten_.push_back(std::move(filling_));
  filling_ = nullptr;
}

base::Status Head::close_chunks(base::Files& files, const std::filesystem::path& dir) {
  constexpr std::size_t kSeriesAtATime = 512;
  {
    MutexLock lock(state_);
    pieces_.begin_renewal();
  }
  // Read after that: what has pieces from before is among them.
  std::size_t slots = 0;
  {
    ReaderLock lock(index_mutex_);
    slots = slots_used_;
  }
  base::Status written;
  for (std::size_t from = 0; from < slots; from += kSeriesAtATime) {
    if (page(static_cast<Slot>(from)) == nullptr) continue;  // a page holds several such steps
    bool any_finished = false;
    {
      MutexLock lock(state_);
      for (std::size_t slot = from; slot < std::min(slots, from + kSeriesAtATime); ++slot) {
        HeadSeries& series = record(static_cast<Slot>(slot));
        MutexLock stripe_lock(stripe(static_cast<Slot>(slot)).mutex);
        if (series.open_bytes > 0) close_chunk(series);
        if (series.histograms) close_histograms(series);
      }
      any_finished = !unwritten_.empty();
    }
    if (any_finished && written) written = write_blocks(files, dir);
  }
  std::vector<base::Pages> let_go;  // without the lock
  {
    MutexLock lock(state_);
    let_go = pieces_.end_renewal();
    finish_block();
  }
  QD_TRY(written);
  return write_blocks(files, dir);
}

void Head::set_block(std::shared_ptr<const ChunkBlock> block) {
  MutexLock lock(blocks_mutex_);
  auto table = std::make_shared<BlockTable>(*blocks_);
  if (table->blocks.empty()) table->first = block->number();
  const std::size_t at = block->number() - table->first;
  if (at >= table->blocks.size()) table->blocks.resize(at + 1);
  table->blocks[at] = std::move(block);
  blocks_ = std::move(table);
}

std::shared_ptr<const BlockTable> Head::blocks() const {
  MutexLock lock(blocks_mutex_);
  return blocks_;
}

base::Status Head::write_blocks(base::Files& files, const std::filesystem::path& dir) {
  std::vector<std::shared_ptr<ChunkBlock>> blocks_to_write;
  {
    MutexLock lock(state_);
    blocks_to_write = unwritten_;
  }
  for (const auto& block : blocks_to_write) {
    const auto path = dir / fmt::format("{:08}.chunks", block->number());
    QD_TRY(block->write(files, path));
    QD_ASSIGN(auto mapped, ChunkBlock::open(files, path, block->number()));
    set_block(std::move(mapped));
    MutexLock lock(state_);
    std::erase(unwritten_, block);
  }
  return blocks_to_write.empty() ? base::Status{} : files.sync_directory(dir);
}

std::vector<std::uint64_t> Head::written_blocks() const {
  MutexLock lock(state_);
  const auto table = blocks();
  std::vector<std::uint64_t> numbers;
  for (const auto& block : table->blocks) {
    if (block == nullptr || block == filling_) continue;
    if (std::find(unwritten_.begin(), unwritten_.end(), block) == unwritten_.end()) numbers.push_back(block->number());
  }
  return numbers;
}

void Head::start_blocks_at(std::uint32_t number) {
  MutexLock lock(state_);
  next_block_ = std::max(next_block_, number);
}

void Head::restore_block(std::shared_ptr<const ChunkBlock> block, std::span<const ChunkEntry> entries) {
  constexpr std::uint32_t kAhead = 16;
  const TimestampMs oldest = min_ms();
  // Its links may lead to a block that could not be opened.
  auto& links = const_cast<ChunkBlock&>(*block);
  std::uint64_t stored = 0;
  const auto n = static_cast<std::uint32_t>(entries.size());
  for (std::uint32_t i = 0; i < n; ++i) {
    if (i + kAhead < n) {
      const Slot far = slot_of(entries[i + kAhead].series);
      if ((far >> kPageLog2) < kPagesMax && page(far) != nullptr)
        __builtin_prefetch(page(far) + (far & (kPageSeries - 1)), 1);
    }
    const ChunkEntry& entry = entries[i];
    HeadSeries* const series = find_record(entry.series);
    if (series == nullptr || entry.max_ms <= series->last_ms.load(std::memory_order_relaxed)) continue;
    if (series->closed != 0 && entry.previous != series->closed) links.relink(i, series->closed);
    series->closed = (static_cast<ChunkRef>(block->number()) << 32) | i;
    series->last_ms.store(entry.max_ms, std::memory_order_relaxed);
    series->last_value.store(entry.last_value, std::memory_order_relaxed);
    if (entry.max_ms < oldest) continue;
    stored += entry.samples;
    lower(first_ms_, std::max(entry.min_ms, oldest));
    raise(last_ms_, entry.max_ms);
  }
  samples_.fetch_add(stored, std::memory_order_relaxed);
  start_blocks_at(block->number() + 1);
  set_block(std::move(block));
}

std::uint64_t Head::chunk_count() const {
  MutexLock lock(state_);
  std::uint64_t sum = 0;
  const auto table = blocks();
  for (const auto& block : table->blocks) sum += block == nullptr ? 0 : block->count();
  return sum;
}

std::uint64_t Head::block_bytes() const {
  MutexLock lock(state_);
  std::uint64_t sum = 0;
  const auto table = blocks();
  for (const auto& block : table->blocks) sum += block == nullptr ? 0 : block->size_bytes();
  return sum;
}

std::uint64_t Head::histogram_bytes() const {
  std::uint64_t sum = 0;
  for (Stripe& its : stripes_) {
    MutexLock lock(its.mutex);
    for (const auto& [slot, open] : its.histograms) sum += open->memory_bytes();
  }
  return sum;
}

// --- Sealing ---

void Head::publish(TimestampMs min_ms, const std::function<void()>& at_that_moment) {
  MutexLock lock(state_);
  min_ms_.store(min_ms, std::memory_order_relaxed);
  old_pins_.push_back(pin_);
  pin_ = std::make_shared<const int>(0);
  at_that_moment();
}

bool Head::pinned() {
  MutexLock lock(state_);
  std::erase_if(old_pins_, [](const auto& pin) { return pin.expired(); });
  return !old_pins_.empty();
}

std::size_t Head::drop_dead(const std::function<bool(Slot)>& kept) {
  WriterLock index_lock(index_mutex_);
  MutexLock lock(state_);
  const TimestampMs oldest = min_ms();
  std::vector<Slot> dead;
  for (const Slot slot : index_.slots()) {
    HeadSeries& series = record(slot);
    const TimestampMs last = series.last_ms.load(std::memory_order_relaxed);
    if (last == model::kMinTimestampMs) {
      if (!series.fresh) dead.push_back(slot);
      series.fresh = false;
    } else if (last < oldest) {
      dead.push_back(slot);
    }
  }
  std::erase_if(dead, kept);
  std::sort(dead.begin(), dead.end());
  for (const Slot slot : dead) {
    HeadSeries& series = record(slot);
    MutexLock stripe_lock(stripe(slot).mutex);
    series.ref.store(0, std::memory_order_relaxed);
    forget_open(series);
    if (std::exchange(series.histograms, false)) stripe(slot).histograms.erase(slot);
    series.closed = 0;
  }
  if (!dead.empty()) {
    index_.remove(dead);
    free_slots_.insert(free_slots_.end(), dead.begin(), dead.end());
    std::sort(free_slots_.begin(), free_slots_.end(), std::greater<>());
    begin_generation();
  }
  MutexLock blocks_lock(blocks_mutex_);
  auto table = std::make_shared<BlockTable>(*blocks_);
  for (auto& block : table->blocks) {
    if (block == nullptr || block == filling_ || block->max_ms() >= oldest) continue;
    std::erase(unwritten_, block);
    block = nullptr;
  }
  const auto live =
      std::find_if(table->blocks.begin(), table->blocks.end(), [](const auto& b) { return b != nullptr; });
  table->first += static_cast<std::uint32_t>(live - table->blocks.begin());
  table->blocks.erase(table->blocks.begin(), live);
  blocks_ = std::move(table);
  return dead.size();
}

void Head::settle_first(TimestampMs others_ms) {
  // No batch is applied meanwhile.
  MutexLock lock(state_);
  first_ms_.store(std::min(others_ms, first_since_ms_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

void Head::subtract_samples(std::uint64_t n) {
  std::uint64_t now = samples_.load(std::memory_order_relaxed);
  while (!samples_.compare_exchange_weak(now, now - std::min(now, n), std::memory_order_relaxed)) {
  }
}

}  // namespace qd::store::metrics
