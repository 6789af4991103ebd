#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "store/metrics/head.h"
#include "store/metrics/packed_chunk.h"

namespace qd::store::metrics {

using base::MutexLock;
using base::ReaderLock;
using model::TimestampMs;

Postings Head::present(const LabelIndex& index, std::span<const model::Matcher> matchers, TimestampMs from_ms) const {
  const TimestampMs oldest = std::max(from_ms, min_ms());
  Postings positions = index.select(matchers);
  std::erase_if(positions, [&](std::uint32_t position) {
    const TimestampMs last = record(index.slots()[position]).last_ms.load(std::memory_order_relaxed);
    return last < oldest || last == model::kMinTimestampMs;
  });
  return positions;
}

void Head::note_moment(HeadSelection& selection) const {
  static std::atomic<std::uint64_t> selections{0};
  selection.number = ++selections;
  selection.min_ms = min_ms();
  selection.pin = pin_;
  selection.blocks = blocks();
}

base::Result<HeadSelection> Head::select(std::span<const model::Matcher> matchers, TimestampMs from_ms,
                                         TimestampMs to_ms, std::size_t series_limit, Labels labels,
                                         const std::function<void()>& at_that_moment) const {
  constexpr std::size_t kAhead = 16;
  struct Found {
    Slot slot;
    TimestampMs last_ms;
  };
  std::vector<Found> found;
  HeadSelection selection;
  // Held until the end: nothing that was found can be dropped before the pin is taken, and no series can be made that
  // a batch after this moment might write to together with one that was found.
  ReaderLock lock(index_mutex_);
  if (last_ms() >= from_ms && first_ms() <= to_ms) {
    const Postings positions = index_.select(matchers);
    found.reserve(positions.size());
    for (const std::uint32_t position : positions) found.push_back({index_.slots()[position], 0});
  }
  {
    MutexLock state_lock(state_);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i + kAhead < found.size()) __builtin_prefetch(&record(found[i + kAhead].slot).last_ms);
      found[i].last_ms = record(found[i].slot).last_ms.load(std::memory_order_relaxed);
    }
    note_moment(selection);
    at_that_moment();
  }
  const TimestampMs oldest = std::max({from_ms, selection.min_ms, model::kMinTimestampMs + 1});
  std::erase_if(found, [&](const Found& series) { return series.last_ms < oldest; });
  if (found.size() > series_limit) {
    return base::fail(
        base::ErrorCode::kLimit,
        fmt::format(
            "the selection matches more than {} series (query.series_limit): name more labels, or raise the limit",
            series_limit));
  }
  std::vector<Slot> slots(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) slots[i] = found[i].slot;
  selection.slots.resize(found.size());
  selection.last_ms.resize(found.size());
  const std::vector<std::uint32_t> order = index_.label_order(slots);
  for (std::size_t i = 0; i < order.size(); ++i) {
    selection.slots[i] = found[order[i]].slot;
    selection.last_ms[i] = found[order[i]].last_ms;
  }
  if (labels == Labels::kWith) {
    selection.labels.reserve(selection.slots.size());
    for (const Slot slot : selection.slots) selection.labels.push_back(index_.labels(slot));
  }
  return selection;
}

std::vector<std::pair<SeriesRef, TimestampMs>> Head::newest(std::span<const model::Matcher> matchers,
                                                            TimestampMs from_ms) const {
  std::vector<std::pair<SeriesRef, TimestampMs>> found;
  ReaderLock lock(index_mutex_);
  for (const std::uint32_t position : present(index_, matchers, from_ms)) {
    const HeadSeries& series = record(index_.slots()[position]);
    found.emplace_back(series.ref.load(std::memory_order_relaxed), series.last_ms.load(std::memory_order_relaxed));
  }
  return found;
}

HeadSelection Head::select_one(SeriesRef ref, const std::function<void()>& at_that_moment) const {
  HeadSelection selection;
  MutexLock state_lock(state_);
  const HeadSeries* const series = find_record(ref);
  if (series == nullptr) return selection;
  selection.slots.push_back(slot_of(ref));
  selection.last_ms.push_back(series->last_ms.load(std::memory_order_relaxed));
  note_moment(selection);
  at_that_moment();
  return selection;
}

model::LabelSet Head::labels(Slot slot) const {
  ReaderLock lock(index_mutex_);
  return index_.labels(slot);
}

void Head::with_index(const std::function<void(const LabelIndex&)>& use) const {
  ReaderLock lock(index_mutex_);
  use(index_);
}

namespace {

bool decode_any(ChunkKind kind, std::span<const std::byte> bytes, TimestampMs first_ms, std::size_t count,
                Columns& out) {
  bool good = false;
  switch (kind) {
    case ChunkKind::kHistograms:
      return decode_histogram_chunk(bytes, first_ms, count, out);
    case ChunkKind::kPacked:
      good = decode_packed_chunk(bytes, count, out);
      break;
    case ChunkKind::kNumbers:
      good = decode_chunk(bytes, first_ms, count, out);
      break;
  }
  if (good && !out.histograms.empty()) out.histograms.resize(out.size());
  return good;
}

// A chunk of the series that a read needs.
struct Link {
  const ChunkBlock* block;
  std::uint32_t index;

  const ChunkEntry& entry() const { return block->entry(index); }
};

// Calls `take` with the chunk at `at` of the block where a read of [from_ms, to_ms] needs it. The chunk before that it
// may need as well, or 0.
template <typename Take>
ChunkRef follow(const ChunkBlock& block, ChunkRef at, TimestampMs from_ms, TimestampMs to_ms, const Take& take) {
  const ChunkEntry& entry = block.entry(index_of(at));
  if (entry.max_ms < from_ms) return 0;
  if (entry.min_ms <= to_ms) take(Link{&block, index_of(at)});
  return entry.min_ms <= from_ms || entry.previous >= at ? 0 : entry.previous;
}

// While a chunk is decoded the CPU is told of the one so many further on.
constexpr std::size_t kChunksAhead = 2;

void expect_further(std::span<const Link> links, std::size_t i) {
  if (i + kChunksAhead < links.size()) links[i + kChunksAhead].block->expect(links[i + kChunksAhead].index);
}

base::Status decode(const Link& link, Columns& out) {
  QD_ASSIGN(const auto bytes, link.block->chunk(link.index));
  const ChunkEntry& entry = link.entry();
  if (decode_any(entry.kind, bytes, entry.min_ms, entry.samples, out)) return {};
  return base::fail(base::ErrorCode::kCorrupt, fmt::format("chunk {} of block {} of the head cannot be decoded",
                                                           link.index, link.block->number()));
}

// As many of the first links as are sound chunks of numbers that are not packed. Gives how many; none where one of them
// cannot be decoded.
std::size_t decode_unpacked(std::span<const Link> links, std::vector<EncodedChunk>& chunks, Columns& out) {
  chunks.clear();
  for (std::size_t i = 0; i < links.size(); ++i) {
    const Link& link = links[i];
    const ChunkEntry& entry = link.entry();
    expect_further(links, i);
    if (entry.kind != ChunkKind::kNumbers) break;
    const auto bytes = link.block->chunk(link.index);
    if (!bytes) break;
    chunks.push_back({*bytes, entry.min_ms, entry.samples});
  }
  if (chunks.empty() || !decode_chunks(chunks, out)) return 0;
  if (!out.histograms.empty()) out.histograms.resize(out.size());
  return chunks.size();
}

// Of the samples from `begin` on, those before `from_ms`.
void cut_before(Columns& out, std::size_t begin, TimestampMs from_ms) {
  const auto at = out.times.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto cut = static_cast<std::size_t>(std::lower_bound(at, out.times.end(), from_ms) - at);
  if (cut > 0) out.erase(begin, cut);
}

}  // namespace

// Where the chunks of the series are that a thread is about to read. Each link of a chain waits for memory: chains of a
// few series, followed side by side, wait together. Holds pointers into the blocks of one selection, which it knows by
// its number, and never looks at them for another.
//
// A thread has one for good, so it needs no destructor: to note one for a thread, the C library waits for whoever loads
// a library, which may be a driver that hangs.
struct Head::Ahead {
  static constexpr std::size_t kSeries = 8;
  static constexpr std::size_t kLinksMax = 96;  // a longer chain is followed when its series is read
  struct Chain {
    std::size_t i = 0;
    ChunkRef newest = 0;
    bool followed = false;
    std::size_t count = 0;
    std::array<Link, kLinksMax> links{};  // newest first
  };

  std::uint64_t selection = 0;
  TimestampMs from_ms = 0;
  TimestampMs to_ms = 0;
  std::size_t last = 0;
  std::size_t stride = 0;
  std::size_t count = 0;
  std::array<Chain, kSeries> chains;

  const Chain* find(std::size_t i) const {
    const auto end = chains.begin() + count;
    const auto chain = std::find_if(chains.begin(), end, [i](const Chain& c) { return c.i == i; });
    return chain == end ? nullptr : &*chain;
  }
  // Notes that series i is read now, and says how many are likely to follow, `stride` apart, from it on.
  std::size_t expected(const HeadSelection& from, std::size_t i, TimestampMs from_time_ms, TimestampMs to_time_ms) {
    const bool goes_on = selection == from.number && from_ms == from_time_ms && to_ms == to_time_ms;
    const std::size_t step = i - last;
    const bool steady = goes_on && step == stride;
    selection = from.number;
    from_ms = from_time_ms;
    to_ms = to_time_ms;
    stride = goes_on ? step : 0;
    last = i;
    if (!goes_on) count = 0;
    if (!steady || stride == 0 || stride >= from.slots.size()) return 0;
    return std::min(kSeries, (from.slots.size() - 1 - i) / stride + 1);
  }
};

void Head::follow_chains(const HeadSelection& selection, Ahead& ahead) const {
  static_assert(std::is_trivially_destructible_v<Ahead>);
  std::array<ChunkRef, Ahead::kSeries> at;
  for (std::size_t c = 0; c < ahead.count; ++c)
    __builtin_prefetch(&record(selection.slots[ahead.last + c * ahead.stride]));
  for (std::size_t c = 0; c < ahead.count; ++c) {
    Ahead::Chain& chain = ahead.chains[c];
    chain.i = ahead.last + c * ahead.stride;
    chain.count = 0;
    chain.followed = true;
    const Slot slot = selection.slots[chain.i];
    MutexLock lock(stripe(slot).mutex);
    const HeadSeries& series = record(slot);
    chain.newest = series.closed;
    const bool open_is_enough = (series.open_bytes > 0 || series.histograms) && series.open_first_ms() <= ahead.from_ms;
    at[c] = open_is_enough ? 0 : series.closed;
  }
  for (std::size_t left = ahead.count; left > 0;) {
    left = 0;
    for (std::size_t c = 0; c < ahead.count; ++c) {
      if (at[c] == 0) continue;
      Ahead::Chain& chain = ahead.chains[c];
      const ChunkBlock* const block = selection.blocks->find(block_of(at[c]));
      if (block == nullptr || chain.count == Ahead::kLinksMax) {
        // Newer than the selection, or too long.
        chain.followed = false;
        at[c] = 0;
        continue;
      }
      const TimestampMs to_ms = std::min(ahead.to_ms, selection.last_ms[chain.i]);
      at[c] = follow(*block, at[c], ahead.from_ms, to_ms,
                     [&chain](const Link& link) { chain.links[chain.count++] = link; });
      if (const ChunkBlock* const next = selection.blocks->find(block_of(at[c])); next != nullptr) {
        next->expect_entry(index_of(at[c]));
        ++left;
      }
    }
  }
}

base::Status Head::read(const HeadSelection& selection, std::size_t i, TimestampMs from_ms, TimestampMs to_ms,
                        Columns& out, std::vector<base::Error>* skipped) const {
  from_ms = std::max(from_ms, selection.min_ms);
  constinit thread_local Ahead ahead;
  if (const std::size_t expected = ahead.expected(selection, i, from_ms, to_ms);
      expected > 1 && ahead.find(i) == nullptr) {
    ahead.count = expected;
    follow_chains(selection, ahead);
  }
  to_ms = std::min(to_ms, selection.last_ms[i]);
  if (from_ms > to_ms) return {};

  const Slot slot = selection.slots[i];
  std::array<std::byte, kChunkBytesMax> open;
  std::size_t open_bytes = 0;
  std::size_t open_samples = 0;
  TimestampMs open_first_ms = 0;
  ChunkRef newest = 0;
  std::vector<std::byte> open_histograms;
  {
    MutexLock lock(stripe(slot).mutex);
    const HeadSeries& series = record(slot);
    newest = series.closed;
    open_first_ms = series.open_first_ms();
    if (series.open_bytes > 0 && open_first_ms <= to_ms) {
      open_bytes = series.open_bytes;
      open_samples = series.open_samples;
      series.open.copy(open_bytes, open.data());
    } else if (series.histograms && open_first_ms <= to_ms) {
      const HistogramChunk& its = *stripe(slot).histograms.find(slot)->second;
      open_histograms.assign(its.bytes().begin(), its.bytes().end());
      open_bytes = open_histograms.size();
      open_samples = its.samples();
    }
  }

  std::vector<Link> links;
  std::shared_ptr<const BlockTable> now;
  if (const Ahead::Chain* const chain = ahead.find(i); chain != nullptr && chain->followed && chain->newest == newest) {
    links.assign(chain->links.begin(), chain->links.begin() + static_cast<std::ptrdiff_t>(chain->count));
  } else {
    for (ChunkRef at = newest; at != 0 && !(open_bytes > 0 && open_first_ms <= from_ms);) {
      const ChunkBlock* block = selection.blocks->find(block_of(at));
      if (block == nullptr) {
        if (now == nullptr) now = blocks();
        block = now->find(block_of(at));
      }
      // A block that is gone held nothing that this selection may see.
      if (block == nullptr) break;
      at = follow(*block, at, from_ms, to_ms, [&links](const Link& link) { links.push_back(link); });
    }
  }
  std::ranges::reverse(links);

  const std::size_t before = out.size();
  for (std::size_t k = 0; k < std::min(links.size(), kChunksAhead); ++k) links[k].block->expect(links[k].index);
  std::vector<EncodedChunk> chunks;
  for (std::span<const Link> left = links; !left.empty();) {
    // The first one alone: what it holds before the range is cut off while nothing stands behind it.
    const bool first = left.size() == links.size();
    if (const std::size_t n = first ? 0 : decode_unpacked(left, chunks, out); n > 0) {
      left = left.subspan(n);
      continue;
    }
    // What is packed, histograms, and what is damaged, which is told of each.
    expect_further(left, 0);
    base::Status decoded = decode(left.front(), out);
    if (first) cut_before(out, before, from_ms);
    left = left.subspan(1);
    if (decoded) continue;
    if (skipped == nullptr) {
      out.resize(before);
      return decoded;
    }
    skipped->push_back(std::move(decoded).error());
  }
  const bool opened = open_histograms.empty()
                          ? open_bytes == 0 || decode_any(ChunkKind::kNumbers, std::span(open).first(open_bytes),
                                                          open_first_ms, open_samples, out)
                          : decode_any(ChunkKind::kHistograms, open_histograms, open_first_ms, open_samples, out);
  if (!opened) {
    return base::fail(base::ErrorCode::kInternal, "an open chunk of the head cannot be decoded");
  }

  cut_before(out, before, from_ms);
  const auto begin = out.times.begin() + static_cast<std::ptrdiff_t>(before);
  out.resize(static_cast<std::size_t>(std::upper_bound(begin, out.times.end(), to_ms) - out.times.begin()));
  return {};
}

}  // namespace qd::store::metrics
