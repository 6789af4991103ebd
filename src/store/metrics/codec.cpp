// A time block is an integer column (codec_ints.cpp). A value block begins with one byte: bits 0-2 the ValueCoding,
// bits 3-6 the decimal places (kDecimal, kDecimalAndUlp; else 0), bit 7 whether exceptions stand at the end (kDecimal
// only).
//
//   kDecimal        column of d; value = d / 10^places. Exceptions: varint count, then for each varint position (the
//                   first from 0, the others from the one before, which is at least 1), u64 the bits of the value
//   kDecimalAndUlp  column of d, column of u; the bits of the value are those of d / 10^places, plus u
//   kBits           column of the bits
//   kXor            codec_xor.cpp
//   kPlain          8 bytes a value
//   kZstd           varint size of the block inside, its zstd frame
#include "store/metrics/codec.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "store/metrics/bits.h"
#include "store/metrics/codec_decimal.h"
#include "store/metrics/codec_ints.h"
#include "store/metrics/codec_kernels.h"
#include "store/metrics/codec_xor.h"

namespace qd::store::metrics {
namespace {

constexpr unsigned kCodingMask = 7;
constexpr unsigned kPlacesShift = 3;
constexpr unsigned kPlacesMask = 15;
constexpr unsigned kHasExceptions = 0x80;
constexpr std::size_t kExceptionBits = 80;
constexpr int kZstdLevel = 9;
constexpr int kRepeatBytesMin = 7;
// A compressed block is taken when it has at most seven tenths of the bytes: those between seven and nine tenths would
// save a fortieth of a host's segment and take a quarter of the time of reading it.
constexpr std::size_t kWorth = 7;
constexpr std::size_t kWorthOf = 10;
// Nothing much can be won of less.
constexpr std::size_t kWorthBytes = 48;
// A plain block, and then some.
constexpr std::size_t kBlockBytesMax = kBlockSamplesMax * 20;
// Below so many bits a value the first coding that fits is good enough not to try the others.
constexpr std::size_t kGoodBits = 12;

struct Exception {
  std::uint32_t position;
  std::uint64_t bits;
};

std::uint8_t block_head(ValueCoding coding, unsigned places, bool exceptions) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(coding) | places << kPlacesShift |
                                   (exceptions ? kHasExceptions : 0U));
}

// Of a signed step, either way.
std::size_t bits_needed(std::uint64_t step) {
  return static_cast<std::size_t>(std::bit_width(base::zigzag(static_cast<std::int64_t>(step))));
}

std::unexpected<base::Error> damaged(const char* what) {
  return base::fail(base::ErrorCode::kCorrupt, what);
}

}  // namespace

struct BlockEncoder::Scratch {
  struct FreeCompressor {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  // Made once something is to be compressed.
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> compressor;
  Effort effort = Effort::kFull;
  IntsEncoder ints;
  std::vector<std::int64_t> column;
  std::vector<std::int64_t> ulps;
  std::vector<double> nearest;
  std::vector<Exception> exceptions;
  std::string best;
  std::string candidate;

  void keep_smaller() {
    if (best.empty() || candidate.size() < best.size()) best.swap(candidate);
    candidate.clear();
  }
  void try_decimal(std::span<const double> values);
  void try_bits(std::span<const double> values);
  void try_decimal_and_ulp(std::span<const double> values);
  void try_xor(std::span<const double> values);
  void try_plain(std::span<const double> values);
  void try_zstd(std::span<const double> values);
  enum class Look : std::uint8_t { kForRepeats, kForFrequencies };
  void compress(const std::string& inside, Look look);
};

void BlockEncoder::Scratch::try_decimal(std::span<const double> values) {
  const DecimalSurvey survey = survey_decimals(values);
  const unsigned places = survey.best_places(kExceptionBits);
  if (survey.needing_more(places) > values.size() / 4) return;
  column.resize(values.size());
  exceptions.clear();
  std::int64_t before = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t decimal = 0;
    if (as_decimal(values[i], places, decimal)) {
      // Exceptions at the front would make a step of the whole first value.
      if (exceptions.size() == i) std::fill_n(column.begin(), i, decimal);
      before = decimal;
    } else {
      exceptions.push_back({static_cast<std::uint32_t>(i), bits_of(values[i])});
    }
    column[i] = before;
  }
  base::ByteWriter writer(candidate);
  writer.fixed(block_head(ValueCoding::kDecimal, places, !exceptions.empty()));
  ints.encode(column, IntsEncoder::For::kValues, candidate);
  if (!exceptions.empty()) {
    writer.varint(exceptions.size());
    std::uint32_t last = 0;
    for (const Exception& exception : exceptions) {
      writer.varint(exception.position - last);
      writer.fixed(exception.bits);
      last = exception.position;
    }
  }
  keep_smaller();
}

void BlockEncoder::Scratch::try_bits(std::span<const double> values) {
  column.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) column[i] = std::bit_cast<std::int64_t>(values[i]);
  base::ByteWriter(candidate).fixed(block_head(ValueCoding::kBits, 0, false));
  ints.encode(column, IntsEncoder::For::kValues, candidate);
  keep_smaller();
}

void BlockEncoder::Scratch::try_decimal_and_ulp(std::span<const double> values) {
  // Which number of places leaves the least, judged by steps at sixteen places of the block.
  constexpr std::size_t kTries = 16;
  if (values.size() < 4) return;
  unsigned best_places = 0;
  std::size_t best_bits = 64;
  for (unsigned places = 0; places <= kDecimalExponentMax; ++places) {
    std::size_t step_bits = 0;
    std::size_t ulp_bits = 0;
    std::size_t misses = 0;
    for (std::size_t t = 0; t < kTries; ++t) {
      const std::size_t i = 1 + t * (values.size() - 2) / (kTries - 1);
      std::array<std::int64_t, 2> decimals{};
      std::array<double, 2> exact{};
      if (!nearest_decimal(values[i - 1], places, decimals[0]) || !nearest_decimal(values[i], places, decimals[1])) {
        ++misses;
        continue;
      }
      from_decimals(decimals, places, exact);
      const std::uint64_t ulp_step =
          (bits_of(values[i]) - bits_of(exact[1])) - (bits_of(values[i - 1]) - bits_of(exact[0]));
      step_bits = std::max(step_bits, bits_needed(static_cast<std::uint64_t>(decimals[1] - decimals[0])));
      ulp_bits = std::max(ulp_bits, bits_needed(ulp_step));
    }
    if (misses > kTries / 4) break;
    if (step_bits + ulp_bits < best_bits) {
      best_bits = step_bits + ulp_bits;
      best_places = places;
    }
  }
  if (best_bits * values.size() / 8 > best.size()) return;

  column.resize(values.size());
  ulps.resize(values.size());
  nearest.resize(values.size());
  std::int64_t before = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    nearest_decimal(values[i], best_places, before);
    column[i] = before;
  }
  from_decimals(column, best_places, nearest);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ulps[i] = static_cast<std::int64_t>(bits_of(values[i]) - bits_of(nearest[i]));
  }
  base::ByteWriter(candidate).fixed(block_head(ValueCoding::kDecimalAndUlp, best_places, false));
  ints.encode(column, IntsEncoder::For::kValues, candidate);
  ints.encode(ulps, IntsEncoder::For::kValues, candidate);
  keep_smaller();
}

void BlockEncoder::Scratch::try_xor(std::span<const double> values) {
  base::ByteWriter(candidate).fixed(block_head(ValueCoding::kXor, 0, false));
  encode_xor(values, candidate);
  keep_smaller();
}

void BlockEncoder::Scratch::try_plain(std::span<const double> values) {
  if (best.size() <= 1 + values.size_bytes()) return;
  base::ByteWriter writer(candidate);
  writer.fixed(block_head(ValueCoding::kPlain, 0, false));
  writer.raw(std::as_bytes(values));
  keep_smaller();
}

void BlockEncoder::Scratch::try_zstd(std::span<const double> values) {
  // A column of integers in whole bytes, of which zstd finds out how often each comes: packed bits hide that. And the
  // plain values, in which it finds repeats that no column has.
  if (best.size() < kWorthBytes) return;
  const std::string smallest = best;
  const auto coding = static_cast<ValueCoding>(static_cast<unsigned char>(smallest[0]) & kCodingMask);
  std::string inside;
  if (coding == ValueCoding::kDecimal || coding == ValueCoding::kDecimalAndUlp || coding == ValueCoding::kBits) {
    best.clear();
    ints.align_to_bytes(true);
    if (coding == ValueCoding::kDecimal) try_decimal(values);
    if (coding == ValueCoding::kBits) try_bits(values);
    if (coding == ValueCoding::kDecimalAndUlp) {
      best.assign(values.size_bytes() * 2, '\0');  // it gives up where it finds nothing smaller
      try_decimal_and_ulp(values);
    }
    ints.align_to_bytes(false);
    inside = best;
  }
  std::string plain;
  base::ByteWriter plain_writer(plain);
  plain_writer.fixed(block_head(ValueCoding::kPlain, 0, false));
  plain_writer.raw(std::as_bytes(values));
  best.clear();
  compress(smallest, Look::kForRepeats);
  compress(plain, Look::kForRepeats);
  if (!inside.empty() && inside.size() <= kBlockBytesMax) compress(inside, Look::kForFrequencies);
  // It costs whoever reads it: little is not worth it.
  if (best.empty() || best.size() * kWorthOf > smallest.size() * kWorth) best = smallest;
}

// One block inside of another, where that is the smallest of those.
void BlockEncoder::Scratch::compress(const std::string& inside, Look look) {
  // Short repeats among residuals are chance: told as such they take more than their bytes do.
  const bool repeats = look == Look::kForRepeats;
  ZSTD_CCtx_reset(compressor.get(), ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_compressionLevel, repeats ? kZstdLevel : 1);
  if (!repeats) {
    ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_strategy, ZSTD_fast);
    ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_minMatch, kRepeatBytesMin);
  }
  base::ByteWriter writer(candidate);
  writer.fixed(block_head(ValueCoding::kZstd, 0, false));
  writer.varint(inside.size());
  const std::size_t begin = candidate.size();
  candidate.resize(begin + ZSTD_compressBound(inside.size()));
  const std::size_t size = ZSTD_compress2(compressor.get(), candidate.data() + begin, candidate.size() - begin,
                                          inside.data(), inside.size());
  if (ZSTD_isError(size) != 0) {
    candidate.clear();
    return;
  }
  candidate.resize(begin + size);
  keep_smaller();
}

BlockEncoder::BlockEncoder(Effort effort) : scratch_(std::make_unique<Scratch>()) {
  scratch_->effort = effort;
  if (effort == Effort::kQuick) scratch_->ints.only_steps();
}
BlockEncoder::~BlockEncoder() = default;

void BlockEncoder::encode_times(std::span<const model::TimestampMs> times, std::string& out) {
  QD_ASSERT(!times.empty() && times.size() <= kBlockSamplesMax);
  scratch_->ints.encode(times, IntsEncoder::For::kTimes, out);
}

void BlockEncoder::encode_values(std::span<const double> values, bool compress, std::string& out) {
  QD_ASSERT(!values.empty() && values.size() <= kBlockSamplesMax);
  Scratch& s = *scratch_;
  s.best.clear();
  s.candidate.clear();
  s.try_decimal(values);
  const std::size_t good = 16 + values.size() * kGoodBits / 8;
  const bool quick = s.effort == Effort::kQuick;
  if (s.best.empty() && quick) s.try_xor(values);
  if (!quick && (s.best.empty() || s.best.size() > good)) {
    s.try_bits(values);
    if (s.best.size() > good) {
      s.try_decimal_and_ulp(values);
      s.try_xor(values);
      s.try_plain(values);
    }
  }
  if (compress) {
    if (s.compressor == nullptr) s.compressor.reset(ZSTD_createCCtx());
    QD_ASSERT(s.compressor != nullptr, "out of memory");
    s.try_zstd(values);
  }
  out.append(s.best);
}

base::Status decode_times(std::span<const std::byte> block, std::span<model::TimestampMs> out) {
  base::ByteReader in(block);
  if (!decode_ints(in, out) || !in.ok()) return damaged("a block of times does not read as one");
  if (!decode_kernels().rises(out.data(), out.size())) return damaged("the times of a block do not rise");
  return {};
}

namespace {

bool decode_decimal(base::ByteReader& in, unsigned places, bool exceptions, std::span<double> out) {
  if (!decode_ints_divided(in, power_of_ten(places), out)) return false;
  if (!exceptions) return true;
  std::uint64_t count = in.varint();
  std::uint64_t at = 0;
  if (count > out.size()) return false;
  for (; count > 0; --count) {
    const std::uint64_t gap = in.varint();
    const auto bits = in.fixed<std::uint64_t>();
    if (!in.ok() || gap >= out.size() - at) return false;
    at += gap;
    out[at] = std::bit_cast<double>(bits);
  }
  return true;
}

bool decode_decimal_and_ulp(base::ByteReader& in, unsigned places, std::span<double> out) {
  if (!decode_ints_divided(in, power_of_ten(places), out)) return false;
  std::array<std::int64_t, kBlockSamplesMax> column;
  const auto ints = std::span(column).first(out.size());
  if (!decode_ints(in, ints)) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = std::bit_cast<double>(bits_of(out[i]) + static_cast<std::uint64_t>(ints[i]));
  }
  return true;
}

bool decode_bits(base::ByteReader& in, std::span<double> out) {
  std::array<std::int64_t, kBlockSamplesMax> column;
  if (!decode_ints(in, std::span(column).first(out.size()))) return false;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::bit_cast<double>(column[i]);
  return true;
}

// A context is a hundred times larger than a block, so they are kept, as many as were needed at once. Not one a thread:
// to note what a thread has to destroy, the C library waits for whoever loads a library, which may be a driver that
// hangs.
class Decompressors {
 public:
  // How many bytes it gave, or an error of zstd.
  std::size_t decompress(std::span<const std::byte> frame, std::span<std::byte> out) QD_EXCLUDES(mutex_) {
    Context context = take();
    const std::size_t got = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
    base::MutexLock lock(mutex_);
    idle_.push_back(std::move(context));
    return got;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  using Context = std::unique_ptr<ZSTD_DCtx, Free>;

  Context take() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (!idle_.empty()) {
        Context context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    Context made(ZSTD_createDCtx());
    QD_ASSERT(made != nullptr, "out of memory");
    return made;
  }

  base::Mutex mutex_;
  std::vector<Context> idle_ QD_GUARDED_BY(mutex_);
};

bool decode_block(std::span<const std::byte> block, bool inside_zstd, std::span<double> out);

bool decode_zstd(base::ByteReader& in, std::span<double> out) {
  const std::uint64_t size = in.varint();
  if (!in.ok() || size > kBlockBytesMax) return false;
  const auto frame = in.raw(in.remaining());
  static Decompressors decompressors;
  std::array<std::byte, kBlockBytesMax> inside_bytes;
  const auto inside = std::span(inside_bytes).first(size);
  const std::size_t got = decompressors.decompress(frame, inside);
  return got == size && decode_block(inside, true, out);
}

bool decode_block(std::span<const std::byte> block, bool inside_zstd, std::span<double> out) {
  if (out.empty() || out.size() > kBlockSamplesMax) return false;
  base::ByteReader in(block);
  const unsigned head = in.fixed<std::uint8_t>();
  const unsigned places = head >> kPlacesShift & kPlacesMask;
  bool good = false;
  switch (static_cast<ValueCoding>(head & kCodingMask)) {
    case ValueCoding::kDecimal:
      good = decode_decimal(in, places, (head & kHasExceptions) != 0, out);
      break;
    case ValueCoding::kDecimalAndUlp:
      good = decode_decimal_and_ulp(in, places, out);
      break;
    case ValueCoding::kBits:
      good = decode_bits(in, out);
      break;
    case ValueCoding::kXor:
      good = decode_xor(in.raw(in.remaining()), out);
      break;
    case ValueCoding::kPlain: {
      const auto plain = in.raw(out.size_bytes());
      good = plain.size() == out.size_bytes();
      if (good) std::copy(plain.begin(), plain.end(), std::as_writable_bytes(out).begin());
      break;
    }
    case ValueCoding::kZstd:
      good = !inside_zstd && decode_zstd(in, out);
      break;
  }
  return good && in.ok();
}

}  // namespace

base::Status decode_values(std::span<const std::byte> block, std::span<double> out) {
  if (!decode_block(block, false, out)) return damaged("a block of values does not read as one");
  return {};
}

base::Result<ValueCoding> value_coding(std::span<const std::byte> block) {
  if (block.empty() ||
      (std::to_integer<unsigned>(block[0]) & kCodingMask) > static_cast<unsigned>(ValueCoding::kZstd)) {
    return damaged("a block of values has no known coding");
  }
  return static_cast<ValueCoding>(std::to_integer<unsigned>(block[0]) & kCodingMask);
}

}  // namespace qd::store::metrics
