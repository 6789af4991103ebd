#include "model/remote_write/write_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <vector>

#include "model/remote_write/histogram_wire.h"
#include "model/remote_write/labels_wire.h"

namespace qd::model::remote_write {

namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

constexpr auto bytes_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::length_delimited);
}

// The numbers of prometheus.MetricMetadata.MetricType.
constexpr std::array kTypes = {MetricType::kUnknown,   MetricType::kCounter,        MetricType::kGauge,
                               MetricType::kHistogram, MetricType::kGaugeHistogram, MetricType::kSummary,
                               MetricType::kInfo,      MetricType::kStateSet};

std::string_view text_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

Label read_label(pbf_reader reader) {
  Label label;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        label.name = text_of(reader);
        break;
      case bytes_field(2):
        label.value = text_of(reader);
        break;
      default:
        reader.skip();
    }
  }
  return label;
}

void read_exemplar(pbf_reader reader, WriteSink& sink) {
  std::vector<Label> labels;
  bool too_many = false;
  Sample sample{0, 0};
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1): {
        const Label label = read_label(reader.get_message());
        too_many = too_many || labels.size() == kLabelsMax;
        if (!too_many) labels.push_back(label);
        break;
      }
      case tag_and_type(2, pbf_wire_type::fixed64):
        sample.value = reader.get_double();
        break;
      case tag_and_type(3, pbf_wire_type::varint):
        sample.time_ms = reader.get_int64();
        break;
      default:
        reader.skip();
    }
  }
  sink.exemplar(checked_labels(labels, too_many, Naming::kExemplar), sample);
}

// Labels first, wherever they stand, then the samples one by one: neither is held whole for long.
base::Status read_series(const pbf_reader& series, std::vector<Label>& labels, WriteSink& sink) {
  labels.clear();
  bool too_many = false;
  bool any = false;
  bool exemplars = false;
  for (pbf_reader reader = series; reader.next();) {
    switch (reader.tag_and_type()) {
      case bytes_field(1): {
        const Label label = read_label(reader.get_message());
        too_many = too_many || labels.size() == kLabelsMax;
        if (!too_many) labels.push_back(label);
        break;
      }
      case bytes_field(3):
        exemplars = true;
        [[fallthrough]];
      case bytes_field(2):
      case bytes_field(4):
        any = true;
        [[fallthrough]];
      default:
        reader.skip();
    }
  }
  if (!any) return {};
  sink.series(checked_labels(labels, too_many, Naming::kSeries));
  for (pbf_reader reader = series; reader.next();) {
    switch (reader.tag_and_type()) {
      case bytes_field(2):
        sink.sample(read_sample(reader.get_view()));
        break;
      case bytes_field(4): {
        QD_ASSIGN(const TimedHistogram timed, read_histogram(text_of(reader)));
        tell(timed, sink);
        break;
      }
      default:
        reader.skip();
    }
  }
  if (!exemplars) return {};
  for (pbf_reader reader = series; reader.next();) {
    if (reader.tag_and_type() == bytes_field(3)) {
      read_exemplar(reader.get_message(), sink);
    } else {
      reader.skip();
    }
  }
  return {};
}

void read_metadata(pbf_reader reader, WriteSink& sink) {
  std::uint64_t type = 0;
  std::string_view family;
  std::string_view help;
  std::string_view unit;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::varint):
        type = reader.get_uint64();
        break;
      case bytes_field(2):
        family = text_of(reader);
        break;
      case bytes_field(4):
        help = text_of(reader);
        break;
      case bytes_field(5):
        unit = text_of(reader);
        break;
      default:
        reader.skip();
    }
  }
  tell_metadata(family, type < kTypes.size() ? kTypes[type] : MetricType::kUnknown, help, unit, sink);
}

// Runs `walk`, which reads with protozero: what that throws is what is wrong with the bytes.
template <typename Walk>
base::Status caught(const Walk& walk) {
  try {
    return walk();
  } catch (const protozero::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of remote write: {}", e.what()));
  }
}

}  // namespace

base::Status read_write_request(std::string_view message, WriteSink& sink) {
  std::vector<Label> labels;
  return caught([&]() -> base::Status {
    for (pbf_reader reader(message.data(), message.size()); reader.next();) {
      switch (reader.tag_and_type()) {
        case bytes_field(1):
          QD_TRY(read_series(reader.get_message(), labels, sink));
          break;
        case bytes_field(3):
          read_metadata(reader.get_message(), sink);
          break;
        default:
          reader.skip();
      }
    }
    return {};
  });
}

std::string encode_labels(const LabelSet& labels) {
  std::string out;
  std::string one;
  pbf_writer writer(out);
  for (const Label& label : labels) {
    one.clear();
    pbf_writer field(one);
    field.add_string(1, label.name.data(), label.name.size());
    field.add_string(2, label.value.data(), label.value.size());
    writer.add_message(1, one);
  }
  return out;
}

void append_series(std::string& message, std::string_view encoded_labels, std::span<const Sample> samples,
                   std::string_view others) {
  pbf_writer request(message);
  pbf_writer series(request, 1);
  // The fields of the labels, with their tags: already as they stand in a TimeSeries.
  message.append(encoded_labels);
  for (const Sample& sample : samples) {
    pbf_writer field(series, 2);
    field.add_double(1, sample.value);
    field.add_int64(2, sample.time_ms);
  }
  message.append(others);
}

std::string histogram_field(TimestampMs time_ms, const Histogram& histogram) {
  std::string message;
  append_histogram(message, time_ms, histogram);
  std::string field;
  pbf_writer(field).add_message(4, message);
  return field;
}

std::string exemplar_field(const LabelSet& labels, const Sample& sample) {
  std::string message = encode_labels(labels);
  pbf_writer writer(message);
  writer.add_double(2, sample.value);
  writer.add_int64(3, sample.time_ms);
  std::string field;
  pbf_writer(field).add_message(3, message);
  return field;
}

void append_metadata(std::string& message, std::string_view family, const Metadata& metadata) {
  const auto type = std::ranges::find(kTypes, metadata.type);
  pbf_writer request(message);
  pbf_writer field(request, 3);
  field.add_enum(1, static_cast<std::int32_t>(type == kTypes.end() ? 0 : type - kTypes.begin()));
  field.add_string(2, family.data(), family.size());
  field.add_string(4, metadata.help);
  field.add_string(5, metadata.unit);
}

base::Status read_encoded(std::string_view message, EncodedSink& sink) {
  return caught([&]() -> base::Status {
    for (pbf_reader reader(message.data(), message.size()); reader.next();) {
      if (reader.tag_and_type() != bytes_field(1))
        return base::fail(ErrorCode::kInvalid, "the message holds more than series");
      const auto series = reader.get_view();
      const char* labels_end = series.data();
      const char* begin = series.data();  // of the field that is read
      bool samples_begun = false;
      for (pbf_reader field(series); field.next();) {
        const auto kind = field.tag_and_type();
        const bool is_label = kind == bytes_field(1) && !samples_begun;
        const bool is_other = kind == bytes_field(3) || kind == bytes_field(4);
        if (!is_label && !is_other && kind != bytes_field(2))
          return base::fail(ErrorCode::kInvalid, "a series is not labels and then samples");
        const auto view = field.get_view();
        const char* const end = view.data() + view.size();
        if (is_label) {
          labels_end = end;
        } else {
          samples_begun = true;
          const std::string_view labels(series.data(), static_cast<std::size_t>(labels_end - series.data()));
          if (is_other) {
            sink.other(labels, kind == bytes_field(3) ? OtherKind::kExemplar : OtherKind::kHistogram,
                       {begin, static_cast<std::size_t>(end - begin)});
          } else {
            sink.sample(labels, read_sample(view));
          }
        }
        begin = end;
      }
    }
    return {};
  });
}

base::Result<LabelSet> decode_labels(std::string_view encoded_labels) {
  std::vector<Label> labels;
  QD_TRY(caught([&]() -> base::Status {
    for (pbf_reader reader(encoded_labels.data(), encoded_labels.size());
         reader.next(1, pbf_wire_type::length_delimited);)
      labels.push_back(read_label(reader.get_message()));
    return {};
  }));
  return checked_labels(labels, labels.size() > kLabelsMax, Naming::kSeries);
}

base::Result<DecodedExemplar> decode_exemplar(std::string_view field) {
  class Take final : public WriteSink {
   public:
    void series(base::Result<LabelSet>) override {}
    void sample(const Sample&) override {}
    void histogram(TimestampMs, base::Result<Histogram>) override {}
    void exemplar(base::Result<LabelSet> labels, const Sample& sample) override {
      labels_ = std::move(labels);
      sample_ = sample;
    }
    void metadata(std::string_view, MetricType, std::string_view, std::string_view) override {}

    base::Result<LabelSet> labels_ = base::fail(ErrorCode::kInvalid, "it is no exemplar");
    Sample sample_{0, 0};
  } take;
  QD_TRY(caught([&]() -> base::Status {
    pbf_reader reader(field.data(), field.size());
    if (reader.next(3, pbf_wire_type::length_delimited)) read_exemplar(reader.get_message(), take);
    return {};
  }));
  QD_ASSIGN(LabelSet labels, std::move(take.labels_));
  return DecodedExemplar{.labels = std::move(labels), .sample = take.sample_};
}

base::Result<TimedHistogram> decode_histogram(std::string_view field) {
  std::string_view message;
  QD_TRY(caught([&]() -> base::Status {
    pbf_reader reader(field.data(), field.size());
    if (!reader.next(4, pbf_wire_type::length_delimited)) return base::fail(ErrorCode::kInvalid, "it is no histogram");
    message = text_of(reader);
    return {};
  }));
  return read_histogram(message);
}

}  // namespace qd::model::remote_write
