#include "observe/host/textfile.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "model/exposition/parser.h"

namespace qd::observe::host {
namespace {

using base::ErrorCode;
using model::MetricType;
using model::exposition::Event;

struct Declared {
  std::optional<MetricType> type;
  std::string help;
};
using Declarations = std::map<std::string, Declared, std::less<>>;

// The family of a series of that name: itself, or of which it is a part.
std::pair<std::string_view, std::string_view> family_of(std::string_view name, const Declarations& declared) {
  if (const auto itself = declared.find(name); itself != declared.end() && itself->second.type) return {name, {}};
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string_view base = name.substr(0, name.size() - suffix.size());
    const auto found = declared.find(base);
    if (found == declared.end()) continue;
    if (found->second.type == MetricType::kHistogram) return {base, suffix};
    if (found->second.type == MetricType::kSummary && suffix != "_bucket") return {base, suffix};
  }
  return {name, {}};
}

// What tells the series of a family apart.
std::string key_of(std::string_view name, const TextSample& sample) {
  std::string key(name);
  key += sample.suffix;
  for (const auto& [label, value] : sample.labels) {
    key += '\xff';
    key += label;
    key += '\xff';
    key += value;
  }
  return key;
}

}  // namespace

base::Result<TextFamilies> read_textfile(std::string_view text) {
  model::exposition::Parser parser(text, model::exposition::Format::kPrometheusText);
  TextFamilies families;
  Declarations declared;
  std::set<std::string> series;
  while (true) {
    QD_ASSIGN(const Event event, parser.next());
    if (event == Event::kEof) break;
    if (event == Event::kType) declared[std::string(parser.family())].type = parser.type();
    if (event == Event::kHelp) declared[std::string(parser.family())].help = parser.help();
    if (event != Event::kSeries) continue;
    if (parser.timestamp_ms()) {
      return base::fail(
          ErrorCode::kInvalid,
          fmt::format("{} has a time stamp; write it without, it is taken when the file is read", parser.series()));
    }
    if (series.size() == kTextfileSamplesMax) {
      return base::fail(ErrorCode::kLimit, fmt::format("it has more than {} samples", kTextfileSamplesMax));
    }
    const auto labels = parser.labels();
    const auto [name, suffix] = family_of(labels.front().value, declared);
    TextSample sample{std::string(suffix), {}, parser.value()};
    for (const auto& label : labels.subspan(1)) {
      if (!label.value.empty()) sample.labels.emplace_back(label.name, label.value);
    }
    std::sort(sample.labels.begin(), sample.labels.end());
    if (!series.insert(key_of(name, sample)).second) {
      return base::fail(ErrorCode::kInvalid, fmt::format("{} is there twice", parser.series()));
    }
    TextFamily& family = families[std::string(name)];
    if (const auto found = declared.find(name); found != declared.end()) {
      family.type = found->second.type.value_or(MetricType::kUnknown);
      family.help = found->second.help;
    }
    family.samples.push_back(std::move(sample));
  }
  return families;
}

}  // namespace qd::observe::host
