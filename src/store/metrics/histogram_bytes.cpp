// Bytes of a histogram:
//
//   u8      bit 0 is_integer, bits 1-2 the reset, bit 3 the counts are integers, bit 4 custom bounds follow,
//           bits 5-6 the zero threshold: 0 it is 0, 1 it is 2^-128, 2 it follows
//   svarint schema
//   f64     zero threshold (when it follows)
//   spans   of the positive side, then of the negative: varint how many, then for each svarint offset, varint length
//   bounds  (bit 4) varint how many, f64 each
//   f64     sum
//   counts  integers: varint of the zero bucket, svarint of each bucket less the one before (positive, then negative,
//           both from 0), svarint of count less everything in buckets, modulo 2^64
//           others: f64 zero bucket, f64 count, f64 each bucket
#include "store/metrics/histogram_bytes.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace qd::store::metrics {
namespace {

using model::BucketSpan;
using model::Histogram;

constexpr unsigned kIsInteger = 1;
constexpr unsigned kHintShift = 1;
constexpr unsigned kHintMask = 3;
constexpr unsigned kIntegerCounts = 8;
constexpr unsigned kCustomBoundsFollow = 16;
constexpr unsigned kThresholdShift = 5;
constexpr unsigned kFlagsMask = 127;
// What most clients use.
constexpr double kUsualThreshold = 0x1p-128;
constexpr double kIntegerMax = 0x1p53;
constexpr std::uint64_t kMarkBits = 0x7ffc000000000000;

bool is_count(double count) {
  return count >= 0 && count <= kIntegerMax &&
         std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<std::uint64_t>(count))) ==
             std::bit_cast<std::uint64_t>(count);
}

void put_counts(const std::vector<double>& counts, base::ByteWriter& writer) {
  std::int64_t before = 0;
  for (const double count : counts) {
    const auto now = static_cast<std::int64_t>(count);
    writer.signed_varint(now - before);
    before = now;
  }
}

bool get_counts(base::ByteReader& in, std::vector<double>& counts, std::uint64_t& sum) {
  std::uint64_t now = 0;
  for (double& count : counts) {
    now += static_cast<std::uint64_t>(in.signed_varint());
    sum += now;
    count = static_cast<double>(now);
  }
  return in.ok();
}

void put_doubles(const std::vector<double>& values, base::ByteWriter& writer) {
  for (const double value : values) writer.fixed(value);
}

void get_doubles(base::ByteReader& in, std::vector<double>& values) {
  for (double& value : values) value = in.fixed<double>();
}

}  // namespace

base::Status storable(const Histogram& histogram) {
  QD_TRY(model::validate(histogram));
  const std::size_t spans = std::max(histogram.positive_spans.size(), histogram.negative_spans.size());
  if (spans > model::kHistogramBucketsMax) {
    return base::fail(base::ErrorCode::kLimit, fmt::format("{} spans on one side of a histogram: there may be {}",
                                                           spans, model::kHistogramBucketsMax));
  }
  return {};
}

bool is_schema(std::int64_t schema) {
  return schema == model::kCustomBounds || (schema >= model::kSchemaMin && schema <= model::kSchemaMax);
}

bool has_integer_counts(const Histogram& histogram) {
  return is_count(histogram.count) && is_count(histogram.zero_count) &&
         std::ranges::all_of(histogram.positive, is_count) && std::ranges::all_of(histogram.negative, is_count);
}

bool same_layout(const Histogram& a, const Histogram& b) {
  const auto same_bits = [](double x, double y) {
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
  };
  return a.schema == b.schema && a.is_integer == b.is_integer && same_bits(a.zero_threshold, b.zero_threshold) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         std::ranges::equal(a.custom_bounds, b.custom_bounds, same_bits);
}

std::uint64_t count_outside(const Histogram& histogram) {
  std::uint64_t inside = static_cast<std::uint64_t>(histogram.zero_count);
  for (const double count : histogram.positive) inside += static_cast<std::uint64_t>(count);
  for (const double count : histogram.negative) inside += static_cast<std::uint64_t>(count);
  return static_cast<std::uint64_t>(histogram.count) - inside;
}

void encode_spans(const std::vector<BucketSpan>& spans, std::string& out) {
  base::ByteWriter writer(out);
  writer.varint(spans.size());
  for (const BucketSpan& span : spans) {
    writer.signed_varint(span.offset);
    writer.varint(span.length);
  }
}

bool decode_spans(base::ByteReader& in, std::size_t buckets_max, std::vector<BucketSpan>& spans, std::size_t& buckets) {
  const std::uint64_t count = in.varint();
  if (!in.ok() || count > in.remaining() / 2 || count > model::kHistogramBucketsMax) return false;
  spans.resize(count);
  buckets = 0;
  std::int64_t index = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::int64_t offset = in.signed_varint();
    const std::uint64_t length = in.varint();
    if (!in.ok() || length > buckets_max - buckets || (i > 0 && offset < 0)) return false;
    if (offset > std::numeric_limits<std::int32_t>::max() || offset < std::numeric_limits<std::int32_t>::min())
      return false;
    index += offset + static_cast<std::int64_t>(length);
    if (index > std::numeric_limits<std::int32_t>::max()) return false;
    spans[i] = {static_cast<std::int32_t>(offset), static_cast<std::uint32_t>(length)};
    buckets += length;
  }
  return true;
}

void encode_histogram(const Histogram& histogram, std::string& out) {
  const bool integers = has_integer_counts(histogram);
  const unsigned threshold = std::bit_cast<std::uint64_t>(histogram.zero_threshold) == 0 ? 0
                             : histogram.zero_threshold == kUsualThreshold               ? 1
                                                                                         : 2;
  base::ByteWriter writer(out);
  writer.fixed(static_cast<std::uint8_t>(
      (histogram.is_integer ? kIsInteger : 0U) | static_cast<unsigned>(histogram.reset) << kHintShift |
      (integers ? kIntegerCounts : 0U) | (histogram.custom_bounds.empty() ? 0U : kCustomBoundsFollow) |
      threshold << kThresholdShift));
  writer.signed_varint(histogram.schema);
  if (threshold == 2) writer.fixed(histogram.zero_threshold);
  encode_spans(histogram.positive_spans, out);
  encode_spans(histogram.negative_spans, out);
  if (!histogram.custom_bounds.empty()) {
    writer.varint(histogram.custom_bounds.size());
    put_doubles(histogram.custom_bounds, writer);
  }
  writer.fixed(histogram.sum);
  if (integers) {
    writer.varint(static_cast<std::uint64_t>(histogram.zero_count));
    put_counts(histogram.positive, writer);
    put_counts(histogram.negative, writer);
    writer.signed_varint(static_cast<std::int64_t>(count_outside(histogram)));
  } else {
    writer.fixed(histogram.zero_count);
    writer.fixed(histogram.count);
    put_doubles(histogram.positive, writer);
    put_doubles(histogram.negative, writer);
  }
}

bool decode_histogram(base::ByteReader& in, Histogram& out) {
  const unsigned flags = in.fixed<std::uint8_t>();
  const std::int64_t schema = in.signed_varint();
  const unsigned threshold = flags >> kThresholdShift;
  if (!in.ok() || flags > kFlagsMask || threshold > 2 || !is_schema(schema)) return false;
  const bool custom = (flags & kCustomBoundsFollow) != 0;
  if (custom && schema != model::kCustomBounds) return false;
  out.schema = static_cast<std::int32_t>(schema);
  out.is_integer = (flags & kIsInteger) != 0;
  out.reset = static_cast<model::CounterReset>(flags >> kHintShift & kHintMask);
  out.zero_threshold = threshold == 2 ? in.fixed<double>() : threshold == 1 ? kUsualThreshold : 0;
  // Each bucket takes a byte at least, which bounds what is allocated.
  const std::size_t buckets_max = std::min(model::kHistogramBucketsMax, in.remaining());
  std::size_t positive = 0;
  std::size_t negative = 0;
  if (!decode_spans(in, buckets_max, out.positive_spans, positive) ||
      !decode_spans(in, buckets_max, out.negative_spans, negative)) {
    return false;
  }
  const std::uint64_t bounds = custom ? in.varint() : 0;
  if (bounds > in.remaining() / sizeof(double) || bounds > model::kHistogramBucketsMax) return false;
  out.custom_bounds.resize(bounds);
  get_doubles(in, out.custom_bounds);
  out.sum = in.fixed<double>();
  if (positive > in.remaining() || negative > in.remaining()) return false;
  out.positive.resize(positive);
  out.negative.resize(negative);
  if ((flags & kIntegerCounts) != 0) {
    std::uint64_t sum = in.varint();
    out.zero_count = static_cast<double>(sum);
    if (!get_counts(in, out.positive, sum) || !get_counts(in, out.negative, sum)) return false;
    out.count = static_cast<double>(sum + static_cast<std::uint64_t>(in.signed_varint()));
  } else {
    out.zero_count = in.fixed<double>();
    out.count = in.fixed<double>();
    get_doubles(in, out.positive);
    get_doubles(in, out.negative);
  }
  return in.ok();
}

double histogram_mark(const Histogram& histogram) {
  std::string bytes;
  encode_histogram(histogram, bytes);
  // The reset is what the sender knows of the one before: it does not make another histogram.
  bytes[0] = static_cast<char>(static_cast<unsigned char>(bytes[0]) & ~(kHintMask << kHintShift));
  return std::bit_cast<double>(kMarkBits | XXH3_64bits(bytes.data(), bytes.size()) >> 14);
}

}  // namespace qd::store::metrics
