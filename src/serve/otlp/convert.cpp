#include "serve/otlp/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

#include "base/strings.h"
#include "model/histogram_arithmetic.h"
#include "model/histogram_layout.h"

namespace qd::serve::otlp {

namespace {

using model::otlp::Attribute;
using model::otlp::Attributes;
using model::otlp::Buckets;
using model::otlp::Kind;
using model::otlp::Temporality;
using model::otlp::Translation;

constexpr std::uint64_t kAheadMaxNs = 10ULL * 60 * 1'000'000'000;
constexpr std::string_view kServiceName = "service.name";
constexpr std::string_view kServiceNamespace = "service.namespace";
constexpr std::string_view kServiceInstance = "service.instance.id";
// Where the sender says nothing of how far the zero bucket reaches; as Prometheus has it.
constexpr double kZeroThreshold = 1e-128;
constexpr std::size_t kShownBytes = 200;

std::string_view find(const Attributes& attributes, std::string_view key) {
  const auto it = std::ranges::find(attributes, key, &Attribute::key);
  return it == attributes.end() ? std::string_view{} : std::string_view(it->value);
}

model::TimestampMs to_ms(std::uint64_t ns) {
  return static_cast<model::TimestampMs>(ns / 1'000'000);
}

// REQUIRES: UTF-8.
std::size_t characters_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

// Attributes as labels; those whose names become one are joined by ';' in order of their names.
std::map<std::string, std::string> labels_of(const Attributes& attributes, Translation translation) {
  Attributes sorted = attributes;
  std::ranges::stable_sort(sorted, {}, &Attribute::key);
  std::map<std::string, std::string> labels;
  for (const Attribute& attribute : sorted) {
    std::string name = model::otlp::label_name(attribute.key, translation);
    const auto [it, added] = labels.try_emplace(std::move(name), attribute.value);
    if (!added) it->second += ";" + attribute.value;
  }
  return labels;
}

// Bucket `offset` of OTLP is above base^offset and up to base^(offset + 1); that of Prometheus is named by its upper
// end.
bool fill_side(const Buckets& buckets, std::vector<model::BucketSpan>& spans, std::vector<double>& counts) {
  if (buckets.counts.size() > model::kHistogramBucketsMax) return false;
  model::SideBuilder side;
  for (std::size_t i = 0; i < buckets.counts.size(); ++i) {
    if (buckets.counts[i] == 0) continue;
    const std::int64_t index = std::int64_t{buckets.offset} + static_cast<std::int64_t>(i) + 1;
    if (index >= std::numeric_limits<std::int32_t>::max() || index <= std::numeric_limits<std::int32_t>::min())
      return false;
    side.add(index, static_cast<double>(buckets.counts[i]));
  }
  side.finish(spans, counts);
  return true;
}

}  // namespace

DeltaSums::Turn::Turn(DeltaSums& sums) : sums_(sums) {
  base::MutexLock lock(sums_.mutex_);
  while (sums_.taken_) sums_.turned_.wait(sums_.mutex_);
  sums_.taken_ = true;
}

DeltaSums::Turn::~Turn() {
  base::MutexLock lock(sums_.mutex_);
  sums_.taken_ = false;
  sums_.turned_.notify_all();
}

std::optional<double> DeltaSums::Turn::add(const model::LabelSet& labels, std::uint64_t time_ns, double difference,
                                           std::uint64_t now_ns, std::size_t place) {
  Added next{.key = std::string(labels.bytes()), .sum = {}, .place = place};
  if (const auto it = newest_.find(next.key); it != newest_.end()) {
    next.before = it->second;
    next.sum = added_[it->second].sum;
  } else if (const auto sum = sums_.find(next.key)) {
    next.sum = *sum;
  } else if (!sums_.has_room(newest_.size(), now_ns)) {
    return std::nullopt;
  }
  if (next.sum.time_ns != 0 && time_ns <= next.sum.time_ns) return std::nullopt;
  next.sum.value += difference;
  next.sum.time_ns = time_ns;
  next.sum.added_ns = now_ns;
  const double value = next.sum.value;
  newest_[next.key] = added_.size();
  added_.push_back(std::move(next));
  return value;
}

void DeltaSums::Turn::drop_from(std::size_t place) {
  while (!added_.empty() && added_.back().place >= place) {
    const Added& last = added_.back();
    if (last.before == kNone) {
      newest_.erase(last.key);
    } else {
      newest_[last.key] = last.before;
    }
    added_.pop_back();
  }
}

void DeltaSums::Turn::commit(std::span<const std::size_t> refused) {
  base::MutexLock lock(sums_.mutex_);
  for (Added& one : added_) {
    if (std::ranges::binary_search(refused, one.place)) continue;
    sums_.sums_.insert_or_assign(std::move(one.key), one.sum);
  }
  added_.clear();
  newest_.clear();
}

std::optional<DeltaSums::Sum> DeltaSums::find(const std::string& key) {
  base::MutexLock lock(mutex_);
  const auto it = sums_.find(key);
  return it == sums_.end() ? std::nullopt : std::optional(it->second);
}

bool DeltaSums::has_room(std::size_t others, std::uint64_t now_ns) {
  base::MutexLock lock(mutex_);
  if (sums_.size() + others < kSeriesMax) return true;
  if (now_ns < looked_ns_ + kLookEveryNs) return false;
  looked_ns_ = now_ns;
  std::erase_if(sums_, [&](const auto& entry) { return entry.second.added_ns + kForgetNs < now_ns; });
  return sums_.size() + others < kSeriesMax;
}

void Converter::resource(const Attributes& attributes) {
  const std::string_view name = find(attributes, kServiceName);
  const std::string_view space = find(attributes, kServiceNamespace);
  job_ = space.empty() || name.empty() ? std::string(name) : fmt::format("{}/{}", space, name);
  instance_ = find(attributes, kServiceInstance);
  newest_ns_ = 0;
  promoted_.clear();
  for (const std::string& key : options_.promote_resource_attributes) {
    const std::string_view value = find(attributes, key);
    if (!value.empty()) promoted_.emplace_back(model::otlp::label_name(key, options_.translation), std::string(value));
  }
  Attributes others;
  std::ranges::copy_if(attributes, std::back_inserter(others), [](const Attribute& attribute) {
    return attribute.key != kServiceName && attribute.key != kServiceNamespace && attribute.key != kServiceInstance;
  });
  info_.clear();
  has_info_ = false;
  for (const auto& [label, value] : labels_of(others, options_.translation)) {
    if (label.empty() || value.empty() || !base::valid_utf8(label) || !base::valid_utf8(value)) continue;
    info_.set(label, value);
    has_info_ = true;
  }
}

void Converter::resource_ends() {
  // What nothing identifies cannot be joined with anything.
  if (!has_info_ || (job_.empty() && instance_.empty()) || newest_ns_ == 0) return;
  info_.set(model::kMetricName, "target_info");
  info_.set("job", job_);
  info_.set("instance", instance_);
  if (!batch_.add(info_.build(), {to_ms(newest_ns_), 1})) return;
  batch_.families.try_emplace(
      "target_info", model::Metadata{.type = model::MetricType::kGauge, .help = "Target metadata", .unit = ""});
}

void Converter::reject(std::uint64_t points, std::string_view metric, std::string_view why) {
  rejected_ += points;
  if (reason_.empty()) reason_ = fmt::format("{}: {}", metric.substr(0, kShownBytes), why);
}

void Converter::reject_point(std::string_view metric, std::string_view why) {
  if (std::exchange(point_rejected_, true)) return;
  reject(1, metric, why);
  batch_.drop_point();
  if (turn_) turn_->drop_from(point_begins_);
}

void Converter::stored(const IntakeOutcome& outcome) {
  if (turn_) turn_->commit(outcome.samples_refused);
  turn_.reset();
}

void Converter::reject_full(std::string_view metric) {
  reject_point(metric, "its labels and those before it are more than a request may have: send less at once");
}

void Converter::metric(const Metric& metric) {
  points_ += metric.points.size();
  if (metric.kind == Kind::kNone || metric.points.empty()) return;
  const std::string name = model::otlp::metric_name(metric, options_.translation);
  if (name.empty() || !base::valid_utf8(name))
    return reject(metric.points.size(), base::quote(metric.name.substr(0, kShownBytes)), "it is no name of a metric");
  const bool has_temporality =
      metric.kind == Kind::kSum || metric.kind == Kind::kHistogram || metric.kind == Kind::kExponential;
  delta_ = has_temporality && metric.temporality == Temporality::kDelta;
  if (has_temporality && metric.temporality == Temporality::kUnspecified)
    return reject(metric.points.size(), name, "it says neither cumulative nor delta");
  if (delta_ && metric.kind == Kind::kExponential)
    return reject(metric.points.size(), name, "exponential histograms are taken with cumulative temporality only");
  if (delta_ && !options_.convert_delta)
    return reject(metric.points.size(), name,
                  "delta temporality is not taken: export it as cumulative, or set serve.otlp.convert_delta");
  batch_.families.insert_or_assign(
      name, model::Metadata{.type = model::otlp::metric_type(metric),
                            .help = base::valid_utf8(metric.description) ? metric.description : std::string(),
                            .unit = base::valid_utf8(metric.unit) ? metric.unit : std::string()});
  for (const Point& point : metric.points) {
    point_rejected_ = false;
    point_begins_ = batch_.samples().size();
    batch_.begin_point();
    if (!begin_point(metric, point)) continue;
    switch (metric.kind) {
      case Kind::kGauge:
        add(name, point, point.value);
        break;
      case Kind::kSum:
        add(name, point, point.value);
        for (const auto& one : point.exemplars)
          if (!point_rejected_ && !batch_.behind_sample(exemplar(one, point))) reject_full(name);
        break;
      case Kind::kHistogram:
        histogram(name, metric, point);
        break;
      case Kind::kExponential:
        exponential(name, metric, point);
        break;
      case Kind::kSummary:
        summary(name, point);
        break;
      case Kind::kNone:
        break;
    }
    batch_.end_point();
  }
}

bool Converter::begin_point(const Metric& metric, const Point& point) {
  if (batch_.full()) {
    reject_full(metric.name);
    return false;
  }
  if (point.time_ns == 0) {
    reject_point(metric.name, "a point has no time");
    return false;
  }
  // The store refuses it, and a sum must not wait for it.
  if (delta_ && point.time_ns > options_.now_ns + kAheadMaxNs) {
    reject_point(metric.name, "a point is more than ten minutes ahead of this server's clock");
    return false;
  }
  labels_.clear();
  for (const auto& [label, value] : labels_of(point.attributes, options_.translation)) {
    if (value.empty()) continue;
    if (label.empty() || !base::valid_utf8(label) || !base::valid_utf8(value)) {
      reject_point(metric.name, "an attribute is no label: its name is empty, or it is not UTF-8");
      return false;
    }
    labels_.set(label, value);
  }
  for (const auto& [label, value] : promoted_)
    if (labels_.get(label).empty() && base::valid_utf8(value)) labels_.set(label, value);
  if (!job_.empty() && base::valid_utf8(job_)) labels_.set("job", job_);
  if (!instance_.empty() && base::valid_utf8(instance_)) labels_.set("instance", instance_);
  newest_ns_ = std::max(newest_ns_, point.time_ns);
  return true;
}

void Converter::add(const std::string& name, const Point& point, double value, std::string_view label,
                    std::string_view label_value) {
  if (point_rejected_) return;
  if (batch_.full()) return reject_full(name);
  model::LabelBuilder labels = labels_;
  labels.set(model::kMetricName, name);
  if (!label.empty()) labels.set(label, label_value);
  model::LabelSet built = labels.build();
  if (point.no_value) {
    value = model::stale_nan();
  } else if (delta_) {
    if (!turn_) turn_.emplace(deltas_);
    const auto sum = turn_->add(built, point.time_ns, value, options_.now_ns, batch_.samples().size());
    if (!sum)
      return reject_point(name, "a difference comes late or twice, or there are too many series of differences");
    value = *sum;
  }
  if (!batch_.add(std::move(built), {to_ms(point.time_ns), value})) reject_full(name);
}

void Converter::histogram(const std::string& name, const Metric& metric, const Point& point) {
  const bool told = !point.bucket_counts.empty() || !point.bounds.empty();
  if (told && point.bucket_counts.size() != point.bounds.size() + 1)
    return reject_point(metric.name, "a histogram has not one bucket more than it has bounds");
  if (std::ranges::adjacent_find(point.bounds, std::ranges::greater_equal{}) != point.bounds.end())
    return reject_point(metric.name, "the bounds of a histogram do not rise");
  if (point.sum) add(name + "_sum", point, *point.sum);
  add(name + "_count", point, static_cast<double>(point.count));
  // Which bucket each falls into.
  std::vector<std::pair<std::size_t, const model::otlp::Exemplar*>> exemplars;
  for (const auto& one : point.exemplars) {
    if (std::isnan(one.value)) continue;
    const auto bucket = std::ranges::lower_bound(point.bounds, one.value) - point.bounds.begin();
    exemplars.emplace_back(static_cast<std::size_t>(bucket), &one);
  }
  std::ranges::stable_sort(exemplars, {}, [](const auto& one) { return std::pair(one.first, one.second->time_ns); });
  auto next = exemplars.begin();
  const auto add_exemplars = [&](std::size_t bucket) {
    for (; next != exemplars.end() && next->first == bucket; ++next)
      if (!point_rejected_ && !batch_.behind_sample(exemplar(*next->second, point))) reject_full(name);
  };
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < point.bounds.size(); ++i) {
    below += point.bucket_counts[i];
    add(name + "_bucket", point, static_cast<double>(below), "le", base::format_float(point.bounds[i]));
    add_exemplars(i);
  }
  add(name + "_bucket", point, static_cast<double>(point.count), "le", "+Inf");
  add_exemplars(point.bounds.size());
}

model::Exemplar Converter::exemplar(const model::otlp::Exemplar& exemplar, const Point& point) const {
  model::Exemplar made{.value = exemplar.value,
                       .time_ms = to_ms(exemplar.time_ns != 0 ? exemplar.time_ns : point.time_ns),
                       .has_time = exemplar.time_ns != 0};
  model::LabelBuilder labels;
  std::size_t characters = 0;
  for (const auto& [label, value] :
       {std::pair("trace_id", &exemplar.trace_id), std::pair("span_id", &exemplar.span_id)}) {
    if (value->empty()) continue;
    labels.set(label, *value);
    characters += std::string_view(label).size() + value->size();
  }
  // The ids go before the others, which have room together or not at all.
  made.labels = labels.build();
  for (const Attribute& attribute : exemplar.attributes) {
    if (attribute.key.empty() || attribute.value.empty() || !labels.get(attribute.key).empty()) continue;
    if (!base::valid_utf8(attribute.key) || !base::valid_utf8(attribute.value)) continue;
    characters += characters_of(attribute.key) + characters_of(attribute.value);
    if (characters > model::kExemplarLabelCharactersMax) return made;
    labels.set(attribute.key, attribute.value);
  }
  made.labels = labels.build();
  return made;
}

void Converter::exponential(const std::string& name, const Metric& metric, const Point& point) {
  if (point.no_value) return add(name, point, 0);
  if (point.scale < model::kSchemaMin || point.scale > model::kSchemaOnWireMax)
    return reject_point(metric.name, fmt::format("the scale of an exponential histogram is {}: {} to {} are taken",
                                                 point.scale, model::kSchemaMin, model::kSchemaOnWireMax));
  model::Histogram histogram{.schema = point.scale,
                             .is_integer = true,
                             .zero_threshold = point.zero_threshold > 0 ? point.zero_threshold : kZeroThreshold,
                             .zero_count = static_cast<double>(point.zero_count),
                             .count = static_cast<double>(point.count),
                             .sum = point.sum.value_or(0)};
  if (!fill_side(point.positive, histogram.positive_spans, histogram.positive) ||
      !fill_side(point.negative, histogram.negative_spans, histogram.negative))
    return reject_point(metric.name, "an exponential histogram has too many buckets, or some beyond any number");
  if (histogram.schema > model::kSchemaMax) model::reduce_schema(histogram, model::kSchemaMax);
  if (const auto valid = model::validate(histogram); !valid) return reject_point(metric.name, valid.error().message());
  model::LabelBuilder labels = labels_;
  labels.set(model::kMetricName, name);
  if (!batch_.add(labels.build(), to_ms(point.time_ns), std::move(histogram))) return reject_full(name);
  std::vector<const model::otlp::Exemplar*> exemplars;
  exemplars.reserve(point.exemplars.size());
  for (const auto& one : point.exemplars) exemplars.push_back(&one);
  std::ranges::stable_sort(exemplars, {}, &model::otlp::Exemplar::time_ns);
  for (const auto* const one : exemplars)
    if (!point_rejected_ && !batch_.behind_histogram(exemplar(*one, point))) reject_full(name);
}

void Converter::summary(const std::string& name, const Point& point) {
  add(name + "_sum", point, point.sum.value_or(0));
  add(name + "_count", point, static_cast<double>(point.count));
  for (const auto& [quantile, value] : point.quantiles)
    add(name, point, value, "quantile", base::format_float(quantile));
}

}  // namespace qd::serve::otlp
