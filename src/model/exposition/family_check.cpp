#include "model/exposition/family_check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>

#include "model/exposition/number.h"

namespace qd::model::exposition {

namespace {

// Which endings sample names of a type have.
std::span<const std::string_view> suffixes(MetricType type) {
  static constexpr std::string_view kCounter[] = {"_total", "_created"};
  static constexpr std::string_view kSummary[] = {"", "_sum", "_count", "_created"};
  static constexpr std::string_view kHistogram[] = {"_bucket", "_sum", "_count", "_created"};
  static constexpr std::string_view kGaugeHistogram[] = {"_bucket", "_gsum", "_gcount"};
  static constexpr std::string_view kInfo[] = {"_info"};
  static constexpr std::string_view kPlain[] = {""};
  switch (type) {
    case MetricType::kCounter:
      return kCounter;
    case MetricType::kSummary:
      return kSummary;
    case MetricType::kHistogram:
      return kHistogram;
    case MetricType::kGaugeHistogram:
      return kGaugeHistogram;
    case MetricType::kInfo:
      return kInfo;
    default:
      return kPlain;
  }
}

std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

std::string_view value_of(std::span<const Label> labels, std::string_view name) {
  for (const Label& label : labels) {
    if (label.name == name) return label.value;
  }
  return {};
}

// Nothing unless the whole text is a number. Infinity has one spelling, so that it names one bucket.
std::optional<double> bound_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  if (read_float(text.data(), end, value) != end) return std::nullopt;
  if (std::isinf(value) && text != (value > 0 ? "+Inf" : "-Inf")) return std::nullopt;
  return value;
}

bool is_histogram(MetricType type) {
  return type == MetricType::kHistogram || type == MetricType::kGaugeHistogram;
}

}  // namespace

base::Status FamilyCheck::wrong(std::string_view problem) const {
  return base::fail(base::ErrorCode::kInvalid, "metric family \"" + family_ + "\": " + std::string(problem));
}

base::Status FamilyCheck::type(std::string_view family, MetricType type) {
  QD_TRY(metadata(family));
  if (type_) return wrong("TYPE is given twice");
  type_ = type;
  return {};
}

base::Status FamilyCheck::help(std::string_view family) {
  QD_TRY(metadata(family));
  if (has_help_) return wrong("HELP is given twice");
  has_help_ = true;
  return {};
}

base::Status FamilyCheck::unit(std::string_view family, std::string_view unit) {
  QD_TRY(metadata(family));
  if (unit_) return wrong("UNIT is given twice");
  unit_ = unit;
  return {};
}

base::Status FamilyCheck::metadata(std::string_view family) {
  if (!open_ || family != family_) return begin_family(family);
  if (has_samples_) return wrong("TYPE, HELP and UNIT come before its samples");
  return {};
}

base::Status FamilyCheck::begin_family(std::string_view family) {
  QD_TRY(end_family());
  open_ = true;
  family_ = family;
  type_.reset();
  has_help_ = false;
  unit_.reset();
  has_samples_ = false;
  groups_.clear();
  histogram_open_ = false;
  return {};
}

base::Status FamilyCheck::end() {
  return end_family();
}

base::Status FamilyCheck::end_family() {
  if (!open_) return {};
  open_ = false;
  const MetricType type = type_.value_or(MetricType::kUnknown);
  const std::uint64_t bare = hash_of(family_);
  if (!names_.insert(bare).second) return wrong("its name was used by a family before");
  std::string name;
  for (const std::string_view suffix : suffixes(type)) {
    if (suffix.empty()) continue;
    name.assign(family_).append(suffix);
    if (!names_.insert(hash_of(name)).second) return wrong("the name " + name + " was used by a family before");
  }
  if (unit_ && !unit_->empty()) {
    if (!family_.ends_with("_" + *unit_)) return wrong("its name does not end in its unit \"" + *unit_ + "\"");
    if (type == MetricType::kInfo || type == MetricType::kStateSet) return wrong("its type has no unit");
  }
  return end_histogram();
}

base::Status FamilyCheck::sample(std::span<const Label> labels, double value, std::optional<TimestampMs> timestamp_ms,
                                 bool has_exemplar) {
  const std::string_view name = labels.front().value;
  labels = labels.subspan(1);
  std::string_view suffix;
  bool ours = false;
  if (open_ && name.starts_with(family_)) {
    suffix = name.substr(family_.size());
    ours = std::ranges::find(suffixes(type_.value_or(MetricType::kUnknown)), suffix) !=
           suffixes(type_.value_or(MetricType::kUnknown)).end();
  }
  if (!ours) {
    QD_TRY(begin_family(name));
    suffix = {};
  }
  if (!type_) type_ = MetricType::kUnknown;
  has_samples_ = true;
  QD_TRY(check_value(suffix, labels, value, has_exemplar));
  QD_TRY(check_group(suffix, labels, timestamp_ms));
  if (is_histogram(*type_)) return check_histogram(suffix, labels, value);
  return {};
}

base::Status FamilyCheck::check_value(std::string_view suffix, std::span<const Label> labels, double value,
                                      bool has_exemplar) {
  const MetricType type = *type_;
  if (type == MetricType::kStateSet) {
    if (value_of(labels, family_).empty()) return wrong("a state set sample has a label of the family's name");
    if (value != 0 && value != 1) return wrong("a state is 0 or 1");
  }
  if (type == MetricType::kInfo && value != 1) return wrong("the value of an info sample is 1");
  if (type == MetricType::kSummary && suffix.empty()) {
    const auto quantile = bound_of(value_of(labels, "quantile"));
    if (!quantile || !(*quantile >= 0 && *quantile <= 1)) {
      return wrong("a summary sample has a label \"quantile\" from 0 to 1");
    }
    if (value < 0) return wrong("the value of a quantile is not negative");
  }
  const bool bucket = suffix == "_bucket";
  const bool count = suffix == "_count" || suffix == "_gcount";
  const bool sum = suffix == "_sum" || suffix == "_gsum";
  if (suffix == "_total" || bucket || count || sum) {
    if (std::isnan(value)) return wrong("totals, counts and sums are not NaN");
    if (value < 0 && suffix != "_gsum") return wrong("totals, counts and sums are not negative");
  }
  if ((bucket || count) && value != std::trunc(value)) return wrong("counts are whole numbers");
  if (has_exemplar && !((type == MetricType::kCounter && suffix == "_total") || (is_histogram(type) && bucket))) {
    return wrong("only totals of counters and buckets of histograms have exemplars");
  }
  return {};
}

base::Status FamilyCheck::check_group(std::string_view suffix, std::span<const Label> labels,
                                      std::optional<TimestampMs> timestamp_ms) {
  const MetricType type = *type_;
  std::string_view own;  // the label that tells samples of a group apart
  if (type == MetricType::kSummary && suffix.empty()) own = "quantile";
  if (type == MetricType::kStateSet) own = family_;
  if (suffix == "_bucket") own = "le";
  // A sum: the order of labels says nothing.
  std::uint64_t group = 0;
  if (type != MetricType::kInfo) {
    for (const Label& label : labels) {
      if (!own.empty() && label.name == own) continue;
      group += hash_of(label.value, hash_of(label.name));
    }
  }
  const bool first = groups_.empty();
  const bool fresh = groups_.insert(group).second;
  const bool same_group = !first && group == group_;
  if (!first && !same_group && !fresh) return wrong("the samples of one group of labels stand together");
  if (same_group) {
    if (timestamp_ms.has_value() != group_time_ms_.has_value()) {
      return wrong("all samples of a group have a timestamp, or none has");
    }
    if (timestamp_ms && *timestamp_ms < *group_time_ms_ && type != MetricType::kInfo) {
      return wrong("timestamps go backwards within a group");
    }
  }
  if (is_histogram(type) && (!same_group || timestamp_ms != group_time_ms_)) {
    QD_TRY(end_histogram());
    histogram_open_ = true;
    histogram_ = {};
  }
  group_ = group;
  group_time_ms_ = timestamp_ms;
  return {};
}

base::Status FamilyCheck::check_histogram(std::string_view suffix, std::span<const Label> labels, double value) {
  if (suffix == "_bucket") {
    const auto bound = bound_of(value_of(labels, "le"));
    if (!bound || std::isnan(*bound)) return wrong("a bucket has a label \"le\" with a number or +Inf");
    if (histogram_.bound && *bound <= *histogram_.bound) return wrong("buckets are not in rising order of \"le\"");
    if (value < histogram_.count_in_bound) return wrong("a bucket counts less than the one below it");
    if (*bound < 0) histogram_.negative_bounds = true;
    histogram_.bound = *bound;
    histogram_.count_in_bound = value;
  } else if (suffix == "_count" || suffix == "_gcount") {
    histogram_.count = value;
  } else if (suffix == "_sum") {
    histogram_.has_sum = true;
  } else if (suffix == "_gsum") {
    histogram_.has_gauge_sum = true;
    histogram_.negative_gauge_sum = value < 0;
  }
  return {};
}

base::Status FamilyCheck::end_histogram() {
  if (!histogram_open_) return {};
  histogram_open_ = false;
  const Histogram& h = histogram_;
  if (!h.bound || *h.bound != std::numeric_limits<double>::infinity()) return wrong("a histogram has no +Inf bucket");
  if (h.count && *h.count != h.count_in_bound) return wrong("a histogram's count is not that of its +Inf bucket");
  const bool has_any_sum = h.has_sum || h.has_gauge_sum;
  if (has_any_sum && !h.count) return wrong("a histogram has a sum but no count");
  if (!has_any_sum && h.count) return wrong("a histogram has a count but no sum");
  if (h.negative_bounds && h.has_sum) return wrong("a histogram with negative buckets has no sum");
  if (!h.negative_bounds && h.negative_gauge_sum) {
    return wrong("a histogram without negative buckets has a negative sum");
  }
  return {};
}

}  // namespace qd::model::exposition
