#include "model/exposition/proto_histogram.h"

#include <cmath>
#include <utility>

#include "model/exposition/proto_exemplar.h"

namespace qd::model::exposition {

using protozero::pbf_reader;

namespace {

constexpr std::size_t kBucketsMax = 100'000;  // of one classic histogram

BucketSpan read_span(pbf_reader reader) {
  BucketSpan span;
  while (reader.next()) {
    if (reader.tag() == 1) {
      span.offset = reader.get_sint32();
    } else if (reader.tag() == 2) {
      span.length = reader.get_uint32();
    } else {
      reader.skip();
    }
  }
  return span;
}

Bucket read_bucket(pbf_reader reader) {
  Bucket bucket;
  double whole = 0;
  double part = 0;
  while (reader.next()) {
    if (reader.tag() == 1) {
      whole = static_cast<double>(reader.get_uint64());
    } else if (reader.tag() == 2) {
      bucket.upper_bound = reader.get_double();
    } else if (reader.tag() == 3) {
      read_exemplar(reader.get_message(), bucket.exemplars);
    } else if (reader.tag() == 4) {
      part = reader.get_double();
    } else {
      reader.skip();
    }
  }
  bucket.count = part > 0 ? part : whole;
  return bucket;
}

// Packed, or one by one.
template <typename T, typename One, typename All>
void read_numbers(pbf_reader& reader, std::vector<T>& into, One one, All all) {
  if (reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
    for (const auto value : all()) into.push_back(value);
  } else {
    into.push_back(one());
  }
}

std::vector<double> summed(const std::vector<std::int64_t>& deltas) {
  std::vector<double> out;
  out.reserve(deltas.size());
  // Unsigned, so that what is hostile wraps instead of being undefined; validate refuses what comes of it.
  std::uint64_t at = 0;
  for (const std::int64_t delta : deltas) {
    at += static_cast<std::uint64_t>(delta);
    out.push_back(static_cast<double>(static_cast<std::int64_t>(at)));
  }
  return out;
}

}  // namespace

WireHistogram read_histogram(pbf_reader reader) {
  WireHistogram out;
  Histogram& native = out.native;
  double count_float = 0;
  double zero_float = 0;
  const auto deltas = [&](std::vector<std::int64_t>& into) {
    read_numbers(reader, into, [&] { return reader.get_sint64(); }, [&] { return reader.get_packed_sint64(); });
  };
  const auto counts = [&](std::vector<double>& into) {
    read_numbers(reader, into, [&] { return reader.get_double(); }, [&] { return reader.get_packed_double(); });
  };
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        native.count = static_cast<double>(reader.get_uint64());
        break;
      case 2:
        native.sum = reader.get_double();
        break;
      case 3:
        out.buckets.push_back(read_bucket(reader.get_message()));
        if (out.buckets.size() > kBucketsMax) throw protozero::invalid_length_exception{};
        break;
      case 4:
        count_float = reader.get_double();
        break;
      case 5:
        native.schema = reader.get_sint32();
        break;
      case 6:
        native.zero_threshold = reader.get_double();
        break;
      case 7:
        native.zero_count = static_cast<double>(reader.get_uint64());
        break;
      case 8:
        zero_float = reader.get_double();
        break;
      case 9:
        native.negative_spans.push_back(read_span(reader.get_message()));
        break;
      case 10:
        deltas(out.negative_deltas);
        break;
      case 11:
        counts(native.negative);
        break;
      case 12:
        native.positive_spans.push_back(read_span(reader.get_message()));
        break;
      case 13:
        deltas(out.positive_deltas);
        break;
      case 14:
        counts(native.positive);
        break;
      case 15:
        out.created_ms = read_timestamp(reader.get_message());
        break;
      case 16:
        read_exemplar(reader.get_message(), out.exemplars);
        break;
      default:
        reader.skip();
    }
  }
  out.is_float = count_float > 0;
  if (out.is_float) native.count = count_float;
  if (zero_float > 0) native.zero_count = zero_float;
  out.has_zero = native.zero_count > 0;
  return out;
}

Histogram native_of(WireHistogram&& wire, bool gauge) {
  Histogram out = std::move(wire.native);
  out.is_integer = !wire.is_float;
  if (out.is_integer) {
    out.positive = summed(wire.positive_deltas);
    out.negative = summed(wire.negative_deltas);
  }
  out.reset = gauge ? CounterReset::kGauge : CounterReset::kUnknown;
  return out;
}

Histogram native_of_buckets(const WireHistogram& wire, bool gauge) {
  Histogram out;
  out.schema = kCustomBounds;
  out.is_integer = !wire.is_float;
  out.count = wire.native.count;
  out.sum = wire.native.sum;
  out.reset = gauge ? CounterReset::kGauge : CounterReset::kUnknown;
  double before = 0;
  std::uint32_t gap = 0;
  const auto add = [&](double count) {
    if (count == 0) {
      ++gap;
      return;
    }
    if (out.positive_spans.empty() || gap > 0) {
      out.positive_spans.push_back({.offset = static_cast<std::int32_t>(gap), .length = 0});
      gap = 0;
    }
    ++out.positive_spans.back().length;
    out.positive.push_back(count);
  };
  for (const Bucket& bucket : wire.buckets) {
    if (std::isinf(bucket.upper_bound)) continue;
    out.custom_bounds.push_back(bucket.upper_bound);
    add(bucket.count - before);
    before = bucket.count;
  }
  add(out.count - before);
  return out;
}

}  // namespace qd::model::exposition
