#include "observe/scrape/created.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "model/exposition/parser.h"

namespace qd::observe::scrape {

using model::Label;
using model::MetricType;
using model::TimestampMs;

namespace {

constexpr std::string_view kCreated = "_created";
// Beyond these no clock goes, and milliseconds stay integers.
constexpr double kSecondsMax = 1e12;

bool counts(MetricType type) {
  return type == MetricType::kCounter || type == MetricType::kSummary || type == MetricType::kHistogram;
}

std::uint64_t seeded_hash(std::string_view text, std::uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

// Of a family and the labels of a sample, whatever their order; `le` is of the bucket alone.
std::uint64_t key_of(std::string_view family, std::span<const Label> labels) {
  std::uint64_t key = seeded_hash(family, 0);
  for (const Label& label : labels) {
    if (label.name != model::kMetricName && label.name != "le")
      key += seeded_hash(label.value, seeded_hash(label.name, 1));
  }
  return key;
}

}  // namespace

void CreatedTimes::clear() {
  times_.clear();
  digest_ = 0;
}

void CreatedTimes::read(std::string_view page) {
  clear();
  for (std::size_t at = page.find(kCreated); at != std::string_view::npos; at = page.find(kCreated, at)) {
    const std::size_t before = page.rfind('\n', at);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    const std::size_t end = std::min(page.find('\n', at), page.size() - 1) + 1;
    const std::string_view line = page.substr(begin, end - begin);
    at = end;
    if (line.starts_with('#')) continue;
    model::exposition::Parser parser(line, model::exposition::Format::kOpenMetrics, model::exposition::Check::kLines);
    const auto event = parser.next();
    if (!event || *event != model::exposition::Event::kSeries) continue;
    const auto labels = parser.labels();
    const std::string_view name = labels.front().value;
    if (!name.ends_with(kCreated) || !(std::abs(parser.value()) < kSecondsMax)) continue;
    const auto created_ms = static_cast<TimestampMs>(std::llround(parser.value() * 1000));
    const std::uint64_t key = key_of(name.substr(0, name.size() - kCreated.size()), labels);
    if (times_.try_emplace(key, created_ms).second)
      digest_ += seeded_hash({reinterpret_cast<const char*>(&created_ms), sizeof created_ms}, key);
  }
}

std::optional<TimestampMs> CreatedTimes::find(std::span<const Label> labels, std::string_view family,
                                              MetricType type) const {
  if (!counts(type)) return std::nullopt;
  if (type == MetricType::kSummary &&
      std::ranges::any_of(labels, [](const Label& label) { return label.name == "quantile"; }))
    return std::nullopt;
  // A sample of no family stands behind the last one.
  const std::string_view name = labels.front().value;
  if (!name.starts_with(family)) return std::nullopt;
  const std::string_view suffix = name.substr(family.size());
  if (suffix != "_total" && suffix != "_bucket" && suffix != "_sum" && suffix != "_count") return std::nullopt;
  const auto found = times_.find(key_of(family, labels));
  if (found == times_.end()) return std::nullopt;
  return found->second;
}

bool is_created_line(std::string_view series, std::string_view family, MetricType type) {
  if (!counts(type)) return false;
  // {"the name",label="value"} is the other spelling.
  const bool quoted = series.starts_with("{\"");
  if (quoted) series.remove_prefix(2);
  if (!series.starts_with(family)) return false;
  series.remove_prefix(family.size());
  if (!series.starts_with(kCreated)) return false;
  series.remove_prefix(kCreated.size());
  return series.empty() || series.front() == (quoted ? '"' : '{');
}

}  // namespace qd::observe::scrape
