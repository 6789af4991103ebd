#include "query/promql/classic_conversion.h"

#include <cmath>
#include <memory>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "model/histogram_arithmetic.h"

namespace qd::query::promql {

namespace {

// The labels of x for x_bucket and the like.
model::LabelSet without_suffix(const model::LabelSet& labels, std::string_view suffix) {
  model::LabelBuilder builder(labels);
  builder.set(model::kMetricName, labels.name().substr(0, labels.name().size() - suffix.size()));
  builder.remove("le");
  return builder.build();
}

}  // namespace

void ClassicHistograms::add(const model::LabelSet& labels, model::TimestampMs time_ms, double value) {
  const std::string_view name = labels.name();
  if (name.ends_with("_bucket")) {
    const auto bound = base::parse_float(labels.get("le"));
    if (!bound || std::isnan(*bound)) return;
    // The same bound, written in another way, is the same bucket.
    histograms_[without_suffix(labels, "_bucket")][time_ms].buckets.try_emplace(*bound, value);
  } else if (name.ends_with("_sum")) {
    histograms_[without_suffix(labels, "_sum")][time_ms].sum = value;
  } else if (name.ends_with("_count")) {
    Parts& parts = histograms_[without_suffix(labels, "_count")][time_ms];
    parts.count = value;
    parts.has_count = true;
  }
}

model::HistogramPtr ClassicHistograms::native(const Parts& parts) {
  if (parts.buckets.empty()) return nullptr;
  auto out = std::make_shared<model::Histogram>();
  out->schema = model::kCustomBounds;
  out->sum = parts.sum;
  double before = 0;
  for (const auto& [bound, upto] : parts.buckets) {
    if (upto < before) return nullptr;
    if (!std::isinf(bound)) out->custom_bounds.push_back(bound);
    out->positive.push_back(upto - before);
    before = upto;
  }
  out->count = parts.has_count ? parts.count : before;
  // Without a bucket for +Inf, it has what the others leave.
  if (!std::isinf(parts.buckets.rbegin()->first)) out->positive.push_back(out->count - before);
  if (out->count < before) return nullptr;
  out->positive_spans = {{0, static_cast<std::uint32_t>(out->positive.size())}};
  model::compact(*out);
  return out;
}

std::vector<ClassicHistograms::Native> ClassicHistograms::natives() const {
  std::vector<Native> out;
  for (const auto& [labels, times] : histograms_) {
    for (const auto& [time, parts] : times) {
      if (model::HistogramPtr histogram = native(parts)) out.push_back({labels, time, std::move(histogram)});
    }
  }
  return out;
}

}  // namespace qd::query::promql
