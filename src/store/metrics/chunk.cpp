#include "store/metrics/chunk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "base/bytes.h"
#include "store/metrics/bits.h"
#include "store/metrics/codec_kernels.h"

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

// What the codes below kXorFirst move the mantissa by: `small`, and what `mask` leaves of the bytes that follow.
struct Move {
  std::uint64_t mask;
  std::uint32_t small;
  std::uint32_t bytes;
};
constexpr std::array<Move, kXorFirst> kMoves = [] {
  std::array<Move, kXorFirst> moves{};
  for (unsigned code = 0; code < kDeltaBytesFirst; ++code) moves[code].small = code;
  for (unsigned code = kDeltaBytesFirst; code < kXorFirst; ++code) {
    moves[code].bytes = code - kDeltaBytesFirst + 1;
    moves[code].mask = (std::uint64_t{1} << (8 * moves[code].bytes)) - 1;
  }
  return moves;
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

namespace {

// Zeros behind the end, so that a sample may be read without asking whether all of it is there.
using Padded = std::array<std::byte, kChunkBytesMax + 2 * kChunkSampleBytesMax>;

// What changes with every sample, and is kept in registers.
struct Hand {
  const std::byte* at;
  std::int64_t mantissa;
};

// A chunk on its way. Times that are as far apart as those before, and values that are mantissa / divisor, are noted
// and made many at a time.
class Decoding {
 public:
  Hand begin(const EncodedChunk& chunk, model::TimestampMs* times, double* values) {
    std::memcpy(padded_.data(), chunk.bytes.data(), chunk.bytes.size());
    std::memset(padded_.data() + chunk.bytes.size(), 0, padded_.size() - kChunkBytesMax);
    end = padded_.data() + chunk.bytes.size();
    times_ = times;
    values_ = values;
    time_ = static_cast<std::uint64_t>(chunk.first_ms);
    delta_ = 0;
    divisor_ = 1;
    times_made_ = values_made_ = 1;
    double value = 0;
    std::memcpy(&value, padded_.data(), sizeof value);
    Hand hand{padded_.data() + sizeof value, 0};
    const bool decimal = as_decimal(value, 0, hand.mantissa);
    common_codes = decimal ? kXorFirst : 0;
    if (!decimal) hand.mantissa = 0;
    times_[0] = chunk.first_ms;
    values_[0] = value;
    return hand;
  }

  // The time of sample i is not as far from the last one as that was from the one before.
  Hand turn(Hand hand, std::size_t i) {
    make_times(i);
    delta_ += static_cast<std::uint64_t>(base::unzigzag(get_varint(hand.at)));
    return hand;
  }

  // A sample whose value does not follow from the mantissa before it. `at` becomes null where there is no such code.
  Hand rare(Hand hand, unsigned code, std::size_t i) {
    make_values(i);
    values_made_ = i + 1;
    if (code < kXorFirst) {
      // The last value was no decimal.
      if (code == kSameValue) {
        values_[i] = values_[i - 1];
        return hand;
      }
      hand = move(hand, code);
      common_codes = kXorFirst;
      values_[i] = static_cast<double>(hand.mantissa) / divisor_;
    } else if (code < kNewScale) {
      const XorShape shape = kXorShapes[code - kXorFirst];
      const std::uint64_t changed = get_low_bytes(hand.at, shape.length) << shape.shift_bits;
      hand.at += shape.length;
      values_[i] = std::bit_cast<double>(std::bit_cast<std::uint64_t>(values_[i - 1]) ^ changed);
      common_codes = 0;
    } else {
      const auto scale = std::to_integer<int>(*hand.at++);
      if (scale > kDecimalScaleMax) return {nullptr, 0};
      divisor_ = kPowersOfTen[scale];
      hand.mantissa = base::unzigzag(get_varint(hand.at));
      common_codes = kXorFirst;
      values_[i] = static_cast<double>(hand.mantissa) / divisor_;
    }
    return hand;
  }

  [[gnu::always_inline]] static Hand move(Hand hand, unsigned code) {
    // Whether one of these codes is followed by bytes nobody can guess, so no branch asks.
    const Move& by = kMoves[code];
    std::uint64_t moved = 0;
    std::memcpy(&moved, hand.at, sizeof moved);
    moved = (moved & by.mask) + by.small;
    return {hand.at + by.bytes, static_cast<std::int64_t>(static_cast<std::uint64_t>(hand.mantissa) +
                                                          static_cast<std::uint64_t>(base::unzigzag(moved)))};
  }

  // All samples are read.
  void finish(std::size_t count) {
    make_times(count);
    make_values(count);
  }

  const std::byte* end = nullptr;
  unsigned common_codes = 0;  // below it a code moves the mantissa, and the value is mantissa / divisor
  std::array<std::int64_t, kChunkBytesMax> mantissas;

 private:
  void make_times(std::size_t before) {
    for (std::size_t i = times_made_; i < before; ++i) {
      time_ += delta_;
      times_[i] = static_cast<model::TimestampMs>(time_);
    }
    times_made_ = std::max(times_made_, before);
  }
  void make_values(std::size_t before) {
    if (values_made_ < before)
      decode_kernels().divide(mantissas.data() + values_made_, before - values_made_, divisor_, values_ + values_made_);
  }

  Padded padded_;
  model::TimestampMs* times_ = nullptr;
  double* values_ = nullptr;
  std::uint64_t time_ = 0;
  std::uint64_t delta_ = 0;
  double divisor_ = 1;
  std::size_t times_made_ = 1;
  std::size_t values_made_ = 1;
};

// Sample i. False when the chunk ends before.
[[gnu::always_inline]] inline bool decode_next(Decoding& chunk, Hand& hand, std::size_t i) {
  if (hand.at >= chunk.end) return false;
  const auto tag = std::to_integer<unsigned>(*hand.at);
  Hand next{hand.at + 1, hand.mantissa};
  if ((tag & kSameDelta) == 0) [[unlikely]]
    next = chunk.turn(next, i);
  const unsigned code = tag & ~kSameDelta;
  if (code < chunk.common_codes) [[likely]] {
    hand = Decoding::move(next, code);
    chunk.mantissas[i] = hand.mantissa;
    return true;
  }
  hand = chunk.rare(next, code, i);
  return hand.at != nullptr;
}

// Chunks of which N are read at a time, a sample of each in turn: where a sample ends tells where the next begins, so a
// CPU waits for each, and meanwhile goes on with the others. The samples of `chunks` stand one after the other.
template <std::size_t N>
bool decode_side_by_side(std::span<const EncodedChunk> chunks, model::TimestampMs* times, double* values) {
  struct Lane {
    std::size_t next;  // sample
    std::size_t count;
  };
  std::array<Decoding, N> decodings;
  std::array<Hand, N> hands;
  std::array<Lane, N> lanes;
  std::size_t begun = 0;
  const auto begin = [&](std::size_t c) {
    const EncodedChunk& chunk = chunks[begun++];
    hands[c] = decodings[c].begin(chunk, times, values);
    lanes[c] = {1, chunk.count};
    times += chunk.count;
    values += chunk.count;
  };
  const auto finish = [&](std::size_t c) {
    decodings[c].finish(lanes[c].count);
    return hands[c].at == decodings[c].end;
  };

  for (std::size_t c = 0; c < N; ++c) begin(c);
  for (;;) {
    std::size_t together = lanes[0].count - lanes[0].next;
    for (const Lane& lane : lanes) together = std::min(together, lane.count - lane.next);
    for (std::size_t step = 0; step < together; ++step) {
      bool good = true;
#pragma clang loop unroll(full)
      for (std::size_t c = 0; c < N; ++c) good &= decode_next(decodings[c], hands[c], lanes[c].next + step);
      if (!good) return false;
    }
    for (std::size_t c = 0; c < N; ++c) {
      lanes[c].next += together;
      if (lanes[c].next < lanes[c].count) continue;
      if (begun == chunks.size()) {
        // Too few are left to go on like this.
        for (std::size_t rest = c + 1; rest < N; ++rest) lanes[rest].next += together;
        for (std::size_t rest = 0; rest < N; ++rest) {
          for (std::size_t i = lanes[rest].next; i < lanes[rest].count; ++i) {
            if (!decode_next(decodings[rest], hands[rest], i)) return false;
          }
          if (!finish(rest)) return false;
        }
        return true;
      }
      if (!finish(c)) return false;
      begin(c);
    }
  }
}

}  // namespace

bool decode_chunks(std::span<const EncodedChunk> chunks, Columns& out) {
  constexpr std::size_t kLanes = 4;
  const std::size_t before = out.size();
  std::size_t samples = 0;
  for (const EncodedChunk& chunk : chunks) {
    // Every sample after the first takes a byte.
    if (chunk.count == 0 || chunk.bytes.size() > kChunkBytesMax ||
        chunk.bytes.size() < sizeof(double) + chunk.count - 1)
      return false;
    samples += chunk.count;
  }
  if (chunks.empty()) return true;
  out.times.resize(before + samples);
  out.values.resize(before + samples);
  model::TimestampMs* times = out.times.data() + before;
  double* values = out.values.data() + before;
  bool good = true;
  if (chunks.size() >= kLanes) {
    good = decode_side_by_side<kLanes>(chunks, times, values);
  } else {
    for (std::size_t i = 0; good && i < chunks.size(); ++i) {
      good = decode_side_by_side<1>(chunks.subspan(i, 1), times, values);
      times += chunks[i].count;
      values += chunks[i].count;
    }
  }
  if (!good) {
    out.times.resize(before);
    out.values.resize(before);
  }
  return good;
}

bool decode_chunk(std::span<const std::byte> bytes, model::TimestampMs first_ms, std::size_t count, Columns& out) {
  const EncodedChunk chunk{bytes, first_ms, count};
  return decode_chunks(std::span(&chunk, 1), out);
}

}  // namespace qd::store::metrics
