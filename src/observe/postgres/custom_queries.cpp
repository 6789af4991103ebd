// Source: the README of postgres_exporter 0.11 and its example file, and what its sources make of each usage.

#include "observe/postgres/custom_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/format.h"
#include "base/strings.h"

namespace qd::observe::postgres {
namespace {

using base::ErrorCode;
using model::config::Node;

constexpr std::array<std::pair<std::string_view, Usage>, 7> kUsages{{{"DISCARD", Usage::kDiscard},
                                                                     {"LABEL", Usage::kLabel},
                                                                     {"COUNTER", Usage::kCounter},
                                                                     {"GAUGE", Usage::kGauge},
                                                                     {"HISTOGRAM", Usage::kHistogram},
                                                                     {"MAPPEDMETRIC", Usage::kMapped},
                                                                     {"DURATION", Usage::kDuration}}};

// "12", "12.3", "12.3.1" as 12'0000'0000 and so on.
std::optional<std::int64_t> parse_version(std::string_view text) {
  std::int64_t version = 0;
  int parts = 0;
  for (const std::string_view part : base::split(text, '.')) {
    std::int64_t number = 0;
    const auto [at, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || at != part.data() + part.size() || number < 0 || number > 9999 || ++parts > 3)
      return std::nullopt;
    version = version * 10'000 + number;
  }
  for (; parts < 3; ++parts) version *= 10'000;
  return version;
}

base::Status only_keys(const Node& node, std::initializer_list<std::string_view> known) {
  for (const auto& entry : node.entries()) {
    if (std::ranges::find(known, entry.key.text()) == known.end()) {
      return base::fail(entry.key.error(fmt::format("{:?} is not a key of a queries file; known here are {}",
                                                    entry.key.text(), base::join(known, ", "))));
    }
  }
  return {};
}

base::Result<std::optional<VersionRange>> versions_of(const Node* node) {
  if (node == nullptr || node->is_null()) return std::nullopt;
  QD_ASSIGN(const std::string text, node->as_string());
  auto range = VersionRange::parse(text);
  if (!range) return base::fail(node->error(range.error().message()));
  return std::move(*range);
}

bool fits_name(std::string_view text) {
  return !text.empty() && (text.front() < '0' || text.front() > '9') && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

base::Status read_mapping(const Node& node, CustomColumn& column) {
  const Node* mapping = node.find("metric_mapping");
  if (column.usage != Usage::kMapped) return {};
  if (mapping == nullptr || !mapping->is_mapping())
    return base::fail(node.error("MAPPEDMETRIC needs metric_mapping: a mapping from texts to numbers"));
  for (const auto& entry : mapping->entries()) {
    QD_ASSIGN(const double value, entry.value.as_double());
    column.mapping.emplace(entry.key.text(), value);
  }
  return {};
}

base::Result<CustomColumn> read_column(const std::string& query, const Node& item) {
  if (!item.is_mapping() || item.entries().size() != 1)
    return base::fail(item.error("expected one column with its description, as `- name: {usage: GAUGE}`"));
  const auto& [key, node] = item.entries().front();
  CustomColumn column;
  column.name = key.text();
  if (!fits_name(column.name))
    return base::fail(key.error(fmt::format("{:?} cannot be a part of a metric's name", column.name)));
  if (!node.is_mapping()) return base::fail(node.error("expected a mapping with usage and description"));
  QD_TRY(only_keys(node, {"usage", "description", "metric_mapping", "pg_version"}));
  const Node* usage = node.find("usage");
  if (usage == nullptr) return base::fail(node.error("there is no usage"));
  const auto* known = std::ranges::find(kUsages, usage->text(), &std::pair<std::string_view, Usage>::first);
  if (known == kUsages.end())
    return base::fail(
        usage->error(fmt::format("{:?} is not a usage; known are DISCARD, LABEL, COUNTER, GAUGE, "
                                 "HISTOGRAM, MAPPEDMETRIC and DURATION",
                                 usage->text())));
  column.usage = known->second;
  column.family = query + "_" + column.name;
  if (column.usage == Usage::kDuration) column.family += "_milliseconds";
  if (const Node* help = node.find("description"); help != nullptr) column.help = help->text();
  if (column.help.empty()) column.help = "Column " + column.name + " of the query " + query + ".";
  QD_TRY(read_mapping(node, column));
  QD_ASSIGN(column.versions, versions_of(node.find("pg_version")));
  return column;
}

base::Result<CustomQuery> read_query(const Node& key, const Node& node) {
  CustomQuery query;
  query.name = key.text();
  if (!fits_name(query.name))
    return base::fail(key.error(fmt::format("{:?} cannot be the beginning of a metric's name", query.name)));
  if (!node.is_mapping()) return base::fail(node.error("expected a mapping with query and metrics"));
  QD_TRY(only_keys(node, {"query", "metrics", "master", "cache_seconds", "runonserver"}));
  const Node* sql = node.find("query");
  if (sql == nullptr) return base::fail(node.error("there is no query"));
  QD_ASSIGN(query.sql, sql->as_string());
  if (query.sql.find('\0') != std::string::npos) return base::fail(sql->error("a statement has no zero byte"));
  if (const Node* master = node.find("master"); master != nullptr) {
    QD_ASSIGN(query.master, master->as_bool());
  }
  if (const Node* cache = node.find("cache_seconds"); cache != nullptr) {
    QD_ASSIGN(const std::int64_t seconds, cache->as_int());
    if (seconds < 0 || seconds > 366 * 86'400) return base::fail(cache->error("expected 0 to a year"));
    query.cache_ms = seconds * 1000;
  }
  QD_ASSIGN(query.versions, versions_of(node.find("runonserver")));
  const Node* metrics = node.find("metrics");
  if (metrics == nullptr || !metrics->is_sequence()) return base::fail(node.error("there is no list of metrics"));
  for (const Node& item : metrics->items()) {
    QD_ASSIGN(CustomColumn column, read_column(query.name, item));
    query.columns.push_back(std::move(column));
  }
  return query;
}

}  // namespace

base::Result<VersionRange> VersionRange::parse(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Bound::Is>, 8> kSigns{{{">=", Bound::Is::kMoreEqual},
                                                                          {"<=", Bound::Is::kLessEqual},
                                                                          {"!=", Bound::Is::kNotEqual},
                                                                          {"==", Bound::Is::kEqual},
                                                                          {">", Bound::Is::kMore},
                                                                          {"<", Bound::Is::kLess},
                                                                          {"=", Bound::Is::kEqual},
                                                                          {"!", Bound::Is::kNotEqual}}};
  VersionRange range;
  range.any_of_.emplace_back();
  for (std::string_view word : base::split(text, ' ')) {
    if (word.empty()) continue;
    if (word == "||") {
      range.any_of_.emplace_back();
      continue;
    }
    Bound bound;
    for (const auto& [sign, is] : kSigns) {
      if (!word.starts_with(sign)) continue;
      word.remove_prefix(sign.size());
      bound.is = is;
      break;
    }
    const auto version = parse_version(word);
    if (!version)
      return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is not a range of versions: write it as \">=9.6.0 "
                                                         "<12.0.0 || >13.0.0\"",
                                                         text));
    bound.version = *version;
    range.any_of_.back().push_back(bound);
  }
  if (std::ranges::any_of(range.any_of_, &std::vector<Bound>::empty))
    return base::fail(ErrorCode::kInvalid, fmt::format("{:?} has an alternative without a version", text));
  return range;
}

bool VersionRange::contains(int server_version) const {
  // 150020 is 15.20; there is no third part since 10.
  const std::int64_t version =
      (std::int64_t{server_version / 10'000} * 10'000 + server_version % 10'000) * std::int64_t{10'000};
  const auto holds = [version](const Bound& bound) {
    switch (bound.is) {
      case Bound::Is::kEqual:
        return version == bound.version;
      case Bound::Is::kNotEqual:
        return version != bound.version;
      case Bound::Is::kLess:
        return version < bound.version;
      case Bound::Is::kLessEqual:
        return version <= bound.version;
      case Bound::Is::kMore:
        return version > bound.version;
      case Bound::Is::kMoreEqual:
        return version >= bound.version;
    }
    return false;
  };
  return std::ranges::any_of(any_of_, [&](const auto& all) { return std::ranges::all_of(all, holds); });
}

base::Result<std::vector<CustomQuery>> read_custom_queries(const Node& file) {
  std::vector<CustomQuery> queries;
  if (file.is_null()) return queries;
  if (!file.is_mapping()) return base::fail(file.error("expected a mapping from names to queries"));
  if (file.entries().size() > kCustomQueriesMax)
    return base::fail(ErrorCode::kLimit, fmt::format("a queries file has at most {} queries", kCustomQueriesMax));
  for (const auto& entry : file.entries()) {
    QD_ASSIGN(CustomQuery query, read_query(entry.key, entry.value));
    queries.push_back(std::move(query));
  }
  return queries;
}

std::optional<double> parse_go_duration_ms(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{
      {{"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3}, {"μs", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}}};
  double sign = 1;
  if (text.starts_with('-') || text.starts_with('+')) {
    sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(at - text.data()));
    const auto end = text.find_first_of("0123456789.");
    const std::string_view unit = text.substr(0, end);
    const auto* known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, double>::first);
    if (known == kUnits.end()) return std::nullopt;
    sum += number * known->second;
    text.remove_prefix(unit.size());
  }
  return sign * sum;
}

std::optional<std::vector<double>> parse_array(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('{') || !text.ends_with('}')) return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<double> numbers;
  if (text.empty()) return numbers;
  for (const std::string_view item : base::split(text, ',')) {
    const auto number = base::parse_float(item);
    if (!number || std::isnan(*number)) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace qd::observe::postgres
