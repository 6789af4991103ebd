#include "store/metrics/segment.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_histogram.h"
#include "store/metrics/histogram_chunk.h"
#include "store/metrics/segment_format.h"
#include "store/metrics/segment_index.h"

namespace qd::store::metrics {
namespace {

// The least that a block says about itself in its series' record.
constexpr std::size_t kBlockRecordBytesMin = 4;

class BytesOfCaller final : public base::Mapping {
 public:
  explicit BytesOfCaller(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// One block of a series, as its record has it.
struct Block {
  std::size_t samples = 0;
  TimestampMs first_ms = 0;
  TimestampMs last_ms = 0;
  std::uint64_t times_offset = 0;
  std::uint64_t times_bytes = 0;
  std::uint64_t values_offset = 0;
  std::uint64_t values_bytes = 0;
};

// Walks the blocks of a record. next() is false at the end; ok() says whether that was as it should be.
class Blocks {
 public:
  explicit Blocks(const SegmentIndex::Series& series) : in_(series.blocks), series_(series) {
    left_ = in_.varint();
    values_offset_ = in_.varint();
    if (left_ == 0 || left_ > in_.remaining() / kBlockRecordBytesMin) ok_ = false;
  }

  bool next(Block& block) {
    if (!ok_ || left_ == 0) return false;
    --left_;
    block.samples = in_.varint();
    const std::uint64_t gap = is_first_ ? 0 : in_.varint();
    block.first_ms = is_first_ ? series_.min_ms : add(block.last_ms, gap);
    block.last_ms = left_ == 0 ? series_.max_ms : add(block.first_ms, in_.varint());
    const std::uint64_t times_back = in_.varint();
    block.times_bytes = in_.varint();
    block.values_bytes = in_.varint();
    block.values_offset = values_offset_;
    block.times_offset = values_offset_ - times_back;
    values_offset_ += block.values_bytes + kBlockChecksumBytes;
    ok_ = in_.ok() && block.samples > 0 && block.samples <= kBlockSamplesMax && times_back <= block.values_offset &&
          (is_first_ || gap > 0) && block.first_ms <= block.last_ms && block.last_ms <= series_.max_ms;
    is_first_ = false;
    return ok_;
  }
  bool ok() const { return ok_ && left_ == 0; }
  // What stands behind the last block of the record. REQUIRES: ok().
  base::ByteReader rest() const { return in_; }

 private:
  static TimestampMs add(TimestampMs time_ms, std::uint64_t span) {
    return static_cast<TimestampMs>(static_cast<std::uint64_t>(time_ms) + span);
  }

  base::ByteReader in_;
  const SegmentIndex::Series& series_;
  std::uint64_t left_ = 0;
  std::uint64_t values_offset_ = 0;
  bool is_first_ = true;
  bool ok_ = true;
};

}  // namespace

struct Segment::State {
  State(std::unique_ptr<base::Mapping> its_mapping, const std::filesystem::path& its_path,
        const SegmentFooter& its_footer, Checksums its_checksums)
      : mapping(std::move(its_mapping)),
        path(its_path),
        footer(its_footer),
        checksums(its_checksums),
        file(mapping->bytes()),
        index(file, footer, path.native()) {}

  std::unexpected<base::Error> damaged(std::uint64_t offset, std::string_view what) const {
    return segment_damage(path.native(), offset, what);
  }
  // The payload of the block at `offset`, its checksum checked.
  base::Result<std::span<const std::byte>> block(std::uint64_t offset, std::uint64_t bytes) const;
  base::Status decode_times_of(const Block& block, std::span<TimestampMs> times) const;
  // Appends what the block has in [from_ms, to_ms] to `out`.
  base::Status read_block(const Block& block, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const;
  base::Status exemplars(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms,
                         std::vector<model::Exemplar>& out) const;
  base::Status read(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const;
  base::Status check_sections() const;

  std::unique_ptr<base::Mapping> mapping;
  std::filesystem::path path;
  SegmentFooter footer;
  Checksums checksums;
  std::span<const std::byte> file;
  SegmentIndex index;
};

base::Result<std::span<const std::byte>> Segment::State::block(std::uint64_t offset, std::uint64_t bytes) const {
  const std::uint64_t end = footer.sections[0].offset;
  if (offset < kSegmentHeaderBytes || offset > end || end - offset < kBlockChecksumBytes ||
      bytes > end - offset - kBlockChecksumBytes) {
    return damaged(footer[Section::kSeries].offset, "a record names a block outside of the blocks");
  }
  const auto payload = file.subspan(offset, bytes);
  if (checksums == Checksums::kVerify) {
    base::ByteReader in(file.subspan(offset + bytes, kBlockChecksumBytes));
    if (base::crc32c(payload) != in.fixed<std::uint32_t>()) {
      return damaged(offset, "a block does not match its checksum");
    }
  }
  return payload;
}

base::Status Segment::State::decode_times_of(const Block& b, std::span<TimestampMs> times) const {
  QD_ASSIGN(const auto times_block, block(b.times_offset, b.times_bytes));
  if (const auto decoded = decode_times(times_block, times); !decoded) {
    return damaged(b.times_offset, decoded.error().message());
  }
  if (times.front() != b.first_ms || times.back() != b.last_ms) {
    return damaged(b.times_offset, "the times of a block are not those that its series' record says");
  }
  return {};
}

base::Status Segment::State::read_block(const Block& b, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  const std::size_t at = out.size();
  out.resize(at + b.samples);
  const auto times = std::span(out.times).subspan(at);
  QD_TRY(decode_times_of(b, times));
  const bool all = b.first_ms >= from_ms && b.last_ms <= to_ms;
  const auto first = all ? times.begin() : std::lower_bound(times.begin(), times.end(), from_ms);
  const auto end = all ? times.end() : std::upper_bound(first, times.end(), to_ms);
  const auto skip = static_cast<std::size_t>(first - times.begin());
  const auto keep = static_cast<std::size_t>(end - first);
  QD_ASSIGN(const auto values_block, block(b.values_offset, b.values_bytes));
  if (is_histogram_block(values_block)) {
    std::fill_n(out.values.begin() + static_cast<std::ptrdiff_t>(at), b.samples, no_number());
    out.histograms.resize(at);
    if (const auto decoded = decode_histograms(values_block, b.samples, skip, keep, out.histograms); !decoded) {
      return damaged(b.values_offset, decoded.error().message());
    }
  } else if (const auto decoded = decode_values(values_block, std::span(out.values).subspan(at)); !decoded) {
    return damaged(b.values_offset, decoded.error().message());
  }
  if (all) return {};
  const auto begin = static_cast<std::ptrdiff_t>(at);
  std::copy_n(out.times.begin() + begin + static_cast<std::ptrdiff_t>(skip), keep, out.times.begin() + begin);
  std::copy_n(out.values.begin() + begin + static_cast<std::ptrdiff_t>(skip), keep, out.values.begin() + begin);
  out.resize(at + keep);
  return {};
}

base::Status Segment::State::read(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  QD_ASSIGN(const SegmentIndex::Series series, index.series(id));
  if (from_ms > to_ms || series.max_ms < from_ms || series.min_ms > to_ms) return {};
  Blocks blocks(series);
  Block block;
  while (blocks.next(block)) {
    if (block.last_ms < from_ms) continue;
    if (block.first_ms > to_ms) return {};
    QD_TRY(read_block(block, from_ms, to_ms, out));
  }
  if (!blocks.ok())
    return damaged(footer[Section::kSeries].offset, fmt::format("the blocks of series {} do not read", id));
  return {};
}

base::Status Segment::State::exemplars(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms,
                                       std::vector<model::Exemplar>& out) const {
  if (footer.info.exemplars == 0) return {};
  QD_ASSIGN(const SegmentIndex::Series series, index.series(id));
  const auto record_damage = [&] {
    return damaged(footer[Section::kSeries].offset, fmt::format("the exemplars of series {} do not read", id));
  };
  Blocks blocks(series);
  Block passed;
  while (blocks.next(passed)) {
  }
  if (!blocks.ok()) return record_damage();
  base::ByteReader record = blocks.rest();
  if (record.at_end()) return {};
  std::uint64_t left = record.varint();
  const std::uint64_t offset = record.varint();
  const std::uint64_t bytes = record.varint();
  if (!record.ok()) return record_damage();
  QD_ASSIGN(const auto payload, block(offset, bytes));
  base::ByteReader in(payload);
  std::uint64_t time = 0;
  for (; left > 0; --left) {
    model::Exemplar read;
    time += static_cast<std::uint64_t>(in.signed_varint());
    read.time_ms = static_cast<TimestampMs>(time);
    const auto has_time = in.fixed<std::uint8_t>();
    read.value = in.fixed<double>();
    auto labels = LabelSet::from_bytes(in.text());
    if (!in.ok() || has_time > 1 || !labels) return damaged(offset, "a block of exemplars does not read as one");
    if (read.time_ms < from_ms || read.time_ms > to_ms) continue;
    read.has_time = has_time == 1;
    read.labels = *std::move(labels);
    out.push_back(std::move(read));
  }
  if (!in.at_end()) return damaged(offset, "a block of exemplars does not read as one");
  return {};
}

base::Status Segment::State::check_sections() const {
  for (std::size_t i = 0; i < kSectionCount; ++i) {
    const SectionPlace& place = footer.sections[i];
    if (base::crc32c(file.subspan(place.offset, place.bytes)) != place.checksum) {
      return damaged(place.offset,
                     fmt::format("the {} do not match their checksum", to_string(static_cast<Section>(i))));
    }
  }
  return {};
}

Segment::Segment(std::unique_ptr<State> state) : state_(std::move(state)) {}
Segment::~Segment() = default;

base::Result<std::shared_ptr<const Segment>> Segment::from_mapping(std::unique_ptr<base::Mapping> mapping,
                                                                   const std::filesystem::path& path,
                                                                   Checksums checksums) {
  const bool verify = checksums == Checksums::kVerify;
  QD_ASSIGN(const SegmentFooter footer, decode_segment_frame(mapping->bytes(), path.native(), verify));
  auto state = std::make_unique<State>(std::move(mapping), path, footer, checksums);
  if (verify) QD_TRY(state->check_sections());
  return std::shared_ptr<const Segment>(new Segment(std::move(state)));
}

base::Result<std::shared_ptr<const Segment>> Segment::open(base::Files& files, const std::filesystem::path& path) {
  QD_ASSIGN(auto mapping, files.map(path));
  return from_mapping(std::move(mapping), path, Checksums::kVerify);
}

base::Result<std::shared_ptr<const Segment>> Segment::from_bytes(std::span<const std::byte> bytes,
                                                                 const std::filesystem::path& path,
                                                                 Checksums checksums) {
  return from_mapping(std::make_unique<BytesOfCaller>(bytes), path, checksums);
}

const SegmentInfo& Segment::info() const {
  return state_->footer.info;
}

const std::filesystem::path& Segment::path() const {
  return state_->path;
}

base::Result<std::vector<std::uint32_t>> Segment::find(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                       TimestampMs to_ms) const {
  if (from_ms > to_ms || from_ms > info().max_ms || to_ms < info().min_ms) return std::vector<std::uint32_t>();
  QD_ASSIGN(auto found, state_->index.find(matchers));
  if (from_ms <= info().min_ms && to_ms >= info().max_ms) return found;
  return state_->index.overlapping(found, from_ms, to_ms);
}

std::optional<std::uint32_t> Segment::find_series(const LabelSet& labels) const {
  std::uint32_t first = 0;
  auto end = static_cast<std::uint32_t>(info().series);
  while (first < end) {
    const std::uint32_t middle = first + (end - first) / 2;
    const auto order = state_->index.labels(middle) <=> labels;
    if (order == 0) return middle;
    if (order < 0) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  return std::nullopt;
}

std::pair<TimestampMs, TimestampMs> Segment::range(std::uint32_t id) const {
  QD_ASSERT(id < info().series);
  const auto series = state_->index.series(id);
  if (!series) return {model::kMaxTimestampMs, model::kMinTimestampMs};
  return {series->min_ms, series->max_ms};
}

LabelSet Segment::labels(std::uint32_t id) const {
  QD_ASSERT(id < info().series);
  return state_->index.labels(id);
}

std::string_view Segment::label(std::uint32_t id, std::string_view name) const {
  QD_ASSERT(id < info().series);
  return state_->index.label(id, name);
}

base::Status Segment::read(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  QD_ASSERT(id < info().series);
  const std::size_t before = out.size();
  const bool had_histograms = !out.histograms.empty();
  auto status = state_->read(id, from_ms, to_ms, out);
  if (!status) {
    out.resize(before);
    if (!had_histograms) out.histograms.clear();
  }
  return status;
}

base::Status Segment::exemplars(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms,
                                std::vector<model::Exemplar>& out) const {
  QD_ASSERT(id < info().series);
  const std::size_t before = out.size();
  auto status = state_->exemplars(id, from_ms, to_ms, out);
  if (!status) out.resize(before);
  return status;
}

std::vector<std::string_view> Segment::label_names() const {
  return state_->index.label_names();
}

std::vector<std::string_view> Segment::label_values(std::string_view name) const {
  return state_->index.label_values(name);
}

base::Status Segment::verify() const {
  QD_TRY(state_->check_sections());
  Columns columns;
  std::vector<model::Exemplar> exemplars;
  std::uint64_t samples = 0;
  std::uint64_t exemplar_count = 0;
  for (std::uint32_t id = 0; id < info().series; ++id) {
    columns.clear();
    QD_TRY(read(id, model::kMinTimestampMs, model::kMaxTimestampMs, columns));
    samples += columns.size();
    exemplars.clear();
    QD_TRY(this->exemplars(id, model::kMinTimestampMs, model::kMaxTimestampMs, exemplars));
    exemplar_count += exemplars.size();
  }
  if (samples == info().samples && exemplar_count == info().exemplars) return {};
  return state_->damaged(state_->file.size() - segment_footer_bytes(state_->footer.version),
                         fmt::format("the footer counts {} samples and {} exemplars, and there are {} and {}",
                                     info().samples, info().exemplars, samples, exemplar_count));
}

}  // namespace qd::store::metrics
