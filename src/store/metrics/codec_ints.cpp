// Bytes of a column of n integers x[0..n):
//
//   u8      bits 0-1 order, bit 2 a divisor follows, bit 3 outliers follow, bit 4 (with bit 3) their h have signs
//   u8      width w of a packed residual: 0 to 57, or 64
//   svarint x[0]
//   varint  g, the divisor (with bit 2; else 1)
//   svarint p, the slope of kLinear or the first step of kSteady (only with these)
//   svarint r, the reference (only when n > 1)
//   bits    (n-1) residuals u[1..n) of w bits
//   with bit 3: varint count, then for each outlier varint position (the first from 1, the others from the one before),
//           varint h, or with bit 4 svarint h: u at the position is raised by h << w
//
// x[i] = x[0] + g * k[i], k[0] = 0, and for i >= 1, modulo 2^64:
//   kFrame  k[i] = r + u[i]
//   kDelta  k[i] = k[i-1] + r + u[i]
//   kSteady k[i] = k[i-1] + s[i], s[i] = s[i-1] + r + u[i], s[0] = p
//   kLinear k[i] = p * i + r + u[i]
#include "store/metrics/codec_ints.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <utility>

#include "store/metrics/bitpack.h"
#include "store/metrics/bits.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_kernels.h"

namespace qd::store::metrics {
namespace {

enum Order : unsigned { kFrame = 0, kDelta = 1, kSteady = 2, kLinear = 3 };
constexpr unsigned kOrderMask = 3;
constexpr unsigned kHasDivisor = 4;
constexpr unsigned kHasOutliers = 8;
// Written always, and read both ways: before, a step far down took the ten bytes of a large unsigned h.
constexpr unsigned kSignedOutliers = 16;
constexpr unsigned kFlagsAll = 31;
// A frame this small holds nothing but its reference: no other order can beat it by much.
constexpr std::size_t kFrameBytesLeast = 4;

std::int64_t as_signed(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t magnitude(std::uint64_t value) {
  return as_signed(value) < 0 ? -value : value;
}

// The middle of nine spread elements: near most of them, whatever the few do.
std::uint64_t near_middle(std::span<const std::uint64_t> values) {
  std::array<std::int64_t, 9> some;
  for (std::size_t i = 0; i < some.size(); ++i) some[i] = as_signed(values[i * (values.size() - 1) / 8]);
  // The smallest network that brings the median of nine to its middle (A. W. Paeth, Median Finding on a 3x3 Grid,
  // Graphics Gems, 1990).
  constexpr std::uint8_t kNetwork[19][2] = {{1, 2}, {4, 5}, {7, 8}, {0, 1}, {3, 4}, {6, 7}, {1, 2},
                                            {4, 5}, {7, 8}, {0, 3}, {5, 8}, {4, 7}, {3, 6}, {1, 4},
                                            {2, 5}, {4, 7}, {4, 2}, {6, 4}, {4, 2}};
  for (const auto [low, high] : kNetwork) {
    const std::int64_t less = std::min(some[low], some[high]);
    some[high] = std::max(some[low], some[high]);
    some[low] = less;
  }
  return static_cast<std::uint64_t>(some[4]);
}

// What all steps have in common; 1 when that is nothing, or when there is no step.
std::uint64_t common_divisor(std::span<const std::uint64_t> steps) {
  std::uint64_t divisor = 0;
  std::uint64_t before = 0;
  for (const std::uint64_t step : steps) {
    if (step == std::exchange(before, step)) continue;
    divisor = std::gcd(divisor, magnitude(step));
    if (divisor == 1) break;
  }
  return divisor == 0 ? 1 : divisor;
}

}  // namespace

// Sorts the residuals by how many bits they are away from the middle, then tries to treat all beyond b bits as
// outliers.
IntsEncoder::Frame IntsEncoder::choose_frame(std::span<const std::uint64_t> residuals) const {
  const std::uint64_t first = residuals.front();
  if (std::ranges::all_of(residuals, [first](std::uint64_t residual) { return residual == first; })) {
    return {.reference = first, .width = 0, .bytes = varint_bytes(base::zigzag(as_signed(first)))};
  }
  struct Bucket {
    std::size_t count;
    std::int64_t least;
    std::int64_t most;
    void add(const Bucket& other) {
      count += other.count;
      least = std::min(least, other.least);
      most = std::max(most, other.most);
    }
  };
  constexpr Bucket kEmpty{0, INT64_MAX, INT64_MIN};
  // By bits, the widest two as one; of most columns few are used, and only those are ever touched.
  constexpr unsigned kBuckets = 64;
  std::array<Bucket, kBuckets> buckets;
  std::uint64_t used = 0;
  const std::uint64_t middle = near_middle(residuals);
  for (const std::uint64_t residual : residuals) {
    const std::int64_t off = as_signed(residual - middle);
    const unsigned b = std::min(static_cast<unsigned>(std::bit_width(base::zigzag(off))), kBuckets - 1);
    const std::uint64_t bit = std::uint64_t{1} << b;
    if ((used & bit) == 0) buckets[b] = kEmpty;
    used |= bit;
    buckets[b].add({1, off, off});
  }

  // A position, mostly in one byte, and a sign and what the width leaves over of the bits.
  const auto outliers_bytes = [&](std::uint64_t outside, unsigned width) {
    std::size_t bytes = 0;
    for (; outside != 0; outside &= outside - 1) {
      const auto b = static_cast<unsigned>(std::countr_zero(outside));
      bytes += buckets[b].count * (1 + (std::max(b, width + 1) - width + 6) / 7);
    }
    return bytes;
  };
  Frame best;
  Bucket inside = kEmpty;
  const auto consider = [&](std::uint64_t outside) {
    const std::uint64_t range =
        inside.count == 0 ? 0 : static_cast<std::uint64_t>(inside.most) - static_cast<std::uint64_t>(inside.least);
    const auto bits = static_cast<unsigned>(std::bit_width(range));
    const unsigned width = packed_width(aligned_ ? (bits + 7) / 8 * 8 : bits);
    std::size_t bytes = packed_bytes(residuals.size(), width);
    if (bytes >= best.bytes) return;
    bytes += outliers_bytes(outside, width);
    if (bytes >= best.bytes) return;
    best = {.reference = middle + (inside.count == 0 ? 0 : static_cast<std::uint64_t>(inside.least)),
            .width = width,
            .bytes = bytes};
  };
  if ((used & 1) == 0) consider(used);
  for (std::uint64_t left = used; left != 0;) {
    inside.add(buckets[static_cast<unsigned>(std::countr_zero(left))]);
    left &= left - 1;
    consider(left);
  }
  best.bytes += varint_bytes(base::zigzag(as_signed(best.reference)));
  return best;
}

void IntsEncoder::encode(std::span<const std::int64_t> ints, For what, std::string& out) {
  base::ByteWriter writer(out);
  const std::size_t n = ints.size();
  if (n == 1) {
    writer.fixed<std::uint8_t>(kFrame);
    writer.fixed<std::uint8_t>(0);
    writer.signed_varint(ints[0]);
    return;
  }

  steps_.resize(n - 1);
  for (std::size_t i = 1; i < n; ++i) {
    steps_[i - 1] = static_cast<std::uint64_t>(ints[i]) - static_cast<std::uint64_t>(ints[i - 1]);
  }
  const std::uint64_t divisor = common_divisor(steps_);
  if (divisor != 1) {
    for (std::uint64_t& step : steps_) step = static_cast<std::uint64_t>(as_signed(step) / as_signed(divisor));
  }

  Frame best;
  Order order = kFrame;
  std::uint64_t parameter = 0;
  const auto consider = [&](Order candidate, std::uint64_t its_parameter) {
    Frame frame = choose_frame(residuals_);
    if (candidate == kSteady || candidate == kLinear)
      frame.bytes += varint_bytes(base::zigzag(as_signed(its_parameter)));
    if (frame.bytes >= best.bytes) return;
    best = frame;
    order = candidate;
    parameter = its_parameter;
    best_.swap(residuals_);
    residuals_.resize(n - 1);
  };

  residuals_ = steps_;
  consider(kDelta, 0);
  if (best.bytes > kFrameBytesLeast && !only_steps_) {
    residuals_.resize(n - 1);
    const std::uint64_t total = std::accumulate(steps_.begin(), steps_.end(), std::uint64_t{0});
    if (what == For::kTimes) {
      const std::uint64_t slope =
          static_cast<std::uint64_t>(as_signed(total + (n - 1) / 2) / static_cast<std::int64_t>(n - 1));
      std::uint64_t off = 0;
      for (std::size_t i = 0; i < n - 1; ++i) residuals_[i] = off += steps_[i] - slope;
      consider(kLinear, slope);
    } else {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < n - 1; ++i) residuals_[i] = sum += steps_[i];
      consider(kFrame, 0);
      residuals_[0] = 0;
      for (std::size_t i = 1; i < n - 1; ++i) residuals_[i] = steps_[i] - steps_[i - 1];
      consider(kSteady, steps_[0]);
    }
  }

  std::size_t outliers = 0;
  for (std::uint64_t& residual : best_) {
    residual -= best.reference;
    outliers += best.width < 64 && residual >> best.width != 0;
  }
  writer.fixed(static_cast<std::uint8_t>(order | (divisor != 1 ? kHasDivisor : 0U) |
                                         (outliers > 0 ? kHasOutliers | kSignedOutliers : 0U)));
  writer.fixed(static_cast<std::uint8_t>(best.width));
  writer.signed_varint(ints[0]);
  if (divisor != 1) writer.varint(divisor);
  if (order == kSteady || order == kLinear) writer.signed_varint(as_signed(parameter));
  writer.signed_varint(as_signed(best.reference));
  pack_bits(best_, best.width, out);
  if (outliers == 0) return;
  writer.varint(outliers);
  std::size_t before = 0;
  for (std::size_t i = 0; i < best_.size(); ++i) {
    if (best_[i] >> best.width == 0) continue;
    writer.varint(i + 1 - before);
    writer.signed_varint(as_signed(best_[i]) >> best.width);
    before = i + 1;
  }
}

namespace {

// What stands before the residuals, and they, packed; `in` is behind them then, where outliers follow.
struct Column {
  unsigned flags = 0;
  unsigned width = 0;
  std::uint64_t first = 0;
  std::uint64_t g = 1;
  std::uint64_t p = 0;
  std::uint64_t r = 0;
  std::span<const std::byte> packed;

  unsigned order() const { return flags & kOrderMask; }
  bool has_outliers() const { return (flags & kHasOutliers) != 0; }
};

bool read_column(base::ByteReader& in, std::size_t n, Column& column) {
  column.flags = in.fixed<std::uint8_t>();
  column.width = in.fixed<std::uint8_t>();
  column.first = static_cast<std::uint64_t>(in.signed_varint());
  if ((column.flags & kHasDivisor) != 0) column.g = in.varint();
  const bool has_parameter = column.order() == kSteady || column.order() == kLinear;
  if (has_parameter) column.p = static_cast<std::uint64_t>(in.signed_varint());
  if (n > 1) column.r = static_cast<std::uint64_t>(in.signed_varint());
  if (!in.ok() || column.flags > kFlagsAll || !packable(column.width) || n > kBlockSamplesMax) return false;
  if (n > 1) column.packed = in.raw(packed_bytes(n - 1, column.width));
  return in.ok();
}

// Calls `take(at, raise)` for each outlier, which is u[at] and at most u[steps]; false when they do not read.
template <typename Take>
bool read_outliers(base::ByteReader& in, const Column& column, std::size_t steps, const Take& take) {
  std::uint64_t count = in.varint();
  std::uint64_t at = 0;
  if (count > steps || column.width == 64) return false;
  const bool has_sign = (column.flags & kSignedOutliers) != 0;
  for (; count > 0; --count) {
    const std::uint64_t gap = in.varint();
    const std::uint64_t coded = in.varint();
    if (!in.ok() || gap == 0 || gap > steps - at) return false;
    at += gap;
    take(at, (has_sign ? static_cast<std::uint64_t>(base::unzigzag(coded)) : coded) << column.width);
  }
  return in.ok();
}

// u[1 ... n), times the divisor.
bool read_residuals(base::ByteReader& in, const Column& column, std::span<std::uint64_t> u) {
  unpack_bits(column.packed, column.width, u);
  if (column.has_outliers() &&
      !read_outliers(in, column, u.size(), [u](std::size_t at, std::uint64_t raise) { u[at - 1] += raise; })) {
    return false;
  }
  const DecodeKernels& kernels = decode_kernels();
  if (column.g != 1) kernels.scale(u.data(), u.size(), column.g);
  if (column.order() == kSteady) {
    kernels.add_up(u.data(), u.size(), column.g * column.p, column.g * column.r,
                   reinterpret_cast<std::int64_t*>(u.data()));
  }
  return true;
}

// Whether all of x[1 ... n) are equal, and what to.
bool is_flat(const Column& column, std::uint64_t& value) {
  if (column.width != 0 || column.has_outliers()) return false;
  const std::uint64_t step = column.g * column.r;
  value = column.first + step;
  return column.order() == kFrame || (column.order() == kDelta && step == 0);
}

// Fills `out` with what follows on x, `step` apart, and gives the last.
std::uint64_t step_on(std::span<std::int64_t> out, std::uint64_t x, std::uint64_t step) {
  for (std::int64_t& next : out) next = as_signed(x += step);
  return x;
}

}  // namespace

bool decode_ints(base::ByteReader& in, std::span<std::int64_t> out) {
  const std::size_t n = out.size();
  Column column;
  if (!read_column(in, n, column)) return false;
  out[0] = as_signed(column.first);
  if (n == 1) return true;
  if (std::uint64_t flat = 0; is_flat(column, flat)) {
    std::fill(out.begin() + 1, out.end(), as_signed(flat));
    return true;
  }
  const std::uint64_t step = column.g * column.r;
  if (column.width == 0 && column.order() == kDelta) {
    // One step but where there is an outlier: times of a regular scrape.
    std::uint64_t x = column.first;
    std::size_t begin = 1;
    const auto go_on = [&](std::size_t end) {
      x = step_on(out.subspan(begin, end - begin), x, step);
      begin = end;
    };
    const bool read =
        !column.has_outliers() || read_outliers(in, column, n - 1, [&](std::size_t at, std::uint64_t raise) {
          go_on(at);
          x += column.g * raise;
        });
    go_on(n);
    return read;
  }
  std::array<std::uint64_t, kBlockSamplesMax> residuals;
  const auto u = std::span(residuals).first(n - 1);
  if (!read_residuals(in, column, u)) return false;
  const DecodeKernels& kernels = decode_kernels();
  switch (column.order()) {
    case kFrame:
      kernels.add_line(u.data(), u.size(), column.first + step, 0, out.data() + 1);
      break;
    case kDelta:
      kernels.add_up(u.data(), u.size(), column.first, step, out.data() + 1);
      break;
    case kSteady:
      kernels.add_up(u.data(), u.size(), column.first, 0, out.data() + 1);
      break;
    default:
      kernels.add_line(u.data(), u.size(), column.first + step, column.g * column.p, out.data() + 1);
      break;
  }
  return true;
}

bool decode_ints_divided(base::ByteReader& in, double power, std::span<double> out) {
  const std::size_t n = out.size();
  const DecodeKernels& kernels = decode_kernels();
  const auto divided = [&](std::uint64_t x) {
    const std::int64_t integer = as_signed(x);
    double value = 0;
    kernels.divide(&integer, 1, power, &value);
    return value;
  };
  Column column;
  if (!read_column(in, n, column)) return false;
  out[0] = divided(column.first);
  if (n == 1) return true;
  if (std::uint64_t flat = 0; is_flat(column, flat)) {
    std::fill(out.begin() + 1, out.end(), flat == column.first ? out[0] : divided(flat));
    return true;
  }
  const std::uint64_t step = column.g * column.r;
  if (column.width == 0 && column.order() == kDelta && step == 0) {
    // Steps only where there is an outlier: runs of equal values.
    std::uint64_t x = column.first;
    std::size_t begin = 0;
    const bool read = read_outliers(in, column, n - 1, [&](std::size_t at, std::uint64_t raise) {
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin), out.begin() + static_cast<std::ptrdiff_t>(at),
                divided(x));
      x += column.g * raise;
      begin = at;
    });
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), divided(x));
    return read;
  }
  std::array<std::uint64_t, kBlockSamplesMax> residuals;
  const auto u = std::span(residuals).first(n - 1);
  if (!read_residuals(in, column, u)) return false;
  switch (column.order()) {
    case kFrame:
      kernels.divide_line(u.data(), u.size(), column.first + step, 0, power, out.data() + 1);
      break;
    case kDelta:
      kernels.divide_sums(u.data(), u.size(), column.first, step, power, out.data() + 1);
      break;
    case kSteady:
      kernels.divide_sums(u.data(), u.size(), column.first, 0, power, out.data() + 1);
      break;
    default:
      kernels.divide_line(u.data(), u.size(), column.first + step, column.g * column.p, power, out.data() + 1);
      break;
  }
  return true;
}

}  // namespace qd::store::metrics
