// Blocks of times, values and histograms, and the head's chunks. The first byte chooses: decode the bytes, or take them
// for times or values and encode them, which must give every bit back.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "input.h"
#include "store/metrics/chunk.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_histogram.h"
#include "store/metrics/histogram_chunk.h"
#include "store/metrics/packed_chunk.h"

namespace {

using namespace qd::store::metrics;
using qd::fuzz::Input;

std::size_t take_count(Input& input) {
  const std::size_t low = input.byte();
  return 1 + (low | (static_cast<std::size_t>(input.byte() & 3) << 8));
}

template <typename T>
std::vector<T> take_numbers(const Input& input) {
  std::vector<T> numbers(std::min(input.size() / sizeof(T), kBlockSamplesMax));
  if (!numbers.empty()) std::memcpy(numbers.data(), input.bytes().data(), numbers.size() * sizeof(T));
  return numbers;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

void check_values(const std::vector<double>& values, bool compress) {
  if (values.empty()) return;
  std::string block;
  BlockEncoder encoder;
  encoder.encode_values(values, compress, block);
  std::vector<double> again(values.size());
  const auto status = decode_values(qd::base::as_bytes(block), again);
  QD_ASSERT(status.has_value(), status.error().message());
  QD_ASSERT(same_bits(values, again));
}

void check_times(std::vector<TimestampMs> times) {
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  if (times.empty()) return;
  std::string block;
  BlockEncoder encoder;
  encoder.encode_times(times, block);
  std::vector<TimestampMs> again(times.size());
  const auto status = decode_times(qd::base::as_bytes(block), again);
  QD_ASSERT(status.has_value(), status.error().message());
  QD_ASSERT(times == again);
}

// The gap before each sample from its first byte, its value from the eight after that.
void check_chunk(Input& input) {
  std::byte bytes[kChunkBytesMax + kChunkSampleBytesMax];
  std::size_t used = 0;
  ChunkState state;
  Columns written;
  TimestampMs time_ms = 1'700'000'000'000;
  while (input.size() >= 9 && used + kChunkSampleBytesMax <= kChunkBytesMax) {
    const std::uint8_t gap = input.byte();
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | input.byte();
    // Small bit patterns are integers and decimals, as most samples are.
    const double value =
        bits < (1U << 20) ? static_cast<double>(bits) / ((gap & 1) != 0 ? 100 : 1) : std::bit_cast<double>(bits);
    if (used == 0) {
      used = begin_chunk(state, time_ms, value, bytes);
    } else {
      time_ms += gap < 128 ? 15'000 : (gap < 250 ? gap : TimestampMs{1} << (gap - 210));
      used += extend_chunk(state, time_ms, value, bytes + used);
    }
    QD_ASSERT(used <= kChunkBytesMax);
    written.times.push_back(time_ms);
    written.values.push_back(value);
  }
  if (written.size() == 0) return;
  Columns read;
  QD_ASSERT(decode_chunk(std::span(bytes).first(used), written.times.front(), written.size(), read));
  QD_ASSERT(read.times == written.times && same_bits(read.values, written.values));

  std::string packed;
  if (!ChunkPacker().pack({std::span(bytes).first(used), written.times.front(), written.size()}, packed)) return;
  Columns unpacked;
  QD_ASSERT(packed.size() < used && decode_packed_chunk(qd::base::as_bytes(packed), written.size(), unpacked));
  QD_ASSERT(unpacked.times == written.times && same_bits(unpacked.values, written.values));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  switch (input.byte() % 9) {
    case 0: {
      std::vector<double> out(take_count(input));
      static_cast<void>(decode_values(input.bytes(), out));
      static_cast<void>(value_coding(input.bytes()));
      break;
    }
    case 1: {
      std::vector<TimestampMs> out(take_count(input));
      if (decode_times(input.bytes(), out)) {
        QD_ASSERT(std::adjacent_find(out.begin(), out.end(), std::greater_equal<>()) == out.end());
      }
      break;
    }
    case 2: {
      const std::size_t count = take_count(input);
      Columns out;
      const bool decoded = (size & 1) != 0 ? decode_packed_chunk(input.bytes(), count, out)
                                           : decode_chunk(input.bytes(), 1'700'000'000'000, count, out);
      QD_ASSERT(out.size() == (decoded ? count : 0));
      break;
    }
    case 3:
      check_values(take_numbers<double>(input), (size & 1) != 0);
      break;
    case 4: {
      // Decimals: each two bytes a number with two digits behind the point.
      std::vector<double> values;
      for (const std::int16_t cents : take_numbers<std::int16_t>(input)) values.push_back(cents / 100.0);
      check_values(values, (size & 1) != 0);
      break;
    }
    case 7: {
      const std::size_t count = take_count(input);
      std::vector<qd::model::HistogramPtr> out;
      const bool decoded = decode_histograms(input.bytes(), count, count / 2, count - count / 2, out).has_value();
      QD_ASSERT(out.size() == (decoded ? count - count / 2 : 0));
      break;
    }
    case 8: {
      const std::size_t count = take_count(input);
      Columns out;
      const bool decoded = decode_histogram_chunk(input.bytes(), 1'700'000'000'000, count, out);
      QD_ASSERT(out.size() == (decoded ? count : 0) && out.histograms.size() == out.size());
      break;
    }
    case 5:
      check_times(take_numbers<TimestampMs>(input));
      break;
    default:
      check_chunk(input);
      break;
  }
  return 0;
}
