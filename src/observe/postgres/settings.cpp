#include "observe/postgres/settings.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace qd::observe::postgres {
namespace {

// A setting has a name of at most 63 bytes on any real server; there are about 350.
constexpr std::size_t kSettingsMax = 5000;

struct Unit {
  std::string_view name;
  std::string_view base;
  double factor;
  double divisor = 1;  // a thousandth is no binary number
};

constexpr std::array kTimes{Unit{"ms", "seconds", 1, 1000}, Unit{"s", "seconds", 1}, Unit{"min", "seconds", 60},
                            Unit{"h", "seconds", 3600}, Unit{"d", "seconds", 86400}};

// "ms", "min", "kB", "8kB", "16MB": what a number is in.
std::optional<Unit> unit_of(std::string_view text) {
  if (text.empty()) return Unit{"", "", 1};
  for (const Unit& time : kTimes) {
    if (time.name == text) return time;
  }
  double factor = 1;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), factor);
  if (error == std::errc{}) text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  constexpr std::array<std::pair<std::string_view, double>, 5> kSizes{
      {{"B", 1}, {"kB", 0x1p10}, {"MB", 0x1p20}, {"GB", 0x1p30}, {"TB", 0x1p40}}};
  for (const auto& [name, bytes] : kSizes) {
    if (name == text) return Unit{name, "bytes", factor * bytes};
  }
  return std::nullopt;
}

std::string family_name(std::string_view setting) {
  std::string name = "pg_settings_";
  for (const char c : setting) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    name += fits ? c : '_';
  }
  return name;
}

// Managed servers write a unit behind the number ("30s"); the column of the unit says it too.
std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view rest = text.substr(static_cast<std::size_t>(at - text.data()));
  if (!rest.empty() && (rest.size() > 3 || !unit_of(rest))) return std::nullopt;
  return value;
}

}  // namespace

const Settings::Setting& Settings::setting(std::size_t row, std::string_view name, std::string_view unit) {
  if (row >= settings_.size()) settings_.resize(row + 1);
  Setting& setting = settings_[row];
  const std::string_view key = setting.key;
  if (key.size() == name.size() + 1 + unit.size() && key.starts_with(name) && key.ends_with(unit) &&
      key[name.size()] == '\n') {
    return setting;
  }
  setting.key = std::string(name) + '\n' + std::string(unit);
  setting.name = family_name(name);
  setting.help = "Server Parameter: " + std::string(name);
  const auto known = unit_of(unit);
  setting.factor = known ? known->factor : 0;  // 0: a unit that nobody knows
  setting.divisor = known ? known->divisor : 1;
  if (known && !known->base.empty()) {
    setting.name += '_';
    setting.name += known->base;
    setting.help += " [Units converted to " + std::string(known->base) + ".]";
  }
  return setting;
}

void Settings::tell(const Table& table, Sink& sink) {
  constexpr std::size_t kColumns = 4;
  if (table.columns() != kColumns) return;
  std::string_view before;
  for (std::size_t row = 0; row < table.rows() && row < kSettingsMax; ++row) {
    const auto name = table.text(row, 0);
    const auto value = table.text(row, 1);
    const auto type = table.text(row, 3);
    if (!name || !value || !type || name->empty() || *name == before) continue;
    before = *name;
    if (*type == "bool") {
      const Setting& known = setting(row, *name, "");
      sink.family(known.name, model::MetricType::kGauge, known.help);
      sink.sample(*value == "on" ? 1 : 0);
      continue;
    }
    const Setting& known = setting(row, *name, table.text(row, 2).value_or(""));
    const auto told = number(*value);
    if (!told || known.factor == 0) continue;
    sink.family(known.name, model::MetricType::kGauge, known.help);
    // -1 means "off" or "as another setting", whatever the unit.
    sink.sample(*told == -1 ? -1 : *told * known.factor / known.divisor);
  }
}

}  // namespace qd::observe::postgres
