#include "store/prometheus/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "store/metrics/label_index.h"
#include "store/prometheus/bytes.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Matcher;
using metrics::SeriesSet;
using metrics::Slot;
using model::LabelSet;

constexpr std::uint32_t kMappedMagic = 0x0130BC91;
constexpr std::uint8_t kMappedVersion = 1;
constexpr std::size_t kMappedHeaderBytes = 8;
constexpr std::size_t kMappedChunkHeadBytes = 8 + 8 + 8 + 1;
constexpr std::uint8_t kOutOfOrderFlag = 0x80;

// A chunk of the head: in a mapped file, or in memory.
struct HeadChunk {
  TimestampMs min_ms = 0;
  TimestampMs max_ms = 0;
  std::uint8_t encoding = 0;
  std::span<const std::byte> mapped;
  std::string owned;

  std::span<const std::byte> bytes() const { return owned.empty() ? mapped : base::as_bytes(owned); }
};

struct HeadSeries {
  std::vector<HeadChunk> chunks;
  std::vector<Interval> deleted;
};

HeadChunk in_memory(EncodedChunk chunk) {
  return {.min_ms = chunk.min_ms,
          .max_ms = chunk.max_ms,
          .encoding = static_cast<std::uint8_t>(chunk.encoding),
          .mapped = {},
          .owned = std::move(chunk.bytes)};
}

}  // namespace

base::Status read_mapped_chunks(std::span<const std::byte> bytes, const std::filesystem::path& path,
                                const std::function<void(const MappedChunk&)>& call) {
  // A file that has just been begun.
  if (bytes.empty()) return {};
  if (bytes.size() < kMappedHeaderBytes || be32_at(bytes, 0) != kMappedMagic)
    return damage(path, 0, "the file holds no mapped chunks of Prometheus");
  if (const auto version = std::to_integer<std::uint8_t>(bytes[4]); version != kMappedVersion) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has version {} of mapped chunks, and this Quarterdeck reads {}", path.native(),
                                  version, kMappedVersion));
  }
  std::size_t at = kMappedHeaderBytes;
  while (at < bytes.size()) {
    // Room that was made in front and not used yet is zero.
    const auto head = bytes.subspan(at, std::min(kMappedChunkHeadBytes, bytes.size() - at));
    if (std::ranges::all_of(head, [](std::byte b) { return b == std::byte{0}; })) return {};
    base::ByteReader in(bytes.subspan(at));
    MappedChunk chunk;
    chunk.series = read_be64(in);
    chunk.min_ms = static_cast<TimestampMs>(read_be64(in));
    chunk.max_ms = static_cast<TimestampMs>(read_be64(in));
    const auto encoding = in.fixed<std::uint8_t>();
    chunk.encoding = static_cast<std::uint8_t>(encoding & ~kOutOfOrderFlag);
    chunk.out_of_order = (encoding & kOutOfOrderFlag) != 0;
    const std::uint64_t length = in.varint();
    if (!in.ok() || length > kChunkBytesMax) return damage(path, at, "the head of a mapped chunk does not read");
    chunk.data = in.raw(length);
    const std::size_t covered = in.position();
    const std::uint32_t checksum = read_be32(in);
    if (!in.ok()) return damage(path, at, "a mapped chunk would reach beyond the file");
    if (base::crc32c(bytes.subspan(at, covered)) != checksum)
      return damage(path, at, "a mapped chunk does not match its checksum");
    call(chunk);
    at += in.position();
  }
  return {};
}

struct Head::State {
  std::filesystem::path dir;
  TimestampMs from_ms = model::kMinTimestampMs;
  Counts counts;
  metrics::LabelIndex index;
  std::vector<HeadSeries> series;  // by slot
  std::vector<std::unique_ptr<base::Mapping>> mappings;

  metrics::Postings positions(std::span<const Matcher> matchers, TimestampMs from, TimestampMs to) const {
    metrics::Postings all = index.select(matchers);
    std::erase_if(all, [&](std::uint32_t position) {
      return std::ranges::none_of(series[index.slots()[position]].chunks,
                                  [&](const HeadChunk& chunk) { return chunk.max_ms >= from && chunk.min_ms <= to; });
    });
    return all;
  }
};

// Takes what files say into the state.
class Head::Loader final : public WalVisitor {
 public:
  explicit Loader(State& state) : state_(state) {}

  // All of them come before the log, which says whose they are.
  void mapped(const MappedChunk& chunk) {
    if (chunk.out_of_order || chunk.max_ms >= state_.from_ms) unclaimed_[chunk.series].push_back(chunk);
  }
  // The log that follows is of samples that came out of order.
  void begin_late() { late_ = true; }

  void series(std::uint64_t ref, const LabelSet& labels) override {
    Slot slot = state_.index.find(labels);
    if (slot == metrics::kNoSlot) {
      std::vector<metrics::PairId> pairs;
      for (const model::Label& label : labels) pairs.push_back(state_.index.intern(label.name, label.value));
      slot = static_cast<Slot>(state_.series.size());
      state_.series.emplace_back();
      open_.emplace_back();
      state_.index.add(pairs, slot);
    }
    slots_[ref] = slot;
    if (const auto found = unclaimed_.find(ref); found != unclaimed_.end()) {
      for (const MappedChunk& chunk : found->second) claim(slot, chunk);
      unclaimed_.erase(found);
    }
  }

  void sample(std::uint64_t ref, TimestampMs time_ms, double value) override {
    const Slot slot = find(ref);
    if (slot == metrics::kNoSlot) return;
    if (late_) return add_sample(late_samples_[slot], time_ms, value);
    Open& open = open_[slot];
    // What a mapped chunk holds too, or a log that was written twice.
    if (time_ms <= open.last_ms || time_ms < state_.from_ms) return;
    open.last_ms = time_ms;
    if (open.numbers.size() == kChunkSamples) state_.series[slot].chunks.push_back(in_memory(open.numbers.finish()));
    open.numbers.add(time_ms, value);
  }

  void histogram(std::uint64_t ref, TimestampMs time_ms, model::HistogramPtr histogram) override {
    const Slot slot = find(ref);
    if (slot == metrics::kNoSlot) return;
    constexpr double kBeside = std::bit_cast<double>(model::kNormalNanBits);
    if (late_) return add_sample(late_samples_[slot], time_ms, kBeside, std::move(histogram));
    Open& open = open_[slot];
    if (time_ms <= open.last_ms || time_ms < state_.from_ms) return;
    open.last_ms = time_ms;
    Columns& columns = histograms_[slot];
    add_sample(columns, time_ms, kBeside, std::move(histogram));
    if (columns.size() == kChunkSamples) close(slot, columns);
  }

  void deleted(std::uint64_t ref, Interval interval) override {
    if (const Slot slot = find(ref); slot != metrics::kNoSlot) state_.series[slot].deleted.push_back(interval);
  }

  void finish() {
    for (auto& [slot, columns] : histograms_) close(slot, columns);
    for (auto& [slot, columns] : late_samples_) {
      sort_columns(columns);
      close(slot, columns);
    }
    Counts& counts = state_.counts;
    for (Slot slot = 0; slot < state_.series.size(); ++slot) {
      auto& chunks = state_.series[slot].chunks;
      if (open_[slot].numbers.size() > 0) chunks.push_back(in_memory(open_[slot].numbers.finish()));
      chunks.shrink_to_fit();
      if (!chunks.empty()) ++counts.series;
      for (const HeadChunk& chunk : chunks) {
        counts.min_ms = std::min(counts.min_ms, chunk.min_ms);
        counts.max_ms = std::max(counts.max_ms, chunk.max_ms);
        base::ByteReader in(chunk.bytes());
        counts.samples += read_be16(in);
      }
    }
  }

 private:
  struct Open {
    XorEncoder numbers;
    TimestampMs last_ms = model::kMinTimestampMs;
  };

  Slot find(std::uint64_t ref) {
    const auto found = slots_.find(ref);
    if (found != slots_.end()) return found->second;
    ++state_.counts.unknown_series;
    return metrics::kNoSlot;
  }

  void claim(Slot slot, const MappedChunk& chunk) {
    ++state_.counts.mapped_chunks;
    if (!chunk.out_of_order) open_[slot].last_ms = std::max(open_[slot].last_ms, chunk.max_ms);
    state_.series[slot].chunks.push_back({.min_ms = chunk.min_ms,
                                          .max_ms = chunk.max_ms,
                                          .encoding = chunk.encoding,
                                          .mapped = chunk.data,
                                          .owned = {}});
  }

  void close(Slot slot, Columns& columns) {
    for (EncodedChunk& chunk : encode_chunks(columns))
      state_.series[slot].chunks.push_back(in_memory(std::move(chunk)));
    columns.clear();
  }

  State& state_;
  bool late_ = false;
  std::unordered_map<std::uint64_t, Slot> slots_;
  std::unordered_map<std::uint64_t, std::vector<MappedChunk>> unclaimed_;
  std::vector<Open> open_;  // by slot
  std::unordered_map<Slot, Columns> histograms_;
  std::unordered_map<Slot, Columns> late_samples_;
};

Head::Head(std::unique_ptr<State> state) : state_(std::move(state)) {}
Head::~Head() = default;

base::Result<std::shared_ptr<const Head>> Head::read(base::Files& files, const std::filesystem::path& dir,
                                                     TimestampMs from_ms, const Warn& warn) {
  auto state = std::make_unique<State>();
  state->dir = dir;
  state->from_ms = from_ms;
  Loader loader(*state);
  const auto chunks_dir = dir / "chunks_head";
  QD_ASSIGN(const bool any_chunks, files.exists(chunks_dir));
  std::vector<std::string> names;
  if (any_chunks) {
    QD_ASSIGN(names, files.list(chunks_dir));
  }
  for (const std::string& name : names) {
    if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
    auto mapping = files.map(chunks_dir / name);
    if (!mapping) {
      warn({mapping.error().message()});
      continue;
    }
    const auto read = read_mapped_chunks((*mapping)->bytes(), chunks_dir / name,
                                         [&](const MappedChunk& chunk) { loader.mapped(chunk); });
    if (!read)
      warn({read.error().message() + "; the rest of this file is passed over, and what the log has of it stands"});
    state->mappings.push_back(std::move(*mapping));
  }
  QD_TRY(read_wal_and_checkpoint(files, dir / "wal", warn, loader, state->counts.wal));
  loader.begin_late();
  QD_TRY(read_wal(files, dir / "wbl", 0, warn, loader, state->counts.wal));
  loader.finish();
  if (state->counts.unknown_series > 0) {
    warn({fmt::format("{}: {} samples are of series that the log does not name; they are passed over",
                      (dir / "wal").native(), state->counts.unknown_series)});
  }
  if (state->counts.wal.unknown_records > 0) {
    warn({fmt::format("{}: {} records are of types that a newer Prometheus writes; they are passed over",
                      (dir / "wal").native(), state->counts.wal.unknown_records)});
  }
  return std::shared_ptr<const Head>(new Head(std::move(state)));
}

const Head::Counts& Head::counts() const {
  return state_->counts;
}

class Head::Series final : public SeriesSet {
 public:
  Series(std::shared_ptr<const Head> head, std::vector<std::pair<LabelSet, Slot>> rows)
      : head_(std::move(head)), rows_(std::move(rows)) {}
  std::size_t size() const override { return rows_.size(); }
  const LabelSet& labels(std::size_t i) const override { return rows_[i].first; }

  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    const State& state = *head_->state_;
    const HeadSeries& series = state.series[rows_[i].second];
    for (const HeadChunk& chunk : series.chunks) {
      if (chunk.max_ms < from_ms || chunk.min_ms > to_ms) continue;
      if (auto decoded = decode_chunk(chunk.encoding, chunk.bytes(), from_ms, to_ms, out); !decoded) {
        out.clear();
        return base::fail(decoded.error().code(),
                          fmt::format("the head of {}: {}", state.dir.native(), decoded.error().message()));
      }
    }
    sort_columns(out);
    remove_deleted(out, 0, series.deleted);
    return {};
  }

 private:
  std::shared_ptr<const Head> head_;
  std::vector<std::pair<LabelSet, Slot>> rows_;
};

base::Result<std::unique_ptr<SeriesSet>> Head::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                      TimestampMs to_ms, std::size_t series_limit) const {
  const metrics::Postings positions = state_->positions(matchers, from_ms, to_ms);
  if (positions.size() > series_limit) {
    return base::fail(
        ErrorCode::kLimit,
        fmt::format("the selection matches more than {} series (query.series_limit): name more labels, or "
                    "raise the limit",
                    series_limit));
  }
  std::vector<std::pair<LabelSet, Slot>> rows;
  rows.reserve(positions.size());
  for (const std::uint32_t position : positions) {
    const Slot slot = state_->index.slots()[position];
    rows.emplace_back(state_->index.labels(slot), slot);
  }
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.first < b.first; });
  return std::make_unique<Series>(shared_from_this(), std::move(rows));
}

base::Result<std::vector<std::string>> Head::label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                         TimestampMs to_ms) const {
  return state_->index.names(state_->positions(matchers, from_ms, to_ms));
}

base::Result<std::vector<std::string>> Head::label_values(std::string_view name, std::span<const Matcher> matchers,
                                                          TimestampMs from_ms, TimestampMs to_ms) const {
  return state_->index.values(name, state_->positions(matchers, from_ms, to_ms));
}

}  // namespace qd::store::prometheus
