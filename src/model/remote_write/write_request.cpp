#include "model/remote_write/write_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <vector>

#include "base/strings.h"

namespace qd::model::remote_write {

namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

// Of a name or value in an error.
constexpr std::size_t kShownBytes = 100;

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

std::string shown(std::string_view text) {
  return base::quote(text.substr(0, kShownBytes));
}

Sample read_sample(pbf_reader reader) {
  Sample sample{0, 0};
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::fixed64):
        sample.value = reader.get_double();
        break;
      case tag_and_type(2, pbf_wire_type::varint):
        sample.time_ms = reader.get_int64();
        break;
      default:
        reader.skip();
    }
  }
  return sample;
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

// As Prometheus takes names since its version 3.
bool valid_name(std::string_view name) {
  return !name.empty() && base::valid_utf8(name);
}

std::unexpected<base::Error> no_series(std::string message) {
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

// Sorts `labels`.
base::Result<LabelSet> checked(std::vector<Label>& labels, bool too_many) {
  if (too_many) return no_series(fmt::format("a series has more than {} labels", kLabelsMax));
  std::ranges::sort(labels);
  bool named = false;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Label& label = labels[i];
    if (i > 0 && labels[i - 1].name == label.name)
      return no_series(fmt::format("a series has the label {} twice", shown(label.name)));
    if (!valid_name(label.name)) return no_series(fmt::format("{} is no name for a label", shown(label.name)));
    if (!base::valid_utf8(label.value))
      return no_series(fmt::format("the value of the label {} is not UTF-8", shown(label.name)));
    named = named || (label.name == kMetricName && !label.value.empty());
  }
  if (!named) return no_series("a series has no metric name");
  return LabelSet::from(labels);
}

// Labels first, wherever they stand, then the samples one by one: neither is held whole for long.
void read_series(const pbf_reader& series, std::vector<Label>& labels, WriteSink& sink) {
  labels.clear();
  bool too_many = false;
  std::size_t histograms = 0;
  std::size_t exemplars = 0;
  bool any = false;
  for (pbf_reader reader = series; reader.next();) {
    switch (reader.tag_and_type()) {
      case bytes_field(1): {
        const Label label = read_label(reader.get_message());
        too_many = too_many || labels.size() == kLabelsMax;
        if (!too_many) labels.push_back(label);
        break;
      }
      case bytes_field(2):
        any = true;
        reader.skip();
        break;
      case bytes_field(3):
        ++exemplars;
        reader.skip();
        break;
      case bytes_field(4):
        ++histograms;
        reader.skip();
        break;
      default:
        reader.skip();
    }
  }
  if (exemplars > 0) sink.exemplars(exemplars);
  if (histograms > 0) sink.native_histograms(histograms);
  if (!any) return;
  sink.series(checked(labels, too_many));
  for (pbf_reader reader = series; reader.next();) {
    if (reader.tag_and_type() == bytes_field(2)) {
      sink.sample(read_sample(reader.get_message()));
    } else {
      reader.skip();
    }
  }
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
  const bool fits = help.size() <= kHelpBytesMax && unit.size() <= kHelpBytesMax && valid_name(family);
  if (!fits || !base::valid_utf8(help) || !base::valid_utf8(unit)) return;
  sink.metadata(family, type < kTypes.size() ? kTypes[type] : MetricType::kUnknown, help, unit);
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
          read_series(reader.get_message(), labels, sink);
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

void append_series(std::string& message, std::string_view encoded_labels, std::span<const Sample> samples) {
  pbf_writer request(message);
  pbf_writer series(request, 1);
  // The fields of the labels, with their tags: already as they stand in a TimeSeries.
  message.append(encoded_labels);
  for (const Sample& sample : samples) {
    pbf_writer field(series, 2);
    field.add_double(1, sample.value);
    field.add_int64(2, sample.time_ms);
  }
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
      bool samples_begun = false;
      for (pbf_reader field(series); field.next();) {
        const auto kind = field.tag_and_type();
        const bool is_label = kind == bytes_field(1) && !samples_begun;
        if (!is_label && kind != bytes_field(2))
          return base::fail(ErrorCode::kInvalid, "a series is not labels and then samples");
        const auto view = field.get_view();
        if (is_label) {
          labels_end = view.data() + view.size();
          continue;
        }
        samples_begun = true;
        sink.sample({series.data(), static_cast<std::size_t>(labels_end - series.data())},
                    read_sample(pbf_reader(view)));
      }
    }
    return {};
  });
}

}  // namespace qd::model::remote_write
