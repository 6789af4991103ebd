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
#include "model/exposition/proto_exemplar.h"
#include "model/exposition/proto_histogram.h"

namespace qd::model::exposition {

using base::ErrorCode;
using protozero::pbf_reader;

namespace {

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
  std::optional<TimestampMs> created_ms() const { return current_.label == "quantile" ? std::nullopt : created_ms_; }
  double value() const { return current_.value; }
  const Histogram& histogram() const { return histogram_; }
  std::span<const Exemplar> exemplars() const { return current_.exemplars; }

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
    std::vector<Exemplar> exemplars = {};
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
    const char* const begin = rest_.data();
    const char* at = begin;
    const std::uint64_t size = protozero::decode_varint(&at, begin + rest_.size());
    rest_.remove_prefix(static_cast<std::size_t>(at - begin));
    if (size > rest_.size()) return fail(ErrorCode::kCorrupt, "the body ends inside of it");
    const std::string_view body = rest_.substr(0, static_cast<std::size_t>(size));
    const protozero::data_view view(body.data(), body.size());
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
    created_ms_.reset();
    while (metric.next()) {
      switch (metric.tag()) {
        case 1:
          own_labels_.push_back(read_label_pair(metric.get_message()));
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

  // Counter, Gauge and Untyped have the value first; a counter may have an exemplar after it.
  void add_value(pbf_reader message) {
    Pending& one = pending_.emplace_back();
    while (message.next()) {
      if (message.tag() == 1) {
        one.value = message.get_double();
      } else if (message.tag() == 2 && type_ == Type::kCounter) {
        read_exemplar(message.get_message(), one.exemplars);
      } else if (message.tag() == 3 && type_ == Type::kCounter) {
        created_ms_ = read_timestamp(message.get_message());
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
      } else if (message.tag() == 4) {
        created_ms_ = read_timestamp(message.get_message());
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
    if (type_ == Type::kHistogram) created_ms_ = wire.created_ms;
    const bool native = options_.native_histograms && wire.is_native();
    const bool convert = !native && options_.classic_to_native && !wire.buckets.empty();
    if ((!native && !convert) || options_.classic_histograms) add_classic(wire);
    if (!native && !convert) return {};
    std::vector<Exemplar> exemplars = std::move(wire.exemplars);
    // Those of the classic part, where the native one has none of its own.
    if (exemplars.empty()) {
      for (const Bucket& bucket : wire.buckets)
        exemplars.insert(exemplars.end(), bucket.exemplars.begin(), bucket.exemplars.end());
      if (exemplars.size() > kExemplarsMax) exemplars.resize(kExemplarsMax);
    }
    const bool gauge = type_ == Type::kGaugeHistogram;
    histogram_ = convert ? native_of_buckets(wire, gauge) : native_of(std::move(wire), gauge);
    pending_.push_back({.suffix = {}, .is_histogram = true, .exemplars = std::move(exemplars)});
    return {};
  }

  void add_classic(const WireHistogram& wire) {
    bool infinite = false;
    for (const Bucket& bucket : wire.buckets) {
      infinite = infinite || bucket.upper_bound == std::numeric_limits<double>::infinity();
      pending_.push_back({.suffix = "_bucket",
                          .label = "le",
                          .label_value = label_number(bucket.upper_bound),
                          .value = bucket.count,
                          .exemplars = bucket.exemplars});
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
  std::optional<TimestampMs> created_ms_;
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
std::optional<TimestampMs> ProtoParser::created_ms() const {
  return core_->created_ms();
}
double ProtoParser::value() const {
  return core_->value();
}
std::span<const ProtoParser::Exemplar> ProtoParser::exemplars() const {
  return core_->exemplars();
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
