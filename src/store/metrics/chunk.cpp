#include "store/metrics/chunk.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/bytes.h"

namespace qd::store::metrics {
namespace {

// Tag byte: the top bit says that the time is as far from the last one as that was from the one before; the rest says
// what the value is.
constexpr unsigned kSameDelta = 0x80;
constexpr unsigned kSameValue = 0;
constexpr unsigned kSmallDeltaMax = 83;    // 1..83: the mantissa moved by this, zigzag
constexpr unsigned kDeltaBytesFirst = 84;  // 84..90: it moved by 1..7 bytes, zigzag
constexpr unsigned kXorFirst = 91;         // 91..126: 1..8 bytes of the XOR with the last value, and where they stand
constexpr unsigned kNewScale = 127;        // scale byte and mantissa follow

constexpr int kScaleMask = 0x0f;
constexpr int kFailureStep = 0x10;
constexpr int kFailuresMax = 0x30;  // three values that were no decimal: this chunk looks for no other scale

// The codes for `length` bytes begin here; the number of zero bytes below them is added.
constexpr std::array<unsigned, 9> kXorCode = [] {
  std::array<unsigned, 9> first{};
  unsigned code = kXorFirst;
  for (unsigned length = 1; length <= 8; ++length) {
    first[length] = code;
    code += 9 - length;
  }
  return first;
}();
struct XorShape {
  std::uint8_t length;
  std::uint8_t shift_bits;
};
constexpr std::array<XorShape, kNewScale - kXorFirst> kXorShapes = [] {
  std::array<XorShape, kNewScale - kXorFirst> shapes{};
  std::size_t i = 0;
  for (unsigned length = 1; length <= 8; ++length) {
    for (unsigned zeros = 0; zeros <= 8 - length; ++zeros) {
      shapes[i++] = {static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(zeros * 8)};
    }
  }
  return shapes;
}();

std::byte* put_varint(std::byte* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::byte>(value);
  return out;
}

std::byte* put_low_bytes(std::byte* out, std::uint64_t value, unsigned n) {
  for (unsigned i = 0; i < n; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
  return out + n;
}

std::uint64_t get_low_bytes(const std::byte* at, unsigned n) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return n == 8 ? value : value & ((1ULL << (8 * n)) - 1);
}

unsigned byte_count(std::uint64_t value) {
  return (static_cast<unsigned>(std::bit_width(value)) + 7) / 8;
}

std::uint64_t get_varint(const std::byte*& at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(*at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

// Finds the scale that fits `value`, from the present one on. False when there is none worth having.
bool find_scale(ChunkState& state, double value, std::int64_t& mantissa) {
  const int scale = state.scale & kScaleMask;
  if (as_decimal(value, scale, mantissa)) return true;
  if (state.scale >= kFailuresMax || !(value < 1e12 && value > -1e12)) return false;
  for (int next = scale + 1; next <= kDecimalScaleMax; ++next) {
    if (as_decimal(value, next, mantissa)) {
      state.scale = static_cast<std::uint8_t>(next);
      return true;
    }
  }
  state.scale = static_cast<std::uint8_t>(state.scale + kFailureStep);
  return false;
}

}  // namespace

std::size_t begin_chunk(ChunkState& state, model::TimestampMs time_ms, double value, std::byte* out) {
  state = {.time_ms = time_ms, .delta_ms = 0, .value = value, .mantissa = 0, .scale = 0};
  std::int64_t mantissa = 0;
  if (as_decimal(value, 0, mantissa)) state.mantissa = mantissa;
  std::memcpy(out, &value, sizeof value);
  return sizeof value;
}

std::size_t extend_chunk(ChunkState& state, model::TimestampMs time_ms, double value, std::byte* out) {
  std::byte* at = out + 1;
  unsigned tag = 0;
  const auto delta =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(time_ms) - static_cast<std::uint64_t>(state.time_ms));
  if (delta == state.delta_ms) {
    tag = kSameDelta;
  } else {
    const auto change = static_cast<std::uint64_t>(delta) - static_cast<std::uint64_t>(state.delta_ms);
    at = put_varint(at, base::zigzag(static_cast<std::int64_t>(change)));
    state.delta_ms = delta;
  }
  state.time_ms = time_ms;

  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto last_bits = std::bit_cast<std::uint64_t>(state.value);
  if (bits == last_bits) {
    *out = static_cast<std::byte>(tag | kSameValue);
    return static_cast<std::size_t>(at - out);
  }
  const int scale_before = state.scale & kScaleMask;
  std::int64_t mantissa = 0;
  if (find_scale(state, value, mantissa)) {
    if ((state.scale & kScaleMask) != scale_before) {
      tag |= kNewScale;
      *at++ = static_cast<std::byte>(state.scale & kScaleMask);
      at = put_varint(at, base::zigzag(mantissa));
    } else if (const std::uint64_t moved = base::zigzag(mantissa - state.mantissa);
               moved <= kSmallDeltaMax && moved != 0) {
      tag |= static_cast<unsigned>(moved);
    } else {
      const unsigned n = moved == 0 ? 1 : byte_count(moved);
      tag |= kDeltaBytesFirst + n - 1;
      at = put_low_bytes(at, moved, n);
    }
    state.mantissa = mantissa;
  } else {
    const std::uint64_t changed = bits ^ last_bits;
    const unsigned zeros = static_cast<unsigned>(std::countr_zero(changed)) / 8;
    const unsigned n = byte_count(changed) - zeros;
    tag |= kXorCode[n] + zeros;
    at = put_low_bytes(at, changed >> (8 * zeros), n);
  }
  state.value = value;
  *out = static_cast<std::byte>(tag);
  return static_cast<std::size_t>(at - out);
}

bool decode_chunk(std::span<const std::byte> bytes, model::TimestampMs first_ms, std::size_t count, Columns& out) {
  // Every sample after the first takes a byte.
  if (count == 0 || bytes.size() > kChunkBytesMax || bytes.size() < sizeof(double) + count - 1) return false;
  // Zeros behind the end, so that a sample may be read without asking whether all of it is there.
  std::array<std::byte, kChunkBytesMax + 2 * kChunkSampleBytesMax> padded;
  std::memcpy(padded.data(), bytes.data(), bytes.size());
  std::memset(padded.data() + bytes.size(), 0, padded.size() - kChunkBytesMax);
  const std::byte* at = padded.data();
  const std::byte* const end = at + bytes.size();

  const std::size_t before = out.size();
  out.times.resize(before + count);
  out.values.resize(before + count);
  model::TimestampMs* times = out.times.data() + before;
  double* values = out.values.data() + before;

  double value = 0;
  std::memcpy(&value, at, sizeof value);
  at += sizeof value;
  std::int64_t mantissa = 0;
  if (!as_decimal(value, 0, mantissa)) mantissa = 0;
  double divisor = 1;
  auto time = static_cast<std::uint64_t>(first_ms);
  std::uint64_t delta = 0;
  times[0] = first_ms;
  values[0] = value;
  for (std::size_t i = 1; i < count; ++i) {
    if (at >= end) break;
    const auto tag = std::to_integer<unsigned>(*at++);
    if ((tag & kSameDelta) == 0) delta += static_cast<std::uint64_t>(base::unzigzag(get_varint(at)));
    time += delta;
    const unsigned code = tag & ~kSameDelta;
    if (code <= kSmallDeltaMax) {
      if (code != kSameValue) {
        mantissa = static_cast<std::int64_t>(static_cast<std::uint64_t>(mantissa) +
                                             static_cast<std::uint64_t>(base::unzigzag(code)));
        value = static_cast<double>(mantissa) / divisor;
      }
    } else if (code < kXorFirst) {
      const unsigned n = code - kDeltaBytesFirst + 1;
      mantissa = static_cast<std::int64_t>(static_cast<std::uint64_t>(mantissa) +
                                           static_cast<std::uint64_t>(base::unzigzag(get_low_bytes(at, n))));
      at += n;
      value = static_cast<double>(mantissa) / divisor;
    } else if (code < kNewScale) {
      const XorShape shape = kXorShapes[code - kXorFirst];
      const std::uint64_t changed = get_low_bytes(at, shape.length) << shape.shift_bits;
      at += shape.length;
      value = std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) ^ changed);
    } else {
      const auto scale = std::to_integer<int>(*at++);
      if (scale > kDecimalScaleMax) break;
      divisor = kPowersOfTen[scale];
      mantissa = base::unzigzag(get_varint(at));
      value = static_cast<double>(mantissa) / divisor;
    }
    times[i] = static_cast<model::TimestampMs>(time);
    values[i] = value;
    if (i + 1 == count && at == end) return true;
  }
  if (count == 1 && at == end) return true;
  out.times.resize(before);
  out.values.resize(before);
  return false;
}

}  // namespace qd::store::metrics
