// Rows of the user's own queries as samples.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "base/strings.h"
#include "observe/postgres/custom_queries.h"
#include "observe/postgres/families.h"

namespace qd::observe::postgres {
namespace {

// OIDs of pg_type, which never change.
constexpr std::uint32_t kBool = 16;
constexpr std::uint32_t kDate = 1082;
constexpr std::uint32_t kTimestamp = 1114;
constexpr std::uint32_t kTimestampWithZone = 1184;

bool is_time(std::uint32_t type) {
  return type == kDate || type == kTimestamp || type == kTimestampWithZone;
}

// Takes digits up to `separator` (or the end) off the front of `text`.
bool take(std::string_view& text, int& number) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  return true;
}

bool skip(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// "2024-05-06 07:08:09.123+02:30", the session's DateStyle being ISO. Whole seconds, as the exporter tells times.
std::optional<double> seconds_of(std::string_view text) {
  if (text == "infinity") return std::numeric_limits<double>::infinity();
  if (text == "-infinity") return -std::numeric_limits<double>::infinity();
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take(text, year) || !skip(text, '-') || !take(text, month) || !skip(text, '-') || !take(text, day))
    return std::nullopt;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int zone_seconds = 0;
  if (skip(text, ' ') && !text.starts_with("BC")) {
    if (!take(text, hour) || !skip(text, ':') || !take(text, minute) || !skip(text, ':') || !take(text, second))
      return std::nullopt;
    if (skip(text, '.')) text.remove_prefix(std::min(text.size(), text.find_first_not_of("0123456789")));
    if (text.starts_with('+') || text.starts_with('-')) {
      const int sign = text.front() == '-' ? -1 : 1;
      text.remove_prefix(1);
      for (const int unit : {3600, 60, 1}) {
        int part = 0;
        if (!take(text, part)) return std::nullopt;
        zone_seconds += sign * part * unit;
        if (!skip(text, ':')) break;
      }
    }
    skip(text, ' ');
  }
  if (text == "BC")
    year = 1 - year;
  else if (!text.empty())
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days * 86'400 + hour * 3600 + minute * 60 + second - zone_seconds);
}

}  // namespace

std::optional<double> custom_number(std::string_view text, std::uint32_t type) {
  if (type == kBool) return text == "t" ? 1 : 0;
  if (is_time(type)) return seconds_of(text);
  return base::parse_float(text);
}

void CustomTeller::match(const CustomQuery& query, int server_version, const Table& table) {
  targets_.assign(table.columns(), {});
  label_columns_.clear();
  labels_.clear();
  const auto active = [&](const CustomColumn& column) {
    return !column.versions || column.versions->contains(server_version);
  };
  for (const CustomColumn& column : query.columns) {
    const auto at = find(column.name, table);
    const auto same = [&](const model::Label& label) { return label.name == column.name; };
    if (column.usage != Usage::kLabel || !active(column) || !at || std::ranges::any_of(labels_, same)) continue;
    label_columns_.push_back(*at);
    labels_.push_back({column.name, {}});
  }
  if (std::ranges::none_of(labels_, [](const model::Label& label) { return label.name == "server"; }))
    labels_.push_back({"server", server_});
  label_texts_.resize(label_columns_.size());
  for (std::size_t i = 0; i < table.columns(); ++i) {
    Target& target = targets_[i];
    for (const CustomColumn& column : query.columns) {
      if (column.name == table.name(i)) target.column = &column;
      // The parts of a histogram are columns of their own, which are not told by themselves.
      if (column.usage == Usage::kHistogram && table.name(i).starts_with(column.name) && target.column == nullptr) {
        const auto rest = table.name(i).substr(column.name.size());
        if (rest == "_bucket" || rest == "_sum" || rest == "_count") target.column = &column;
      }
    }
    const CustomColumn* column = target.column;
    if (column == nullptr) {
      // A column without a description is told when its name can be one.
      target.family = query.name + "_" + std::string(table.name(i));
      target.help = "Unknown metric from a query of the queries file.";
      if (!std::ranges::all_of(target.family, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
          }))
        target.family.clear();
    } else if (column->name == table.name(i) && column->usage != Usage::kLabel && column->usage != Usage::kDiscard &&
               active(*column)) {
      target.family = column->family;
      target.help = column->help;
      target.type = column->usage == Usage::kCounter     ? model::MetricType::kCounter
                    : column->usage == Usage::kHistogram ? model::MetricType::kHistogram
                                                         : model::MetricType::kGauge;
    }
    if (find_family(target.family) != nullptr || told_.contains(target.family)) target.family.clear();
  }
}

std::optional<std::size_t> CustomTeller::find(std::string_view column, const Table& table) const {
  for (std::size_t i = 0; i < table.columns(); ++i) {
    if (table.name(i) == column) return i;
  }
  return std::nullopt;
}

void CustomTeller::fill_labels(std::size_t row, const Table& table) {
  for (std::size_t i = 0; i < label_columns_.size(); ++i) {
    const std::size_t column = label_columns_[i];
    const std::string_view text = table.text(row, column).value_or(std::string_view());
    std::string& label = label_texts_[i];
    label = text;
    if (table.type(column) == kBool && !text.empty()) label = text == "t" ? "true" : "false";
    if (is_time(table.type(column)) && !text.empty()) {
      if (const auto seconds = seconds_of(text)) label = base::format_float(*seconds);
    }
    labels_[i].value = label;
  }
}

bool CustomTeller::first_of_its_labels(std::size_t row, const Table& table) {
  key_.clear();
  for (const std::size_t column : label_columns_) {
    key_ += table.text(row, column).value_or(std::string_view());
    key_ += '\xff';
  }
  return seen_.insert(key_).second;
}

void CustomTeller::tell_values(const Target& target, std::size_t column, const Table& table, Sink& sink) {
  bool begun = false;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto text = table.text(row, column);
    std::optional<double> value = std::numeric_limits<double>::quiet_NaN();
    if (target.column != nullptr && target.column->usage == Usage::kMapped) {
      const auto mapped = target.column->mapping.find(text.value_or(std::string_view()));
      value = mapped != target.column->mapping.end() ? std::optional(mapped->second) : std::nullopt;
    } else if (target.column != nullptr && target.column->usage == Usage::kDuration) {
      value = parse_go_duration_ms(text.value_or(std::string_view()));
    } else if (text) {
      value = custom_number(*text, table.type(column));
    }
    if (!value || !first_of_its_labels(row, table)) continue;
    if (!std::exchange(begun, true)) sink.family(target.family, target.type, target.help);
    fill_labels(row, table);
    sink.sample(labels_, *value);
  }
  if (begun) told_.insert(target.family);
}

void CustomTeller::tell_histogram(const Target& target, std::size_t column, const Table& table, Sink& sink) {
  const std::string& name = target.column->name;
  const auto counts_at = find(name + "_bucket", table);
  const auto sum_at = find(name + "_sum", table);
  const auto count_at = find(name + "_count", table);
  if (!counts_at || !sum_at || !count_at) return;
  bool begun = false;
  std::string bound;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto bounds = parse_array(table.text(row, column).value_or(std::string_view()));
    const auto counts = parse_array(table.text(row, *counts_at).value_or(std::string_view()));
    const auto sum = table.number(row, *sum_at);
    const auto count = table.number(row, *count_at);
    if (!bounds || !counts || !sum || !count || !first_of_its_labels(row, table)) continue;
    std::map<double, double> buckets;
    for (std::size_t i = 0; i < std::min(bounds->size(), counts->size()); ++i) buckets[(*bounds)[i]] = (*counts)[i];
    buckets[std::numeric_limits<double>::infinity()] = *count;
    if (!std::exchange(begun, true)) sink.family(target.family, target.type, target.help);
    fill_labels(row, table);
    labels_.push_back({"le", {}});
    for (const auto& [upper, value] : buckets) {
      bound = base::format_float(upper);
      labels_.back().value = bound;
      sink.sample("_bucket", labels_, value);
    }
    labels_.pop_back();
    sink.sample("_sum", labels_, *sum);
    sink.sample("_count", labels_, *count);
  }
  if (begun) told_.insert(target.family);
}

void CustomTeller::tell(const CustomQuery& query, int server_version, const Table& table, Sink& sink) {
  if (table.rows() == 0) return;
  match(query, server_version, table);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const Target& target = targets_[i];
    if (target.family.empty() || told_.contains(target.family)) continue;
    seen_.clear();
    if (target.column != nullptr && target.column->usage == Usage::kHistogram) {
      tell_histogram(target, i, table, sink);
    } else {
      tell_values(target, i, table, sink);
    }
  }
}

}  // namespace qd::observe::postgres
