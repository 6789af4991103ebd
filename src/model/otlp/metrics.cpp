#include "model/otlp/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "base/format.h"
#include "base/strings.h"
#include "model/otlp/any_value.h"
#include "model/otlp/point_list.h"

namespace qd::model::otlp {
namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

constexpr std::uint32_t kNoRecordedValue = 1;  // in flags

constexpr auto bytes_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::length_delimited);
}
constexpr auto varint_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::varint);
}
constexpr auto fixed_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::fixed64);
}

// AnyValue { string = 1, bool = 2, int64 = 3, double = 4, ArrayValue = 5, KeyValueList = 6, bytes = 7 }
void read_any(pbf_reader reader, int depth, AnyText& text) {
  bool any = false;
  while (reader.next()) {
    any = true;
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        text.text(reader.get_string());
        break;
      case varint_field(2):
        text.plain(reader.get_bool() ? "true" : "false");
        break;
      case varint_field(3):
        text.plain(fmt::to_string(reader.get_int64()));
        break;
      case fixed_field(4):
        text.plain(base::format_float(reader.get_double()));
        break;
      case bytes_field(5): {
        text.open('[');
        for (pbf_reader list = reader.get_message();
             depth < kValueDepthMax && list.next(1, pbf_wire_type::length_delimited);)
          read_any(list.get_message(), depth + 1, text);
        text.close(']');
        break;
      }
      case bytes_field(6): {
        text.open('{');
        for (pbf_reader list = reader.get_message();
             depth < kValueDepthMax && list.next(1, pbf_wire_type::length_delimited);) {
          std::string key;
          pbf_reader value;
          for (pbf_reader pair = list.get_message(); pair.next();) {
            if (pair.tag_and_type() == bytes_field(1)) {
              key = pair.get_string();
            } else if (pair.tag_and_type() == bytes_field(2)) {
              value = pair.get_message();
            } else {
              pair.skip();
            }
          }
          text.key(key);
          read_any(value, depth + 1, text);
        }
        text.close('}');
        break;
      }
      case bytes_field(7):
        text.bytes(reader.get_string());
        break;
      default:
        reader.skip();
    }
  }
  if (!any) text.nothing();
}

void read_attribute(pbf_reader reader, Attributes& attributes) {
  Attribute attribute;
  AnyText text;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        attribute.key = reader.get_string();
        break;
      case bytes_field(2):
        read_any(reader.get_message(), 0, text);
        break;
      default:
        reader.skip();
    }
  }
  attribute.value = text.take();
  if (attributes.size() < kAttributesMax) attributes.push_back(std::move(attribute));
}

template <typename Range, typename List>
void add_all(const Range& range, List& list) {
  for (const auto value : range) list.push_back(value);
}

std::string read_id(pbf_reader& reader, std::size_t bytes) {
  const auto raw = reader.get_view();
  std::string hex;
  if (raw.size() != bytes) return hex;
  for (const char c : std::string_view(raw.data(), raw.size()))
    base::append_format(hex, "{:02x}", static_cast<unsigned char>(c));
  return id_text(hex, bytes);
}

Exemplar read_exemplar(pbf_reader reader) {
  Exemplar exemplar;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case fixed_field(2):
        exemplar.time_ns = reader.get_fixed64();
        break;
      case fixed_field(3):
        exemplar.value = reader.get_double();
        break;
      case bytes_field(4):
        exemplar.span_id = read_id(reader, kSpanIdBytes);
        break;
      case bytes_field(5):
        exemplar.trace_id = read_id(reader, kTraceIdBytes);
        break;
      case fixed_field(6):
        exemplar.value = static_cast<double>(reader.get_sfixed64());
        break;
      case bytes_field(7):
        read_attribute(reader.get_message(), exemplar.attributes);
        break;
      default:
        reader.skip();
    }
  }
  return exemplar;
}

// Under which numbers a kind of point has what all of them have; their times are 2 and 3 everywhere. 0: it has none.
struct Common {
  std::uint32_t attributes = 0;
  std::uint32_t flags = 0;
  std::uint32_t exemplars = 0;
};

// `own` reads what only this kind has, and says whether that was it.
Point read_point(pbf_reader reader, const Common& common,
                 bool (*own)(std::uint32_t field, pbf_reader& reader, Point& point)) {
  Point point;
  while (reader.next()) {
    const auto field = reader.tag_and_type();
    if (field == fixed_field(2)) {
      point.start_ns = reader.get_fixed64();
    } else if (field == fixed_field(3)) {
      point.time_ns = reader.get_fixed64();
    } else if (field == bytes_field(common.attributes)) {
      read_attribute(reader.get_message(), point.attributes);
    } else if (field == varint_field(common.flags)) {
      point.no_value = (reader.get_uint32() & kNoRecordedValue) != 0;
    } else if (common.exemplars != 0 && field == bytes_field(common.exemplars)) {
      Exemplar exemplar = read_exemplar(reader.get_message());
      if (point.exemplars.size() < kExemplarsMax) point.exemplars.push_back(std::move(exemplar));
    } else if (!own(field, reader, point)) {
      reader.skip();
    }
  }
  return point;
}

bool number_field(std::uint32_t field, pbf_reader& reader, Point& point) {
  switch (field) {
    case fixed_field(4):
      point.value = reader.get_double();
      return true;
    case fixed_field(6):
      point.value = static_cast<double>(reader.get_sfixed64());
      return true;
    default:
      return false;
  }
}

Point read_number(pbf_reader reader) {
  return read_point(reader, {.attributes = 7, .flags = 8, .exemplars = 5}, number_field);
}

// What all distributions have.
bool count_field(std::uint32_t field, pbf_reader& reader, Point& point) {
  switch (field) {
    case fixed_field(4):
      point.count = reader.get_fixed64();
      return true;
    case fixed_field(5):
      point.sum = reader.get_double();
      return true;
    default:
      return false;
  }
}

bool histogram_field(std::uint32_t field, pbf_reader& reader, Point& point) {
  switch (field) {
    case bytes_field(6):
      add_all(reader.get_packed_fixed64(), point.bucket_counts);
      return true;
    case fixed_field(6):
      point.bucket_counts.push_back(reader.get_fixed64());
      return true;
    case bytes_field(7):
      add_all(reader.get_packed_double(), point.bounds);
      return true;
    case fixed_field(7):
      point.bounds.push_back(reader.get_double());
      return true;
    default:
      return count_field(field, reader, point);
  }
}

Point read_histogram(pbf_reader reader) {
  return read_point(reader, {.attributes = 9, .flags = 10, .exemplars = 8}, histogram_field);
}

Buckets read_buckets(pbf_reader reader) {
  Buckets buckets;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case varint_field(1):
        buckets.offset = reader.get_sint32();
        break;
      case bytes_field(2):
        add_all(reader.get_packed_uint64(), buckets.counts);
        break;
      case varint_field(2):
        buckets.counts.push_back(reader.get_uint64());
        break;
      default:
        reader.skip();
    }
  }
  return buckets;
}

bool exponential_field(std::uint32_t field, pbf_reader& reader, Point& point) {
  switch (field) {
    case varint_field(6):
      point.scale = reader.get_sint32();
      return true;
    case fixed_field(7):
      point.zero_count = reader.get_fixed64();
      return true;
    case bytes_field(8):
      point.positive = read_buckets(reader.get_message());
      return true;
    case bytes_field(9):
      point.negative = read_buckets(reader.get_message());
      return true;
    case fixed_field(14):
      point.zero_threshold = reader.get_double();
      return true;
    default:
      return count_field(field, reader, point);
  }
}

Point read_exponential(pbf_reader reader) {
  return read_point(reader, {.attributes = 1, .flags = 10, .exemplars = 11}, exponential_field);
}

std::pair<double, double> read_quantile(pbf_reader reader) {
  std::pair<double, double> quantile{0, 0};
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case fixed_field(1):
        quantile.first = reader.get_double();
        break;
      case fixed_field(2):
        quantile.second = reader.get_double();
        break;
      default:
        reader.skip();
    }
  }
  return quantile;
}

bool summary_field(std::uint32_t field, pbf_reader& reader, Point& point) {
  if (field != bytes_field(6)) return count_field(field, reader, point);
  point.quantiles.push_back(read_quantile(reader.get_message()));
  return true;
}

Point read_summary(pbf_reader reader) {
  return read_point(reader, {.attributes = 7, .flags = 8}, summary_field);
}

// Gauge, Sum, Histogram, ExponentialHistogram, Summary: points, temporality and monotonicity under the same numbers.
void read_data(pbf_reader reader, Point (*read_one)(pbf_reader), Metric& metric) {
  PointList points(metric.points);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        points.add(read_one(reader.get_message()));
        break;
      case varint_field(2): {
        const auto number = reader.get_uint64();
        metric.temporality = number == 1   ? Temporality::kDelta
                             : number == 2 ? Temporality::kCumulative
                                           : Temporality::kUnspecified;
        break;
      }
      case varint_field(3):
        metric.monotonic = reader.get_bool();
        break;
      default:
        reader.skip();
    }
  }
}

Metric read_metric(pbf_reader reader) {
  Metric metric;
  const auto data = [&](Kind kind, Point (*read_one)(pbf_reader)) {
    metric.kind = kind;
    read_data(reader.get_message(), read_one, metric);
  };
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        metric.name = reader.get_string();
        break;
      case bytes_field(2):
        metric.description = reader.get_string();
        break;
      case bytes_field(3):
        metric.unit = reader.get_string();
        break;
      case bytes_field(5):
        data(Kind::kGauge, read_number);
        break;
      case bytes_field(7):
        data(Kind::kSum, read_number);
        break;
      case bytes_field(9):
        data(Kind::kHistogram, read_histogram);
        break;
      case bytes_field(10):
        data(Kind::kExponential, read_exponential);
        break;
      case bytes_field(11):
        data(Kind::kSummary, read_summary);
        break;
      default:
        reader.skip();
    }
  }
  return metric;
}

// ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }, in any order.
void read_resource(const pbf_reader& message, MetricsSink& sink) {
  Attributes attributes;
  for (pbf_reader reader = message; reader.next();) {
    if (reader.tag_and_type() != bytes_field(1)) {
      reader.skip();
      continue;
    }
    for (pbf_reader resource = reader.get_message(); resource.next(1, pbf_wire_type::length_delimited);)
      read_attribute(resource.get_message(), attributes);
  }
  sink.resource(attributes);
  for (pbf_reader reader = message; reader.next();) {
    if (reader.tag_and_type() != bytes_field(2)) {
      reader.skip();
      continue;
    }
    // ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; }
    for (pbf_reader scope = reader.get_message(); scope.next(2, pbf_wire_type::length_delimited);)
      sink.metric(read_metric(scope.get_message()));
  }
  sink.resource_ends();
}

// With U+FFFD for each byte that is part of none. A string of proto3 is UTF-8, or its reader refuses the whole message.
std::string utf8_of(std::string_view text) {
  constexpr std::size_t kCharacterBytesMax = 4;
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  while (!text.empty()) {
    const std::size_t most = std::min(kCharacterBytesMax, text.size());
    std::size_t n = 1;
    while (n <= most && !base::valid_utf8(text.substr(0, n))) ++n;
    out += n <= most ? text.substr(0, n) : kReplacement;
    text.remove_prefix(n <= most ? n : 1);
  }
  return out;
}

}  // namespace

base::Status read_metrics(std::string_view message, MetricsSink& sink) {
  try {
    for (pbf_reader reader(message.data(), message.size()); reader.next();) {
      if (reader.tag_and_type() == bytes_field(1)) {
        read_resource(reader.get_message(), sink);
      } else {
        reader.skip();
      }
    }
    return {};
  } catch (const std::length_error& e) {
    return base::fail(ErrorCode::kLimit, e.what());
  } catch (const protozero::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of OTLP metrics: {}", e.what()));
  }
}

std::string write_response(std::uint64_t rejected_points, std::string_view reason) {
  std::string message;
  if (rejected_points == 0 && reason.empty()) return message;
  pbf_writer writer(message);
  pbf_writer partial(writer, 1);
  partial.add_int64(1, static_cast<std::int64_t>(rejected_points));
  partial.add_string(2, utf8_of(reason));
  return message;
}

std::string write_status(std::string_view message) {
  std::string out;
  pbf_writer(out).add_string(2, utf8_of(message));
  return out;
}

}  // namespace qd::model::otlp
