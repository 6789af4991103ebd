#include "model/exposition/proto_parser.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <deque>
#include <exception>
#include <limits>
#include <protozero/pbf_reader.hpp>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace qd::model::exposition {

using base::ErrorCode;
using protozero::pbf_reader;

namespace {

constexpr std::size_t kBucketsMax = 100'000;  // of one classic histogram

// The numbers of io.prometheus.client.MetricType.
enum class Type : std::uint8_t { kCounter, kGauge, kSummary, kUntyped, kHistogram, kGaugeHistogram };

MetricType model_type(Type type) {
  switch (type) {
    case Type::kCounter:
      return MetricType::kCounter;
    case Type::kGauge:
      return MetricType::kGauge;
    case Type::kSummary:
      return MetricType::kSummary;
    case Type::kHistogram:
      return MetricType::kHistogram;
    case Type::kGaugeHistogram:
      return MetricType::kGaugeHistogram;
    case Type::kUntyped:
      break;
  }
  return MetricType::kUnknown;
}

std::string_view text_of(pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

// As OpenMetrics has numbers in labels: Go's shortest form, with a point where it would look like an integer.
std::string label_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  const double size = std::abs(value);
  std::string text;
  if (size != 0 && (size < 1e-4 || size >= 1e21)) {
    char buffer[64];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    text.assign(buffer, end);
  } else {
    text = base::format_float(value);
  }
  if (text.find_first_of(".e") == std::string::npos) text.append(".0");
  return text;
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else {
      out.push_back(c);
    }
  }
}

struct Bucket {
  double upper_bound = 0;
  double count = 0;  // up to the bound
};

// A histogram as the wire has it, both of its parts.
struct WireHistogram {
  Histogram native;
  std::vector<std::int64_t> positive_deltas;
  std::vector<std::int64_t> negative_deltas;
  bool is_float = false;
  bool has_zero = false;
  std::vector<Bucket> buckets;

  bool is_native() const {
    return !native.positive_spans.empty() || !native.negative_spans.empty() || native.zero_threshold > 0 || has_zero;
  }
};

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

Histogram native_of(WireHistogram&& wire, Type type) {
  Histogram out = std::move(wire.native);
  out.is_integer = !wire.is_float;
  if (out.is_integer) {
    out.positive = summed(wire.positive_deltas);
    out.negative = summed(wire.negative_deltas);
  }
  out.reset = type == Type::kGaugeHistogram ? CounterReset::kGauge : CounterReset::kUnknown;
  return out;
}

// One whose buckets have the bounds of the classic ones.
Histogram native_of_buckets(const WireHistogram& wire, Type type) {
  Histogram out;
  out.schema = kCustomBounds;
  out.is_integer = !wire.is_float;
  out.count = wire.native.count;
  out.sum = wire.native.sum;
  out.reset = type == Type::kGaugeHistogram ? CounterReset::kGauge : CounterReset::kUnknown;
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

}  // namespace

class ProtoParser::Core {
 public:
  Core(std::string_view body, const Options& options) : rest_(body), options_(options) {}

  base::Result<Event> next() {
    if (done_) return Event::kEof;
    // protozero tells by exceptions.
    try {
      return step();
    } catch (const std::exception& thrown) {
      done_ = true;
      return base::fail(ErrorCode::kCorrupt, fmt::format("message {}: {}", message_, thrown.what()));
    }
  }

  std::string_view family() const { return family_; }
  MetricType type() const { return model_type(type_); }
  std::string_view help() const { return help_; }
  std::string_view unit() const { return unit_; }
  std::string_view series() const { return series_; }
  std::optional<TimestampMs> timestamp_ms() const { return timestamp_ms_; }
  double value() const { return current_.value; }
  const Histogram& histogram() const { return histogram_; }

  std::span<const Label> labels() {
    labels_.clear();
    labels_.push_back({kMetricName, name_});
    for (const auto& [name, value] : own_labels_) labels_.push_back({name, value});
    if (!current_.label.empty()) labels_.push_back({current_.label, current_.label_value});
    return labels_;
  }

 private:
  // A series of the metric that is being read.
  struct Pending {
    std::string_view suffix;
    std::string_view label = {};
    std::string label_value = {};
    double value = 0;
    bool is_histogram = false;
  };

  base::Result<Event> step() {
    while (true) {
      if (!events_.empty()) {
        const Event event = events_.front();
        events_.pop_front();
        return event;
      }
      if (!pending_.empty()) {
        current_ = std::move(pending_.front());
        pending_.pop_front();
        write_series();
        return current_.is_histogram ? Event::kHistogram : Event::kSeries;
      }
      if (metrics_.next(4)) {
        QD_TRY(read_metric(metrics_.get_message()));
        continue;
      }
      if (rest_.empty()) {
        done_ = true;
        return Event::kEof;
      }
      QD_TRY(begin_family());
    }
  }

  base::Status begin_family() {
    ++message_;
    const char* at = rest_.data();
    const std::uint64_t size = protozero::decode_varint(&at, rest_.data() + rest_.size());
    rest_.remove_prefix(static_cast<std::size_t>(at - rest_.data()));
    if (size > rest_.size()) return fail(ErrorCode::kCorrupt, "the body ends inside of it");
    const protozero::data_view view(rest_.data(), static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    family_ = help_ = unit_ = {};
    type_ = Type::kCounter;
    // All of these fields, wherever they stand; the metrics are read one by one after it.
    pbf_reader fields(view);
    while (fields.next()) {
      switch (fields.tag()) {
        case 1:
          family_ = text_of(fields);
          break;
        case 2:
          help_ = text_of(fields);
          break;
        case 3: {
          const auto type = fields.get_enum();
          type_ = type >= 0 && type <= 5 ? static_cast<Type>(type) : Type::kUntyped;
          break;
        }
        case 5:
          unit_ = text_of(fields);
          break;
        default:
          fields.skip();
      }
    }
    if (family_.empty() || !base::valid_utf8(family_)) return fail(ErrorCode::kInvalid, "a family without a name");
    metrics_ = pbf_reader(view);
    events_.push_back(Event::kType);
    if (!help_.empty()) events_.push_back(Event::kHelp);
    if (!unit_.empty()) events_.push_back(Event::kUnit);
    return {};
  }

  base::Status read_metric(pbf_reader metric) {
    own_labels_.clear();
    timestamp_ms_.reset();
    while (metric.next()) {
      switch (metric.tag()) {
        case 1:
          read_label(metric.get_message());
          break;
        case 2:
          if (type_ == Type::kGauge)
            add_value(metric.get_message());
          else
            metric.skip();
          break;
        case 3:
          if (type_ == Type::kCounter)
            add_value(metric.get_message());
          else
            metric.skip();
          break;
        case 4:
          if (type_ == Type::kSummary)
            add_summary(metric.get_message());
          else
            metric.skip();
          break;
        case 5:
          if (type_ == Type::kUntyped)
            add_value(metric.get_message());
          else
            metric.skip();
          break;
        case 6:
          if (const std::int64_t time_ms = metric.get_int64(); time_ms != 0) timestamp_ms_ = time_ms;
          break;
        case 7:
          if (type_ == Type::kHistogram || type_ == Type::kGaugeHistogram)
            QD_TRY(add_histogram(metric.get_message()));
          else
            metric.skip();
          break;
        default:
          metric.skip();
      }
    }
    return check_labels();
  }

  base::Status check_labels() const {
    for (std::size_t i = 0; i < own_labels_.size(); ++i) {
      const auto& [name, value] = own_labels_[i];
      if (name.empty() || name == kMetricName || !base::valid_utf8(name) || !base::valid_utf8(value))
        return fail(ErrorCode::kInvalid, fmt::format("{} has a label that is none", family_));
      for (std::size_t j = 0; j < i; ++j) {
        if (own_labels_[j].first == name)
          return fail(ErrorCode::kInvalid, fmt::format("{} has the label {} twice", family_, name));
      }
      // All series of a metric that have a label of their own have the same.
      if (!pending_.empty() && pending_.front().label == name)
        return fail(ErrorCode::kInvalid, fmt::format("{} has the label {}, which is its buckets'", family_, name));
    }
    return {};
  }

  void read_label(pbf_reader label) {
    auto& [name, value] = own_labels_.emplace_back();
    while (label.next()) {
      if (label.tag() == 1) {
        name = text_of(label);
      } else if (label.tag() == 2) {
        value = text_of(label);
      } else {
        label.skip();
      }
    }
  }

  // Counter, Gauge and Untyped have the value first.
  void add_value(pbf_reader message) {
    Pending& one = pending_.emplace_back();
    while (message.next()) {
      if (message.tag() == 1) {
        one.value = message.get_double();
      } else {
        message.skip();
      }
    }
  }

  void add_summary(pbf_reader message) {
    double sum = 0;
    double count = 0;
    while (message.next()) {
      if (message.tag() == 1) {
        count = static_cast<double>(message.get_uint64());
      } else if (message.tag() == 2) {
        sum = message.get_double();
      } else if (message.tag() == 3) {
        const Bucket quantile = read_quantile(message.get_message());
        pending_.push_back({.suffix = {},
                            .label = "quantile",
                            .label_value = label_number(quantile.upper_bound),
                            .value = quantile.count});
      } else {
        message.skip();
      }
    }
    pending_.push_back({.suffix = "_sum", .value = sum});
    pending_.push_back({.suffix = "_count", .value = count});
  }

  static Bucket read_quantile(pbf_reader reader) {
    Bucket quantile;
    while (reader.next()) {
      if (reader.tag() == 1) {
        quantile.upper_bound = reader.get_double();
      } else if (reader.tag() == 2) {
        quantile.count = reader.get_double();
      } else {
        reader.skip();
      }
    }
    return quantile;
  }

  base::Status add_histogram(const pbf_reader& message) {
    WireHistogram wire = read_histogram(message);
    const bool native = options_.native_histograms && wire.is_native();
    const bool convert = !native && options_.classic_to_native && !wire.buckets.empty();
    if ((!native && !convert) || options_.classic_histograms) add_classic(wire);
    if (!native && !convert) return {};
    histogram_ = convert ? native_of_buckets(wire, type_) : native_of(std::move(wire), type_);
    pending_.push_back({.suffix = {}, .is_histogram = true});
    return {};
  }

  void add_classic(const WireHistogram& wire) {
    bool infinite = false;
    for (const Bucket& bucket : wire.buckets) {
      infinite = infinite || bucket.upper_bound == std::numeric_limits<double>::infinity();
      pending_.push_back(
          {.suffix = "_bucket", .label = "le", .label_value = label_number(bucket.upper_bound), .value = bucket.count});
    }
    if (!infinite)
      pending_.push_back({.suffix = "_bucket", .label = "le", .label_value = "+Inf", .value = wire.native.count});
    pending_.push_back({.suffix = "_sum", .value = wire.native.sum});
    pending_.push_back({.suffix = "_count", .value = wire.native.count});
  }

  void write_series() {
    name_.assign(family_).append(current_.suffix);
    series_.assign(name_);
    char separator = '{';
    const auto add = [&](std::string_view name, std::string_view value) {
      series_.push_back(separator);
      separator = ',';
      series_.append(name).append("=\"");
      append_escaped(series_, value);
      series_.push_back('"');
    };
    for (const auto& [name, value] : own_labels_) add(name, value);
    if (!current_.label.empty()) add(current_.label, current_.label_value);
    if (separator == ',') series_.push_back('}');
    // A histogram and a number of one name are two series to whoever remembers them by their text.
    if (current_.is_histogram) series_.append("#histogram");
  }

  base::Status fail(ErrorCode code, std::string_view what) const {
    return base::fail(code, fmt::format("message {}: {}", message_, what));
  }

  std::string_view rest_;
  const Options options_;
  bool done_ = false;
  std::size_t message_ = 0;

  std::string_view family_;
  std::string_view help_;
  std::string_view unit_;
  Type type_ = Type::kCounter;
  pbf_reader metrics_;
  std::deque<Event> events_;

  std::vector<std::pair<std::string_view, std::string_view>> own_labels_;
  std::optional<TimestampMs> timestamp_ms_;
  std::deque<Pending> pending_;
  Pending current_;
  Histogram histogram_;
  std::string name_;
  std::string series_;
  std::vector<Label> labels_;
};

ProtoParser::ProtoParser(std::string_view body, const Options& options)
    : core_(std::make_unique<Core>(body, options)) {}
ProtoParser::~ProtoParser() = default;

base::Result<Event> ProtoParser::next(std::string_view) {
  return core_->next();
}
std::string_view ProtoParser::series() const {
  return core_->series();
}
std::span<const Label> ProtoParser::labels() {
  return core_->labels();
}
std::optional<TimestampMs> ProtoParser::timestamp_ms() const {
  return core_->timestamp_ms();
}
double ProtoParser::value() const {
  return core_->value();
}
const Histogram& ProtoParser::histogram() const {
  return core_->histogram();
}
std::string_view ProtoParser::family() const {
  return core_->family();
}
MetricType ProtoParser::type() const {
  return core_->type();
}
std::string_view ProtoParser::help() const {
  return core_->help();
}
std::string_view ProtoParser::unit() const {
  return core_->unit();
}

}  // namespace qd::model::exposition
