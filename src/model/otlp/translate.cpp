#include "model/otlp/translate.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strings.h"

namespace qd::model::otlp {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// UCUM's units as Prometheus calls them.
constexpr std::array<Pair, 30> kUnits = {
    {{"d", "days"},          {"h", "hours"},        {"min", "minutes"},   {"s", "seconds"},      {"ms", "milliseconds"},
     {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},      {"KiBy", "kibibytes"}, {"MiBy", "mebibytes"},
     {"GiBy", "gibibytes"},  {"TiBy", "tibibytes"}, {"KBy", "kilobytes"}, {"MBy", "megabytes"},  {"GBy", "gigabytes"},
     {"TBy", "terabytes"},   {"B", "bytes"},        {"KB", "kilobytes"},  {"MB", "megabytes"},   {"GB", "gigabytes"},
     {"TB", "terabytes"},    {"m", "meters"},       {"V", "volts"},       {"A", "amperes"},      {"J", "joules"},
     {"W", "watts"},         {"g", "grams"},        {"Cel", "celsius"},   {"Hz", "hertz"},       {"%", "percent"}}};
constexpr std::array<Pair, 7> kPerUnits = {
    {{"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"}, {"w", "week"}, {"mo", "month"}, {"y", "year"}}};

template <std::size_t N>
std::string_view mapped(const std::array<Pair, N>& map, std::string_view unit) {
  const auto it = std::ranges::find(map, unit, &Pair::first);
  return it == map.end() ? unit : it->second;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Runs of other characters part it.
std::vector<std::string> tokens_of(std::string_view text, bool colons) {
  std::vector<std::string> tokens;
  bool in_token = false;
  for (const char c : text) {
    const bool part = is_plain(c) || (colons && c == ':');
    if (part && !in_token) tokens.emplace_back();
    if (part) tokens.back() += c;
    in_token = part;
  }
  return tokens;
}

// "By/s": "bytes" and "second". What stands in braces is a remark, and 1 is no unit.
struct UnitNames {
  std::string unit;
  std::string per;
};
UnitNames unit_names(std::string_view unit) {
  const auto name = [](std::string_view text, bool per) -> std::string {
    const auto plain = base::trim(text);
    if (plain.empty() || plain == "1" || plain.find_first_of("{}") != std::string_view::npos) return {};
    return base::join(tokens_of(per ? mapped(kPerUnits, plain) : mapped(kUnits, plain), false), "_");
  };
  const auto slash = unit.find('/');
  UnitNames names{.unit = name(unit.substr(0, slash), false), .per = {}};
  if (slash != std::string_view::npos) names.per = name(unit.substr(slash + 1), true);
  return names;
}

void move_to_end(std::vector<std::string>& tokens, std::string_view word) {
  std::erase(tokens, word);
  tokens.emplace_back(word);
}

bool has(const std::vector<std::string>& tokens, std::string_view word) {
  return std::ranges::find(tokens, word) != tokens.end();
}

bool counts_up(const Metric& metric) {
  return metric.kind == Kind::kSum && metric.monotonic;
}

bool is_ratio(const Metric& metric) {
  return metric.kind == Kind::kGauge && base::trim(metric.unit) == "1";
}

std::string underscored_with_suffixes(const Metric& metric) {
  std::vector<std::string> tokens = tokens_of(metric.name, true);
  if (tokens.empty()) return {};
  const UnitNames unit = unit_names(metric.unit);
  if (!unit.unit.empty() && !has(tokens, unit.unit)) tokens.push_back(unit.unit);
  if (!unit.per.empty() && !has(tokens, unit.per)) {
    tokens.emplace_back("per");
    tokens.push_back(unit.per);
  }
  if (counts_up(metric)) move_to_end(tokens, "total");
  if (is_ratio(metric)) move_to_end(tokens, "ratio");
  return base::join(tokens, "_");
}

std::string utf8_with_suffixes(const Metric& metric) {
  std::string name = metric.name;
  const auto ends_so = [&](std::string_view word) { return name.ends_with(word); };
  const UnitNames unit = unit_names(metric.unit);
  if (!unit.unit.empty() && !ends_so(unit.unit)) name += "_" + unit.unit;
  if (!unit.per.empty() && !ends_so(unit.per)) name += "_per_" + unit.per;
  if (counts_up(metric) && !ends_so("_total")) name += "_total";
  if (is_ratio(metric) && !ends_so("_ratio")) name += "_ratio";
  return name;
}

std::string underscored(std::string_view text, bool colons) {
  std::string out;
  // Each character of several bytes becomes one '_'.
  for (const char c : text) {
    if (is_plain(c) || c == '_' || (colons && c == ':')) {
      out += c;
    } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
      out += '_';
    }
  }
  return out;
}

}  // namespace

std::optional<Translation> parse_translation(std::string_view text) {
  if (text == "UnderscoreEscapingWithSuffixes") return Translation::kUnderscoresWithSuffixes;
  if (text == "UnderscoreEscapingWithoutSuffixes") return Translation::kUnderscoresWithoutSuffixes;
  if (text == "NoUTF8EscapingWithSuffixes") return Translation::kUtf8WithSuffixes;
  if (text == "NoTranslation") return Translation::kNone;
  return std::nullopt;
}

std::string metric_name(const Metric& metric, Translation translation) {
  std::string name;
  switch (translation) {
    case Translation::kUnderscoresWithSuffixes:
      name = underscored_with_suffixes(metric);
      break;
    case Translation::kUnderscoresWithoutSuffixes:
      name = underscored(metric.name, true);
      break;
    case Translation::kUtf8WithSuffixes:
      return utf8_with_suffixes(metric);
    case Translation::kNone:
      return metric.name;
  }
  if (!name.empty() && is_digit(name.front())) name.insert(0, "_");
  return name;
}

std::string label_name(std::string_view attribute, Translation translation) {
  if (translation == Translation::kUtf8WithSuffixes || translation == Translation::kNone) return std::string(attribute);
  std::string name = underscored(attribute, false);
  if (name.empty()) return name;
  if (is_digit(name.front())) return "key_" + name;
  if (name.front() == '_' && !name.starts_with("__")) return "key" + name;
  return name;
}

MetricType metric_type(const Metric& metric) {
  switch (metric.kind) {
    case Kind::kGauge:
      return MetricType::kGauge;
    case Kind::kSum:
      return metric.monotonic ? MetricType::kCounter : MetricType::kGauge;
    case Kind::kHistogram:
    case Kind::kExponential:
      return MetricType::kHistogram;
    case Kind::kSummary:
      return MetricType::kSummary;
    case Kind::kNone:
      break;
  }
  return MetricType::kUnknown;
}

}  // namespace qd::model::otlp
