// A chunk: the first histogram whole (histogram_bytes.cpp), its time kept outside. Then for each sample a tag byte:
//
//   bit 0   its time is as far from the one before as that one was from its own predecessor (0 for the first); else
//           svarint of the change of that distance follows
//   bit 1   whole: a histogram as the first one follows, and nothing else
//   bits 2-3 the reset
//   bit 4   the zero bucket and what is in no bucket are as before; else they follow the sum: their moves, as varints
//   bit 5   sparse: only the buckets that moved are told, else every bucket
//   bit 6   some counts fell: the moves of integers are zigzag
//
// then unless whole: the sum, the buckets.
//
// The sum is a byte: 0 as before; 128 + n an integer that moved by n bytes of zigzag; else (z << 4 | n): n bytes of the
// XOR with the bits before, above z bytes of zeros.
//
// The move of an integer is by how much it changed; that of another count the XOR of its bits with those before, its
// bytes in reverse order. Sparse is varint how many, and for each a byte: upper four bits how many buckets between it
// and the one told before, lower four its move less 1; 15 in either is 15 and a varint that follows (the gap's first).
// Dense is a varint a bucket, positive ones first.
#include "store/metrics/histogram_chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "store/metrics/bits.h"

namespace qd::store::metrics {
namespace {

using model::Histogram;
using model::TimestampMs;

constexpr unsigned kSameSpacing = 1;
constexpr unsigned kWhole = 2;
constexpr unsigned kResetShift = 2;
constexpr unsigned kResetMask = 3;
constexpr unsigned kSameOutside = 16;
constexpr unsigned kSparse = 32;
constexpr unsigned kFell = 64;
constexpr unsigned kTagMask = 127;

constexpr unsigned kIntegerSum = 128;
constexpr unsigned kNibble = 15;
constexpr std::size_t kLargeHistograms = 4;
constexpr std::size_t kLargeChunkBytesMax = 256 << 10;
// A sum beyond it is told by its bits.
constexpr double kIntegerSumMax = 0x1p51;

void put_low_bytes(std::string& out, std::uint64_t value, unsigned n) {
  char bytes[8];
  std::memcpy(bytes, &value, sizeof bytes);
  out.append(bytes, n);
}

std::uint64_t get_low_bytes(base::ByteReader& in, unsigned n) {
  std::uint64_t value = 0;
  const auto bytes = in.raw(n);
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

bool as_integer(double value, std::int64_t& integer) {
  if (!(value < kIntegerSumMax && value > -kIntegerSumMax)) return false;
  integer = static_cast<std::int64_t>(value);
  return bits_of(static_cast<double>(integer)) == bits_of(value);
}

void put_sum(std::string& out, double before, double now) {
  if (bits_of(before) == bits_of(now)) {
    out.push_back('\0');
    return;
  }
  const std::uint64_t changed = bits_of(before) ^ bits_of(now);
  const unsigned zeros = static_cast<unsigned>(std::countr_zero(changed)) / 8;
  const unsigned n = byte_count(changed) - zeros;
  std::int64_t a = 0;
  std::int64_t b = 0;
  if (as_integer(before, a) && as_integer(now, b)) {
    const std::uint64_t moved = base::zigzag(b - a);
    if (const unsigned m = byte_count(moved); m <= n) {
      out.push_back(static_cast<char>(kIntegerSum + m));
      put_low_bytes(out, moved, m);
      return;
    }
  }
  out.push_back(static_cast<char>(zeros << 4 | n));
  put_low_bytes(out, changed >> (8 * zeros), n);
}

bool get_sum(base::ByteReader& in, double& sum) {
  const unsigned code = in.fixed<std::uint8_t>();
  if (code == 0) return in.ok();
  const unsigned n = code & kNibble;
  if (n == 0 || n > 8) return false;
  if (code > kIntegerSum) {
    std::int64_t integer = 0;
    if (code > kIntegerSum + 8 || !as_integer(sum, integer)) return false;
    integer = static_cast<std::int64_t>(static_cast<std::uint64_t>(integer) +
                                        static_cast<std::uint64_t>(base::unzigzag(get_low_bytes(in, n))));
    sum = static_cast<double>(integer);
    return in.ok();
  }
  const unsigned zeros = code >> 4;
  if (zeros + n > 8) return false;
  sum = std::bit_cast<double>(bits_of(sum) ^ get_low_bytes(in, n) << (8 * zeros));
  return in.ok();
}

// By how much counts move, as unsigned numbers that are small where little happened.
struct Moves {
  bool integers;
  bool fell;  // zigzag

  std::uint64_t move(double before, double now) const {
    if (!integers) return __builtin_bswap64(bits_of(before) ^ bits_of(now));
    const std::int64_t moved = static_cast<std::int64_t>(now) - static_cast<std::int64_t>(before);
    return fell ? base::zigzag(moved) : static_cast<std::uint64_t>(moved);
  }
  double moved(double before, std::uint64_t move) const {
    if (!integers) return std::bit_cast<double>(bits_of(before) ^ __builtin_bswap64(move));
    const std::uint64_t by = fell ? static_cast<std::uint64_t>(base::unzigzag(move)) : move;
    return static_cast<double>(static_cast<std::uint64_t>(before) + by);
  }
};

}  // namespace

double no_number() {
  return std::bit_cast<double>(model::kNormalNanBits);
}

HistogramChunk::HistogramChunk(TimestampMs time_ms, const Histogram& histogram) : samples_(1), time_ms_(time_ms) {
  encode_histogram(histogram, bytes_);
  limit_ = std::clamp(kLargeHistograms * bytes_.size(), kHistogramChunkBytesMax, kLargeChunkBytesMax);
  begin(histogram);
  cells_ = histogram_cells(histogram);
}

void HistogramChunk::begin(const Histogram& histogram) {
  last_ = histogram;
  integers_ = has_integer_counts(histogram);
}

std::size_t HistogramChunk::memory_bytes() const {
  return sizeof *this + bytes_.capacity() +
         (last_.positive_spans.capacity() + last_.negative_spans.capacity()) * sizeof(model::BucketSpan) +
         (last_.positive.capacity() + last_.negative.capacity() + last_.custom_bounds.capacity()) * sizeof(double);
}

void HistogramChunk::add(TimestampMs time_ms, const Histogram& histogram) {
  // In small steps: strings double, and a chunk would take twice its bytes.
  constexpr std::size_t kRoom = 192;
  if (bytes_.capacity() - bytes_.size() < kRoom / 2) bytes_.reserve(bytes_.size() + kRoom);
  const std::size_t tag_at = bytes_.size();
  unsigned tag = static_cast<unsigned>(histogram.reset) << kResetShift;
  bytes_.push_back('\0');
  base::ByteWriter writer(bytes_);
  const auto delta =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(time_ms) - static_cast<std::uint64_t>(time_ms_));
  if (delta == delta_ms_) {
    tag |= kSameSpacing;
  } else {
    writer.signed_varint(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(delta) - static_cast<std::uint64_t>(delta_ms_)));
  }
  delta_ms_ = delta;
  time_ms_ = time_ms;
  ++samples_;
  cells_ += histogram_cells(histogram);
  if (!same_layout(last_, histogram) || has_integer_counts(histogram) != integers_) {
    tag |= kWhole;
    encode_histogram(histogram, bytes_);
    begin(histogram);
  } else {
    put_sum(bytes_, last_.sum, histogram.sum);
    last_.sum = histogram.sum;
    put_changes(histogram, tag);
  }
  bytes_[tag_at] = static_cast<char>(tag);
}

void HistogramChunk::put_changes(const Histogram& now, unsigned& tag) {
  base::ByteWriter writer(bytes_);
  const auto each_bucket = [&](const auto& use) {
    for (std::size_t i = 0; i < now.positive.size(); ++i) use(last_.positive[i], now.positive[i]);
    for (std::size_t i = 0; i < now.negative.size(); ++i) use(last_.negative[i], now.negative[i]);
  };
  Moves moves{integers_, false};
  if (integers_) {
    bool fell = now.zero_count < last_.zero_count;
    each_bucket([&](double before, double count) { fell = fell || count < before; });
    moves.fell = fell;
    if (fell) tag |= kFell;
    const std::uint64_t outside = count_outside(now);
    const std::uint64_t outside_moved = outside - count_outside(last_);
    if (now.zero_count == last_.zero_count && outside_moved == 0) {
      tag |= kSameOutside;
    } else {
      writer.varint(moves.move(last_.zero_count, now.zero_count));
      writer.signed_varint(static_cast<std::int64_t>(outside_moved));
    }
  } else if (bits_of(now.zero_count) == bits_of(last_.zero_count) && bits_of(now.count) == bits_of(last_.count)) {
    tag |= kSameOutside;
  } else {
    writer.varint(moves.move(last_.zero_count, now.zero_count));
    writer.varint(moves.move(last_.count, now.count));
  }
  last_.zero_count = now.zero_count;
  last_.count = now.count;

  std::size_t moved = 0;
  std::size_t sparse_bytes = 0;
  std::size_t dense_bytes = 0;
  std::size_t gap = 0;
  each_bucket([&](double before, double count) {
    const std::uint64_t move = moves.move(before, count);
    dense_bytes += varint_bytes(move);
    if (move == 0) {
      ++gap;
      return;
    }
    ++moved;
    sparse_bytes += 1 + (gap >= kNibble ? varint_bytes(gap - kNibble) : 0) +
                    (move - 1 >= kNibble ? varint_bytes(move - 1 - kNibble) : 0);
    gap = 0;
  });
  if (varint_bytes(moved) + sparse_bytes >= dense_bytes) {
    each_bucket([&](double& before, double count) {
      writer.varint(moves.move(before, count));
      before = count;
    });
    return;
  }
  tag |= kSparse;
  writer.varint(moved);
  gap = 0;
  each_bucket([&](double& before, double count) {
    const std::uint64_t move = moves.move(before, count);
    before = count;
    if (move == 0) {
      ++gap;
      return;
    }
    const std::uint64_t step = move - 1;
    writer.fixed(
        static_cast<std::uint8_t>(std::min<std::uint64_t>(gap, kNibble) << 4 | std::min<std::uint64_t>(step, kNibble)));
    if (gap >= kNibble) writer.varint(gap - kNibble);
    if (step >= kNibble) writer.varint(step - kNibble);
    gap = 0;
  });
}

namespace {

bool get_changes(base::ByteReader& in, unsigned tag, bool integers, Histogram& h) {
  const Moves moves{integers, (tag & kFell) != 0};
  const std::uint64_t outside_before = integers ? count_outside(h) : 0;
  std::uint64_t outside = outside_before;
  if ((tag & kSameOutside) == 0) {
    h.zero_count = moves.moved(h.zero_count, in.varint());
    if (integers) {
      outside += static_cast<std::uint64_t>(in.signed_varint());
    } else {
      h.count = moves.moved(h.count, in.varint());
    }
  }
  const std::size_t positive = h.positive.size();
  const std::size_t buckets = positive + h.negative.size();
  const auto bucket = [&](std::size_t i) -> double& { return i < positive ? h.positive[i] : h.negative[i - positive]; };
  if ((tag & kSparse) != 0) {
    std::uint64_t left = in.varint();
    if (left > buckets) return false;
    for (std::size_t at = 0; left > 0; --left, ++at) {
      const unsigned pair = in.fixed<std::uint8_t>();
      std::uint64_t gap = pair >> 4;
      std::uint64_t step = pair & kNibble;
      if (gap == kNibble) gap += in.varint();
      if (step == kNibble) step += in.varint();
      if (!in.ok() || gap >= buckets - at) return false;
      at += gap;
      bucket(at) = moves.moved(bucket(at), step + 1);
    }
  } else {
    for (std::size_t i = 0; i < buckets; ++i) bucket(i) = moves.moved(bucket(i), in.varint());
  }
  if (!in.ok()) return false;
  if (!integers) return true;
  // Only counts that are integers go on from here.
  if (!has_integer_counts(h)) return false;
  h.count = 0;
  h.count = static_cast<double>(outside - count_outside(h));
  return has_integer_counts(h);
}

}  // namespace

bool decode_histogram_chunk(std::span<const std::byte> bytes, TimestampMs first_ms, std::size_t count, Columns& out) {
  base::ByteReader in(bytes);
  // Every sample after the first takes a tag.
  if (count == 0 || bytes.size() < count) return false;
  const std::size_t before = out.size();
  const bool had_histograms = !out.histograms.empty();
  out.histograms.resize(before);
  Histogram now;
  bool good = decode_histogram(in, now);
  bool integers = good && has_integer_counts(now);
  auto time = static_cast<std::uint64_t>(first_ms);
  std::uint64_t delta = 0;
  std::size_t cells = 0;
  for (std::size_t i = 0; good; ++i) {
    cells += histogram_cells(now);
    if (cells > 2 * kHistogramCellsMax) good = false;
    out.times.push_back(static_cast<TimestampMs>(time));
    out.values.push_back(no_number());
    out.histograms.push_back(std::make_shared<const Histogram>(now));
    if (i + 1 == count) break;
    const unsigned tag = in.fixed<std::uint8_t>();
    if ((tag & kSameSpacing) == 0) delta += static_cast<std::uint64_t>(in.signed_varint());
    time += delta;
    good = in.ok() && tag <= kTagMask;
    if (!good) break;
    if ((tag & kWhole) != 0) {
      good = decode_histogram(in, now);
      integers = good && has_integer_counts(now);
    } else {
      now.reset = static_cast<model::CounterReset>(tag >> kResetShift & kResetMask);
      good = get_sum(in, now.sum) && get_changes(in, tag, integers, now);
    }
  }
  if (good && in.ok() && in.at_end()) return true;
  out.times.resize(before);
  out.values.resize(before);
  out.histograms.resize(had_histograms ? before : 0);
  return false;
}

}  // namespace qd::store::metrics
