#include "model/remote_write/histogram_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <vector>

#include "model/histogram_arithmetic.h"

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

// The numbers of prometheus.Histogram.ResetHint.
constexpr std::array kResets = {CounterReset::kUnknown, CounterReset::kReset, CounterReset::kNotReset,
                                CounterReset::kGauge};
// Integers are exact in a double up to here: what is larger goes out as a fraction would.
constexpr double kExactMax = 9'007'199'254'740'992.0;

constexpr auto bytes_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::length_delimited);
}

// One side as it stands on the wire. Lists stop one past what is taken, so that validate can say so.
struct Side {
  std::vector<BucketSpan> spans;
  std::vector<double> from_deltas;
  std::vector<double> counts;
  std::int64_t last = 0;
};

void read_span(pbf_reader reader, std::vector<BucketSpan>& spans) {
  BucketSpan span;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::varint):
        span.offset = reader.get_sint32();
        break;
      case tag_and_type(2, pbf_wire_type::varint):
        span.length = reader.get_uint32();
        break;
      default:
        reader.skip();
    }
  }
  if (spans.size() <= kHistogramBucketsMax) spans.push_back(span);
}

void add(std::vector<double>& list, double value) {
  if (list.size() <= kHistogramBucketsMax) list.push_back(value);
}

void add_delta(Side& side, std::int64_t delta) {
  // Wraps round where a hostile message has it so: the counts are negative then, and refused.
  side.last = static_cast<std::int64_t>(static_cast<std::uint64_t>(side.last) + static_cast<std::uint64_t>(delta));
  add(side.from_deltas, static_cast<double>(side.last));
}

void read_deltas(pbf_reader& reader, Side& side) {
  for (const std::int64_t delta : reader.get_packed_sint64()) add_delta(side, delta);
}

void read_doubles(pbf_reader& reader, std::vector<double>& list) {
  for (const double value : reader.get_packed_double()) add(list, value);
}

bool takes_side(pbf_reader& reader, std::uint32_t first_tag, Side& side) {
  const auto kind = reader.tag_and_type();
  if (kind == bytes_field(first_tag)) {
    read_span(reader.get_message(), side.spans);
  } else if (kind == bytes_field(first_tag + 1)) {
    read_deltas(reader, side);
  } else if (kind == tag_and_type(first_tag + 1, pbf_wire_type::varint)) {
    add_delta(side, reader.get_sint64());
  } else if (kind == bytes_field(first_tag + 2)) {
    read_doubles(reader, side.counts);
  } else if (kind == tag_and_type(first_tag + 2, pbf_wire_type::fixed64)) {
    add(side.counts, reader.get_double());
  } else {
    return false;
  }
  return true;
}

base::Result<Histogram> finish(Histogram histogram, Side& negative, Side& positive) {
  histogram.negative_spans = std::move(negative.spans);
  histogram.positive_spans = std::move(positive.spans);
  histogram.negative = std::move(histogram.is_integer ? negative.from_deltas : negative.counts);
  histogram.positive = std::move(histogram.is_integer ? positive.from_deltas : positive.counts);
  const bool finer = histogram.schema > kSchemaMax && histogram.schema <= kSchemaOnWireMax;
  const std::int32_t schema = histogram.schema;
  if (finer) histogram.schema = kSchemaMax;  // for validate, which knows the others; nothing else hangs on it there
  QD_TRY(validate(histogram));
  if (finer) {
    histogram.schema = schema;
    reduce_schema(histogram, kSchemaMax);
  }
  return histogram;
}

TimedHistogram read(pbf_reader reader) {
  TimedHistogram timed{.histogram = Histogram{}};
  Histogram histogram;
  Side negative;
  Side positive;
  bool float_count = false;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::varint):
        histogram.count = static_cast<double>(reader.get_uint64());
        float_count = false;
        break;
      case tag_and_type(2, pbf_wire_type::fixed64):
        histogram.count = reader.get_double();
        float_count = true;
        break;
      case tag_and_type(3, pbf_wire_type::fixed64):
        histogram.sum = reader.get_double();
        break;
      case tag_and_type(4, pbf_wire_type::varint):
        histogram.schema = reader.get_sint32();
        break;
      case tag_and_type(5, pbf_wire_type::fixed64):
        histogram.zero_threshold = reader.get_double();
        break;
      case tag_and_type(6, pbf_wire_type::varint):
        histogram.zero_count = static_cast<double>(reader.get_uint64());
        break;
      case tag_and_type(7, pbf_wire_type::fixed64):
        histogram.zero_count = reader.get_double();
        break;
      case tag_and_type(14, pbf_wire_type::varint): {
        const std::uint64_t hint = reader.get_uint64();
        histogram.reset = hint < kResets.size() ? kResets[hint] : CounterReset::kUnknown;
        break;
      }
      case tag_and_type(15, pbf_wire_type::varint):
        timed.time_ms = reader.get_int64();
        break;
      case bytes_field(16):
        read_doubles(reader, histogram.custom_bounds);
        break;
      case tag_and_type(16, pbf_wire_type::fixed64):
        add(histogram.custom_bounds, reader.get_double());
        break;
      default:
        if (!takes_side(reader, 8, negative) && !takes_side(reader, 11, positive)) reader.skip();
    }
  }
  histogram.is_integer = !float_count;
  timed.stale = is_stale_nan(histogram.sum);
  if (!timed.stale) timed.histogram = finish(std::move(histogram), negative, positive);
  return timed;
}

void append_side(pbf_writer& writer, std::uint32_t first_tag, const std::vector<BucketSpan>& spans,
                 const std::vector<double>& counts, bool integers) {
  for (const BucketSpan& span : spans) {
    pbf_writer field(writer, first_tag);
    field.add_sint32(1, span.offset);
    field.add_uint32(2, span.length);
  }
  if (counts.empty()) return;
  if (!integers) {
    writer.add_packed_double(first_tag + 2, counts.begin(), counts.end());
    return;
  }
  std::vector<std::int64_t> deltas;
  deltas.reserve(counts.size());
  std::int64_t last = 0;
  for (const double count : counts) {
    const auto whole = static_cast<std::int64_t>(count);
    deltas.push_back(whole - last);
    last = whole;
  }
  writer.add_packed_sint64(first_tag + 1, deltas.begin(), deltas.end());
}

bool goes_as_integers(const Histogram& histogram) {
  const auto exact = [](double value) { return value >= 0 && value <= kExactMax && std::trunc(value) == value; };
  return histogram.is_integer && exact(histogram.count) && exact(histogram.zero_count) &&
         std::ranges::all_of(histogram.positive, exact) && std::ranges::all_of(histogram.negative, exact);
}

}  // namespace

base::Result<TimedHistogram> read_histogram(std::string_view message) {
  try {
    return read(pbf_reader(message.data(), message.size()));
  } catch (const protozero::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("a native histogram cannot be read: {}", e.what()));
  }
}

void append_histogram(std::string& message, TimestampMs time_ms, const Histogram& histogram) {
  const bool integers = goes_as_integers(histogram);
  pbf_writer writer(message);
  if (integers) {
    writer.add_uint64(1, static_cast<std::uint64_t>(histogram.count));
  } else {
    writer.add_double(2, histogram.count);
  }
  writer.add_double(3, histogram.sum);
  writer.add_sint32(4, histogram.schema);
  writer.add_double(5, histogram.zero_threshold);
  if (integers) {
    writer.add_uint64(6, static_cast<std::uint64_t>(histogram.zero_count));
  } else {
    writer.add_double(7, histogram.zero_count);
  }
  append_side(writer, 8, histogram.negative_spans, histogram.negative, integers);
  append_side(writer, 11, histogram.positive_spans, histogram.positive, integers);
  const auto reset = std::ranges::find(kResets, histogram.reset);
  writer.add_enum(14, static_cast<std::int32_t>(reset - kResets.begin()));
  writer.add_int64(15, time_ms);
  if (!histogram.custom_bounds.empty())
    writer.add_packed_double(16, histogram.custom_bounds.begin(), histogram.custom_bounds.end());
}

}  // namespace qd::model::remote_write
