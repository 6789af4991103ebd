#include "model/remote_write/write_request_v2.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <utility>

#include "base/strings.h"
#include "model/remote_write/histogram_wire.h"
#include "model/remote_write/labels_wire.h"

namespace qd::model::remote_write {
namespace {

using base::ErrorCode;
using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

// The numbers of io.prometheus.write.v2.Metadata.MetricType.
constexpr std::array kTypes = {MetricType::kUnknown,   MetricType::kCounter,        MetricType::kGauge,
                               MetricType::kHistogram, MetricType::kGaugeHistogram, MetricType::kSummary,
                               MetricType::kInfo,      MetricType::kStateSet};

constexpr auto bytes_field(std::uint32_t tag) {
  return tag_and_type(tag, pbf_wire_type::length_delimited);
}

std::string_view text_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

// Of a series of a histogram or summary, the family; others are their own.
std::string_view family_of(std::string_view name, MetricType type) {
  if (type != MetricType::kHistogram && type != MetricType::kGaugeHistogram && type != MetricType::kSummary)
    return name;
  for (const std::string_view suffix : {"_bucket", "_count", "_sum"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  return name;
}

// int64 start_timestamp of a Sample or a Histogram; 0 where it is not told.
TimestampMs start_of(const protozero::data_view& message, std::uint32_t tag) {
  TimestampMs start_ms = 0;
  for (pbf_reader reader(message); reader.next();) {
    if (reader.tag_and_type() == tag_and_type(tag, pbf_wire_type::varint)) {
      start_ms = reader.get_int64();
    } else {
      reader.skip();
    }
  }
  return start_ms;
}

class Reader {
 public:
  Reader(std::vector<std::string_view> symbols, WriteSink& sink) : symbols_(std::move(symbols)), sink_(sink) {}

  base::Status series(const pbf_reader& message) {
    refs_.clear();
    bool any = false;
    // Of the series, as 2.0 had it first: its first sample's.
    TimestampMs created_ms = 0;
    for (pbf_reader reader = message; reader.next();) {
      if (take_refs(reader, refs_)) continue;
      const auto kind = reader.tag_and_type();
      if (kind == tag_and_type(6, pbf_wire_type::varint)) {
        created_ms = reader.get_int64();
        continue;
      }
      any = any || kind == bytes_field(2) || kind == bytes_field(3) || kind == bytes_field(4);
      reader.skip();
    }
    QD_ASSIGN(bool too_many, resolve(refs_));
    std::string_view name;
    for (const Label& label : labels_)
      if (label.name == kMetricName) name = label.value;
    if (any) sink_.series(checked_labels(labels_, too_many, Naming::kSeries));
    const bool starts = sink_.wants_starts();
    const auto tell_start = [&](const protozero::data_view& sample, std::uint32_t tag) {
      if (!starts) return;
      const TimestampMs start_ms = start_of(sample, tag);
      const TimestampMs of_series_ms = std::exchange(created_ms, 0);
      if (start_ms != 0 || of_series_ms != 0) sink_.start(start_ms != 0 ? start_ms : of_series_ms);
    };
    Metadata metadata;
    std::uint64_t type = 0;
    std::string_view help;
    std::string_view unit;
    for (pbf_reader reader = message; reader.next();) {
      switch (reader.tag_and_type()) {
        case bytes_field(2): {
          const auto view = reader.get_view();
          tell_start(view, 3);
          sink_.sample(read_sample(view));
          break;
        }
        case bytes_field(3): {
          const auto view = reader.get_view();
          QD_ASSIGN(const TimedHistogram timed, read_histogram({view.data(), view.size()}));
          tell_start(view, 17);
          tell(timed, sink_);
          break;
        }
        case bytes_field(4):
          QD_TRY(exemplar(reader.get_message()));
          break;
        case bytes_field(5):
          QD_TRY(words(reader.get_message(), type, help, unit));
          break;
        default:
          reader.skip();
      }
    }
    if (name.empty() || (type == 0 && help.empty() && unit.empty())) return {};
    const MetricType known = type < kTypes.size() ? kTypes[type] : MetricType::kUnknown;
    tell_metadata(family_of(name, known), known, help, unit, sink_);
    return {};
  }

 private:
  // Packed or not, as protobuf allows both.
  static bool take_refs(pbf_reader& reader, std::vector<std::uint32_t>& refs) {
    const auto take = [&](std::uint32_t ref) {
      // One past what is taken, so that it can be told.
      if (refs.size() <= 2 * kLabelsMax + 1) refs.push_back(ref);
    };
    if (reader.tag_and_type() == bytes_field(1)) {
      for (const std::uint32_t ref : reader.get_packed_uint32()) take(ref);
      return true;
    }
    if (reader.tag_and_type() != tag_and_type(1, pbf_wire_type::varint)) return false;
    take(reader.get_uint32());
    return true;
  }

  base::Result<std::string_view> symbol(std::uint32_t ref) {
    if (ref >= symbols_.size())
      return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of remote write: it names text {} "
                                                         "of {}",
                                                         ref, symbols_.size()));
    expanded_ += symbols_[ref].size();
    if (expanded_ > kExpandedBytesMax)
      return base::fail(ErrorCode::kLimit,
                        fmt::format("the labels of the body are more than {} bytes", kExpandedBytesMax));
    return symbols_[ref];
  }

  // Fills labels_. True: there are too many.
  base::Result<bool> resolve(const std::vector<std::uint32_t>& refs) {
    labels_.clear();
    if (refs.size() > 2 * kLabelsMax) return true;
    if (refs.size() % 2 != 0)
      return base::fail(ErrorCode::kInvalid, "the body is no message of remote write: a label has no value");
    for (std::size_t i = 0; i < refs.size(); i += 2) {
      QD_ASSIGN(const std::string_view name, symbol(refs[i]));
      QD_ASSIGN(const std::string_view value, symbol(refs[i + 1]));
      labels_.push_back({name, value});
    }
    return false;
  }

  base::Status exemplar(pbf_reader reader) {
    refs_.clear();
    Sample sample{0, 0};
    while (reader.next()) {
      if (take_refs(reader, refs_)) continue;
      switch (reader.tag_and_type()) {
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
    QD_ASSIGN(const bool too_many, resolve(refs_));
    sink_.exemplar(checked_labels(labels_, too_many, Naming::kExemplar), sample);
    return {};
  }

  base::Status words(pbf_reader reader, std::uint64_t& type, std::string_view& help, std::string_view& unit) {
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case tag_and_type(1, pbf_wire_type::varint):
          type = reader.get_uint64();
          break;
        case tag_and_type(3, pbf_wire_type::varint): {
          QD_ASSIGN(help, symbol(reader.get_uint32()));
          break;
        }
        case tag_and_type(4, pbf_wire_type::varint): {
          QD_ASSIGN(unit, symbol(reader.get_uint32()));
          break;
        }
        default:
          reader.skip();
      }
    }
    return {};
  }

  const std::vector<std::string_view> symbols_;
  WriteSink& sink_;
  std::vector<std::uint32_t> refs_;
  std::vector<Label> labels_;
  std::size_t expanded_ = 0;
};

}  // namespace

base::Status read_write_request_v2(std::string_view message, WriteSink& sink) {
  try {
    // The table may stand behind the series, as fields of a message may.
    std::vector<std::string_view> symbols;
    for (pbf_reader reader(message.data(), message.size()); reader.next();) {
      if (reader.tag_and_type() == bytes_field(4)) {
        symbols.push_back(text_of(reader));
      } else {
        reader.skip();
      }
    }
    if (!symbols.empty() && !symbols.front().empty())
      return base::fail(ErrorCode::kInvalid, "the body is no message of remote write: its first text is not empty");
    Reader series(std::move(symbols), sink);
    for (pbf_reader reader(message.data(), message.size()); reader.next();) {
      if (reader.tag_and_type() == bytes_field(5)) {
        QD_TRY(series.series(reader.get_message()));
      } else {
        reader.skip();
      }
    }
    return {};
  } catch (const protozero::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of remote write: {}", e.what()));
  }
}

WriteRequestV2::WriteRequestV2() {
  static_cast<void>(ref(""));
}

std::uint32_t WriteRequestV2::ref(std::string_view text) {
  if (const auto it = refs_.find(text); it != refs_.end()) return it->second;
  const auto number = static_cast<std::uint32_t>(refs_.size());
  refs_.emplace(text, number);
  pbf_writer(symbols_).add_string(4, text.data(), text.size());
  return number;
}

void WriteRequestV2::end_series() {
  if (open_) pbf_writer(all_).add_message(5, one_);
  open_ = false;
  one_.clear();
}

void WriteRequestV2::series(const LabelSet& labels, const Metadata* metadata) {
  end_series();
  open_ = true;
  std::vector<std::uint32_t> refs;
  for (const Label& label : labels) {
    refs.push_back(ref(label.name));
    refs.push_back(ref(label.value));
  }
  pbf_writer writer(one_);
  writer.add_packed_uint32(1, refs.begin(), refs.end());
  if (metadata == nullptr) return;
  const std::uint32_t help = ref(metadata->help);
  const std::uint32_t unit = ref(metadata->unit);
  const auto type = std::ranges::find(kTypes, metadata->type);
  pbf_writer field(writer, 5);
  field.add_enum(1, static_cast<std::int32_t>(type == kTypes.end() ? 0 : type - kTypes.begin()));
  field.add_uint32(3, help);
  field.add_uint32(4, unit);
}

void WriteRequestV2::sample(const Sample& sample, TimestampMs start_ms) {
  pbf_writer writer(one_);
  pbf_writer field(writer, 2);
  field.add_double(1, sample.value);
  field.add_int64(2, sample.time_ms);
  if (start_ms != 0) field.add_int64(3, start_ms);
}

void WriteRequestV2::histogram(TimestampMs time_ms, const Histogram& histogram) {
  std::string field;
  append_histogram(field, time_ms, histogram);
  pbf_writer(one_).add_message(3, field);
}

void WriteRequestV2::exemplar(const LabelSet& labels, const Sample& sample) {
  std::vector<std::uint32_t> refs;
  for (const Label& label : labels) {
    refs.push_back(ref(label.name));
    refs.push_back(ref(label.value));
  }
  pbf_writer writer(one_);
  pbf_writer field(writer, 4);
  field.add_packed_uint32(1, refs.begin(), refs.end());
  field.add_double(2, sample.value);
  field.add_int64(3, sample.time_ms);
}

std::string WriteRequestV2::finish() {
  end_series();
  std::string message = std::exchange(symbols_, {});
  message += all_;
  all_.clear();
  refs_.clear();
  static_cast<void>(ref(""));
  return message;
}

}  // namespace qd::model::remote_write
