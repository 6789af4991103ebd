#include "store/prometheus/chunk.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "store/prometheus/histogram_chunk.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;

// Widths of what a time's step differs from the step before, behind prefixes 10, 110, 1110; 1111 is a whole number.
constexpr unsigned kStepWidths[] = {14, 17, 20};

bool step_fits(std::int64_t value, unsigned width) {
  const std::int64_t half = std::int64_t{1} << (width - 1);
  return value > -half && value <= half;
}

void write_step(BitWriter& out, std::int64_t change) {
  if (change == 0) return out.bit(false);
  for (unsigned i = 0; i < std::size(kStepWidths); ++i) {
    if (!step_fits(change, kStepWidths[i])) continue;
    out.bits((1U << (i + 2)) - 2, i + 2);
    return out.bits(static_cast<std::uint64_t>(change), kStepWidths[i]);
  }
  out.bits(0b1111, 4);
  out.bits(static_cast<std::uint64_t>(change), 64);
}

std::int64_t read_step(BitReader& in) {
  unsigned ones = 0;
  while (ones < 4 && in.bit()) ++ones;
  if (ones == 0) return 0;
  if (ones == 4) return static_cast<std::int64_t>(in.bits(64));
  const unsigned width = kStepWidths[ones - 1];
  const std::uint64_t value = in.bits(width);
  if (value > std::uint64_t{1} << (width - 1)) return static_cast<std::int64_t>(value - (std::uint64_t{1} << width));
  return static_cast<std::int64_t>(value);
}

base::Status decode_xor(std::span<const std::byte> bytes, TimestampMs from_ms, TimestampMs to_ms, Columns& out) {
  BitReader in(bytes);
  const auto count = static_cast<std::size_t>(in.bits(16));
  std::uint64_t time = 0;
  std::uint64_t delta = 0;
  XorColumn value;
  for (std::size_t i = 0; i < count; ++i) {
    const auto before = static_cast<TimestampMs>(time);
    if (i == 0) {
      time = static_cast<std::uint64_t>(in.varint());
      value.value = in.float64();
    } else {
      delta = i == 1 ? in.uvarint() : delta + static_cast<std::uint64_t>(read_step(in));
      time += delta;
      value.read(in);
    }
    const auto time_ms = static_cast<TimestampMs>(time);
    if (!in.ok()) return base::fail(ErrorCode::kCorrupt, fmt::format("a chunk ends in its sample {}", i + 1));
    if (i > 0 && time_ms <= before)
      return base::fail(ErrorCode::kCorrupt, fmt::format("the time of sample {} of a chunk does not rise", i + 1));
    if (time_ms > to_ms) break;
    if (time_ms >= from_ms) add_sample(out, time_ms, value.value);
  }
  return {};
}

}  // namespace

base::Status decode_chunk(std::uint8_t encoding, std::span<const std::byte> bytes, TimestampMs from_ms,
                          TimestampMs to_ms, Columns& out) {
  const std::size_t before = out.size();
  base::Status status;
  switch (encoding) {
    case static_cast<std::uint8_t>(Encoding::kXor):
      status = decode_xor(bytes, from_ms, to_ms, out);
      break;
    case static_cast<std::uint8_t>(Encoding::kHistogram):
    case static_cast<std::uint8_t>(Encoding::kFloatHistogram):
      status = decode_histograms(static_cast<Encoding>(encoding), bytes, from_ms, to_ms, out);
      break;
    default:
      status =
          base::fail(ErrorCode::kInvalid,
                     fmt::format("a chunk has encoding {}, and 1 (XOR), 2 and 3 (histograms) are known", encoding));
  }
  if (!status) cut_columns(out, before);
  return status;
}

void add_sample(Columns& columns, TimestampMs time_ms, double value, model::HistogramPtr histogram) {
  if (histogram && columns.histograms.empty()) columns.histograms.resize(columns.times.size());
  columns.times.push_back(time_ms);
  columns.values.push_back(value);
  if (histogram || !columns.histograms.empty()) columns.histograms.push_back(std::move(histogram));
}

void cut_columns(Columns& columns, std::size_t size) {
  columns.times.resize(size);
  columns.values.resize(size);
  if (!columns.histograms.empty()) columns.histograms.resize(size);
}

void sort_columns(Columns& columns) {
  if (std::ranges::adjacent_find(columns.times, std::greater_equal<>()) == columns.times.end()) return;
  std::vector<std::size_t> order(columns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return columns.times[i]; });
  Columns sorted;
  for (const std::size_t i : order) {
    if (!sorted.times.empty() && sorted.times.back() == columns.times[i]) continue;
    add_sample(sorted, columns.times[i], columns.values[i],
               columns.histograms.empty() ? nullptr : std::move(columns.histograms[i]));
  }
  std::swap(columns, sorted);
}

void XorEncoder::add(TimestampMs time_ms, double value) {
  if (samples_ == 0) {
    out_.bits(0, 16);
    out_.varint(time_ms);
    out_.float64(value);
    value_.value = value;
    min_ms_ = time_ms;
  } else {
    const auto delta =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(time_ms) - static_cast<std::uint64_t>(time_ms_));
    if (samples_ == 1) {
      out_.uvarint(static_cast<std::uint64_t>(delta));
    } else {
      write_step(out_,
                 static_cast<std::int64_t>(static_cast<std::uint64_t>(delta) - static_cast<std::uint64_t>(delta_ms_)));
    }
    delta_ms_ = delta;
    value_.write(out_, value);
  }
  time_ms_ = time_ms;
  out_.set_count(++samples_);
}

EncodedChunk XorEncoder::finish() {
  EncodedChunk chunk{.min_ms = min_ms_,
                     .max_ms = time_ms_,
                     .encoding = Encoding::kXor,
                     .samples = samples_,
                     .bytes = std::move(out_.bytes())};
  *this = XorEncoder();
  return chunk;
}

std::vector<EncodedChunk> encode_chunks(const Columns& columns) {
  std::vector<EncodedChunk> chunks;
  XorEncoder numbers;
  HistogramEncoder histograms;
  const auto finish = [&] {
    if (numbers.size() > 0) chunks.push_back(numbers.finish());
    if (histograms.size() > 0) chunks.push_back(histograms.finish());
  };
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const model::Histogram* histogram = columns.histograms.empty() ? nullptr : columns.histograms[i].get();
    if (histogram == nullptr) {
      if (histograms.size() > 0 || numbers.size() == kChunkSamples) finish();
      numbers.add(columns.times[i], columns.values[i]);
      continue;
    }
    if (numbers.size() > 0 || histograms.size() == kChunkSamples || !histograms.fits(*histogram)) finish();
    histograms.add(columns.times[i], *histogram);
  }
  finish();
  return chunks;
}

}  // namespace qd::store::prometheus
