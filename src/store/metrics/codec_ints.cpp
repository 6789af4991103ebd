// Bytes of a column of n integers x[0..n):
//
//   u8      bits 0-1 order, bit 2 a divisor follows, bit 3 outliers follow
//   u8      width w of a packed residual: 0 to 57, or 64
//   svarint x[0]
//   varint  g, the divisor (with bit 2; else 1)
//   svarint p, the slope of kLinear or the first step of kSteady (only with these)
//   svarint r, the reference (only when n > 1)
//   bits    (n-1) residuals u[1..n) of w bits
//   with bit 3: varint count, then for each outlier varint position (the first from 1, the others from the one before),
//           varint h: u at the position is raised by h << w
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

#include "store/metrics/bitpack.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_kernels.h"

namespace qd::store::metrics {
namespace {

enum Order : unsigned { kFrame = 0, kDelta = 1, kSteady = 2, kLinear = 3 };
constexpr unsigned kOrderMask = 3;
constexpr unsigned kHasDivisor = 4;
constexpr unsigned kHasOutliers = 8;
// A frame this small holds nothing but its reference: no other order can beat it by much.
constexpr std::size_t kFrameBytesLeast = 4;

std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

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
  std::nth_element(some.begin(), some.begin() + 4, some.end());
  return static_cast<std::uint64_t>(some[4]);
}

// What all steps have in common; 1 when that is nothing, or when there is no step.
std::uint64_t common_divisor(std::span<const std::uint64_t> steps) {
  std::uint64_t divisor = 0;
  for (const std::uint64_t step : steps) {
    if (step == 0) continue;
    divisor = std::gcd(divisor, magnitude(step));
    if (divisor == 1) break;
  }
  return divisor == 0 ? 1 : divisor;
}

}  // namespace

// Sorts the residuals by how many bits they are away from the middle, then tries to treat all beyond b bits as
// outliers.
IntsEncoder::Frame IntsEncoder::choose_frame(std::span<const std::uint64_t> residuals) const {
  struct Bucket {
    std::size_t count = 0;
    std::size_t below = 0;  // below the reference: as outliers they wrap around and take the longest varint
    std::int64_t least = INT64_MAX;
    std::int64_t most = INT64_MIN;
  };
  std::array<Bucket, 65> buckets;
  const std::uint64_t middle = near_middle(residuals);
  for (const std::uint64_t residual : residuals) {
    const std::int64_t off = as_signed(residual - middle);
    Bucket& bucket = buckets[static_cast<std::size_t>(std::bit_width(base::zigzag(off)))];
    ++bucket.count;
    bucket.below += off < 0;
    bucket.least = std::min(bucket.least, off);
    bucket.most = std::max(bucket.most, off);
  }

  std::size_t outlier_bytes_above = 0;  // of all buckets from the current one on
  const auto outlier_bytes = [](const Bucket& bucket, unsigned b) {
    return (bucket.count - bucket.below) * (2 + b / 7) + bucket.below * 10;
  };
  for (unsigned b = 0; b < buckets.size(); ++b) outlier_bytes_above += outlier_bytes(buckets[b], b);
  Frame best;
  Bucket inside;
  for (unsigned b = 0; b < buckets.size(); ++b) {
    const Bucket& bucket = buckets[b];
    outlier_bytes_above -= outlier_bytes(bucket, b);
    if (bucket.count == 0 && b != 0) continue;
    inside.count += bucket.count;
    inside.least = std::min(inside.least, bucket.least);
    inside.most = std::max(inside.most, bucket.most);
    const std::uint64_t range =
        inside.count == 0 ? 0 : static_cast<std::uint64_t>(inside.most) - static_cast<std::uint64_t>(inside.least);
    const auto bits = static_cast<unsigned>(std::bit_width(range));
    const unsigned width = packed_width(aligned_ ? (bits + 7) / 8 * 8 : bits);
    const std::size_t bytes = packed_bytes(residuals.size(), width) + outlier_bytes_above;
    if (bytes >= best.bytes) continue;
    best = {.reference = middle + (inside.count == 0 ? 0 : static_cast<std::uint64_t>(inside.least)),
            .width = width,
            .bytes = bytes};
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
  if (best.bytes > kFrameBytesLeast) {
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
  writer.fixed(
      static_cast<std::uint8_t>(order | (divisor != 1 ? kHasDivisor : 0U) | (outliers > 0 ? kHasOutliers : 0U)));
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
    const std::uint64_t high = best_[i] >> best.width;
    if (high == 0) continue;
    writer.varint(i + 1 - before);
    writer.varint(high);
    before = i + 1;
  }
}

bool decode_ints(base::ByteReader& in, std::span<std::int64_t> out) {
  const std::size_t n = out.size();
  const unsigned flags = in.fixed<std::uint8_t>();
  const unsigned width = in.fixed<std::uint8_t>();
  const auto first = static_cast<std::uint64_t>(in.signed_varint());
  const std::uint64_t g = (flags & kHasDivisor) != 0 ? in.varint() : 1;
  const unsigned order = flags & kOrderMask;
  const bool has_parameter = order == kSteady || order == kLinear;
  const std::uint64_t p = has_parameter ? static_cast<std::uint64_t>(in.signed_varint()) : 0;
  const std::uint64_t r = n > 1 ? static_cast<std::uint64_t>(in.signed_varint()) : 0;
  if (!in.ok() || flags > 15 || !packable(width) || n > kBlockSamplesMax) return false;
  out[0] = as_signed(first);
  if (n == 1) return true;

  std::array<std::uint64_t, kBlockSamplesMax> residuals;
  const std::size_t steps = n - 1;
  std::uint64_t* const u = residuals.data();
  const auto packed = in.raw(packed_bytes(steps, width));
  if (!in.ok()) return false;
  if (width == 0 && (flags & kHasOutliers) == 0) {
    if (order == kFrame) {
      std::fill(out.begin() + 1, out.end(), as_signed(first + g * r));
      return true;
    }
    if (order == kDelta) {
      for (std::size_t i = 1; i < n; ++i) out[i] = as_signed(first + g * r * i);
      return true;
    }
  }
  unpack_bits(packed, width, {u, steps});
  if ((flags & kHasOutliers) != 0) {
    std::uint64_t count = in.varint();
    std::uint64_t at = 0;
    if (count > steps || width == 64) return false;
    for (; count > 0; --count) {
      const std::uint64_t gap = in.varint();
      const std::uint64_t high = in.varint();
      if (!in.ok() || gap == 0 || gap > steps - at) return false;
      at += gap;
      u[at - 1] += high << width;
    }
  }

  const DecodeKernels& kernels = decode_kernels();
  if (g != 1) kernels.scale(u, steps, g);
  std::int64_t* const to = out.data() + 1;
  switch (order) {
    case kFrame:
      kernels.add_line(u, steps, first + g * r, 0, to);
      break;
    case kDelta:
      kernels.add_up(u, steps, first, g * r, to);
      break;
    case kSteady:
      kernels.add_up(u, steps, g * p, g * r, reinterpret_cast<std::int64_t*>(u));
      kernels.add_up(u, steps, first, 0, to);
      break;
    default:
      kernels.add_line(u, steps, first + g * r, g * p, to);
      break;
  }
  return true;
}

}  // namespace qd::store::metrics
