#include "model/template/time_value.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>

namespace qd::model::tmpl {

namespace {

using base::ErrorCode;
using base::Result;
using Arguments = std::span<const Value>;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMinuteNs = 60 * kSecondNs;
constexpr std::int64_t kHourNs = 60 * kMinuteNs;
constexpr std::int64_t kDayNs = 24 * kHourNs;

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

struct Civil {
  int year, month, day, year_day, weekday, hour, minute, second, nanosecond;
};

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

Civil civil(Time time) {
  const auto days = floor_div(time.unix_ns, kDayNs);
  const auto in_day = time.unix_ns - days * kDayNs;
  const std::chrono::sys_days date{std::chrono::days{days}};
  const std::chrono::year_month_day ymd{date};
  const std::chrono::sys_days new_year{ymd.year() / std::chrono::January / 1};
  return {.year = static_cast<int>(ymd.year()),
          .month = static_cast<int>(static_cast<unsigned>(ymd.month())),
          .day = static_cast<int>(static_cast<unsigned>(ymd.day())),
          .year_day = static_cast<int>((date - new_year).count()) + 1,
          .weekday = static_cast<int>(std::chrono::weekday{date}.c_encoding()),
          .hour = static_cast<int>(in_day / kHourNs),
          .minute = static_cast<int>(in_day / kMinuteNs % 60),
          .second = static_cast<int>(in_day / kSecondNs % 60),
          .nanosecond = static_cast<int>(in_day % kSecondNs)};
}

using Print = std::function<std::string(const Civil&)>;

// The pieces that a layout may hold; of two that begin alike the longer one stands first.
const std::vector<std::pair<std::string_view, Print>>& pieces() {
  static const std::vector<std::pair<std::string_view, Print>> kPieces = {
      {"January", [](const Civil& c) { return std::string(kMonths[static_cast<std::size_t>(c.month - 1)]); }},
      {"Jan", [](const Civil& c) { return std::string(kMonths[static_cast<std::size_t>(c.month - 1)].substr(0, 3)); }},
      {"Monday", [](const Civil& c) { return std::string(kDays[static_cast<std::size_t>(c.weekday)]); }},
      {"Mon", [](const Civil& c) { return std::string(kDays[static_cast<std::size_t>(c.weekday)].substr(0, 3)); }},
      {"MST", [](const Civil&) { return std::string("UTC"); }},
      {"002", [](const Civil& c) { return fmt::format("{:03}", c.year_day); }},
      {"01", [](const Civil& c) { return fmt::format("{:02}", c.month); }},
      {"02", [](const Civil& c) { return fmt::format("{:02}", c.day); }},
      {"03", [](const Civil& c) { return fmt::format("{:02}", (c.hour + 11) % 12 + 1); }},
      {"04", [](const Civil& c) { return fmt::format("{:02}", c.minute); }},
      {"05", [](const Civil& c) { return fmt::format("{:02}", c.second); }},
      {"06", [](const Civil& c) { return fmt::format("{:02}", c.year % 100); }},
      {"15", [](const Civil& c) { return fmt::format("{:02}", c.hour); }},
      {"1", [](const Civil& c) { return fmt::format("{}", c.month); }},
      {"2006", [](const Civil& c) { return fmt::format("{:04}", c.year); }},
      {"2", [](const Civil& c) { return fmt::format("{}", c.day); }},
      {"__2", [](const Civil& c) { return fmt::format("{:3}", c.year_day); }},
      {"_2006", [](const Civil& c) { return fmt::format("_{:04}", c.year); }},
      {"_2", [](const Civil& c) { return fmt::format("{:2}", c.day); }},
      {"3", [](const Civil& c) { return fmt::format("{}", (c.hour + 11) % 12 + 1); }},
      {"4", [](const Civil& c) { return fmt::format("{}", c.minute); }},
      {"5", [](const Civil& c) { return fmt::format("{}", c.second); }},
      {"PM", [](const Civil& c) { return std::string(c.hour < 12 ? "AM" : "PM"); }},
      {"pm", [](const Civil& c) { return std::string(c.hour < 12 ? "am" : "pm"); }},
      {"-07:00:00", [](const Civil&) { return std::string("+00:00:00"); }},
      {"-07:00", [](const Civil&) { return std::string("+00:00"); }},
      {"-070000", [](const Civil&) { return std::string("+000000"); }},
      {"-0700", [](const Civil&) { return std::string("+0000"); }},
      {"-07", [](const Civil&) { return std::string("+00"); }},
      {"Z07:00:00", [](const Civil&) { return std::string("Z"); }},
      {"Z07:00", [](const Civil&) { return std::string("Z"); }},
      {"Z070000", [](const Civil&) { return std::string("Z"); }},
      {"Z0700", [](const Civil&) { return std::string("Z"); }},
      {"Z07", [](const Civil&) { return std::string("Z"); }},
  };
  return kPieces;
}

// ".000", ",000", ".999": so many digits of the second, with nines without those at the end that are zero. How long
// that piece of the layout is; 0 where there is none.
std::size_t fraction(std::string_view layout, const Civil& c, std::string& out) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',') || (layout[1] != '0' && layout[1] != '9')) return 0;
  auto end = layout.find_first_not_of(layout[1], 1);
  if (end == std::string_view::npos) end = layout.size();
  if (end > 10 || (end < layout.size() && layout[end] >= '0' && layout[end] <= '9')) return 0;
  auto digits = fmt::format("{:09}", c.nanosecond).substr(0, end - 1);
  if (layout[1] == '9')
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
  if (!digits.empty()) out.append(1, layout[0]).append(digits);
  return end;
}

// A fraction without zeros at its end: "1.5".
std::string decimal(std::int64_t value, std::int64_t unit) {
  auto text = fmt::format("{}", value / unit);
  if (value % unit == 0) return text;
  auto digits = fmt::format("{}", unit + value % unit).substr(1);
  while (digits.back() == '0') digits.pop_back();
  return text + "." + digits;
}

std::unexpected<base::Error> wrong(std::string what) {
  return base::fail(ErrorCode::kInvalid, std::move(what));
}

// To a multiple of `to`: towards zero, or, from half of it on, away from it where that fits.
std::int64_t rounded(std::int64_t value, std::int64_t to, bool up_from_half) {
  if (to <= 0) return value;
  const auto rest = value % to;
  const auto cut = value - rest;
  const auto away = rest < 0 ? -rest : rest;
  std::int64_t up = 0;
  if (!up_from_half || away < to - away || __builtin_add_overflow(cut, value < 0 ? -to : to, &up)) return cut;
  return up;
}

using TimeMethod = std::function<Result<Value>(Time, Arguments)>;
using DurationMethod = std::function<Result<Value>(Duration, Arguments)>;

template <typename Of>
TimeMethod civil_part(Of of) {
  return [of](Time t, Arguments a) -> Result<Value> {
    if (!a.empty()) return wrong("takes nothing");
    return Value(of(civil(t)));
  };
}

TimeMethod unix_in(std::int64_t unit_ns) {
  return [unit_ns](Time t, Arguments) -> Result<Value> { return Value(floor_div(t.unix_ns, unit_ns)); };
}

TimeMethod comparing(bool (*judge)(std::int64_t, std::int64_t)) {
  return [judge](Time t, Arguments a) -> Result<Value> {
    if (a.size() != 1 || !a[0].time()) return wrong("takes a time");
    return Value(judge(t.unix_ns, a[0].time()->unix_ns));
  };
}

Result<Value> shifted(Time t, Arguments a, std::int64_t sign) {
  std::int64_t sum = 0;
  if (a.size() != 1 || !a[0].duration()) return wrong("takes a duration");
  if (__builtin_add_overflow(t.unix_ns, sign * a[0].duration()->ns, &sum)) return wrong("the time is out of range");
  return Value(Time{sum});
}

const std::map<std::string_view, TimeMethod>& time_methods() {
  static const std::map<std::string_view, TimeMethod> kMethods = {
      {"Format",
       [](Time t, Arguments a) -> Result<Value> {
         if (a.size() != 1 || !a[0].text()) return wrong("takes a layout such as \"2006-01-02\"");
         return Value(format_go_time(t, *a[0].text()));
       }},
      {"String", [](Time t, Arguments) -> Result<Value> { return Value(Value(t).to_string()); }},
      {"UTC", [](Time t, Arguments) -> Result<Value> { return Value(t); }},
      {"Local", [](Time t, Arguments) -> Result<Value> { return Value(t); }},
      {"Unix", unix_in(kSecondNs)},
      {"UnixMilli", unix_in(1'000'000)},
      {"UnixMicro", unix_in(1'000)},
      {"UnixNano", unix_in(1)},
      {"Year", civil_part([](const Civil& c) { return c.year; })},
      {"Month", civil_part([](const Civil& c) { return std::string(kMonths[static_cast<std::size_t>(c.month - 1)]); })},
      {"Day", civil_part([](const Civil& c) { return c.day; })},
      {"YearDay", civil_part([](const Civil& c) { return c.year_day; })},
      {"Weekday", civil_part([](const Civil& c) { return std::string(kDays[static_cast<std::size_t>(c.weekday)]); })},
      {"Hour", civil_part([](const Civil& c) { return c.hour; })},
      {"Minute", civil_part([](const Civil& c) { return c.minute; })},
      {"Second", civil_part([](const Civil& c) { return c.second; })},
      {"Nanosecond", civil_part([](const Civil& c) { return c.nanosecond; })},
      {"Before", comparing([](std::int64_t x, std::int64_t y) { return x < y; })},
      {"After", comparing([](std::int64_t x, std::int64_t y) { return x > y; })},
      {"Equal", comparing([](std::int64_t x, std::int64_t y) { return x == y; })},
      {"Add", [](Time t, Arguments a) { return shifted(t, a, 1); }},
      {"Sub",
       [](Time t, Arguments a) -> Result<Value> {
         std::int64_t difference = 0;
         if (a.size() != 1 || !a[0].time()) return wrong("takes a time");
         if (__builtin_sub_overflow(t.unix_ns, a[0].time()->unix_ns, &difference))
           return wrong("the duration is out of range");
         return Value(Duration{difference});
       }},
      {"Truncate",
       [](Time t, Arguments a) -> Result<Value> {
         if (a.size() != 1 || !a[0].duration()) return wrong("takes a duration");
         return Value(Time{rounded(t.unix_ns, a[0].duration()->ns, false)});
       }},
  };
  return kMethods;
}

DurationMethod in_units(std::int64_t unit_ns) {
  return [unit_ns](Duration d, Arguments) -> Result<Value> {
    return Value(static_cast<double>(d.ns) / static_cast<double>(unit_ns));
  };
}
DurationMethod whole_units(std::int64_t unit_ns) {
  return [unit_ns](Duration d, Arguments) -> Result<Value> { return Value(d.ns / unit_ns); };
}
DurationMethod rounding(bool up_from_half) {
  return [up_from_half](Duration d, Arguments a) -> Result<Value> {
    if (a.size() != 1 || !a[0].duration()) return wrong("takes a duration");
    return Value(Duration{rounded(d.ns, a[0].duration()->ns, up_from_half)});
  };
}

const std::map<std::string_view, DurationMethod>& duration_methods() {
  static const std::map<std::string_view, DurationMethod> kMethods = {
      {"Hours", in_units(kHourNs)},
      {"Minutes", in_units(kMinuteNs)},
      {"Seconds", in_units(kSecondNs)},
      {"Milliseconds", whole_units(1'000'000)},
      {"Microseconds", whole_units(1'000)},
      {"Nanoseconds", whole_units(1)},
      {"String", [](Duration d, Arguments) -> Result<Value> { return Value(format_go_duration(d)); }},
      {"Round", rounding(true)},
      {"Truncate", rounding(false)},
      {"Abs", [](Duration d, Arguments) -> Result<Value> { return Value(Duration{d.ns < 0 ? -d.ns : d.ns}); }},
  };
  return kMethods;
}

}  // namespace

std::string format_go_time(Time time, std::string_view layout) {
  const auto parts = civil(time);
  std::string out;
  while (!layout.empty()) {
    if (const auto used = fraction(layout, parts, out); used > 0) {
      layout.remove_prefix(used);
      continue;
    }
    bool found = false;
    for (const auto& [piece, print] : pieces()) {
      // "Jan" within "Janet" is text.
      const bool word = piece == "Jan" || piece == "Mon";
      if (!layout.starts_with(piece) || (word && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z')) continue;
      out += print(parts);
      layout.remove_prefix(piece.size());
      found = true;
      break;
    }
    if (found) continue;
    out += layout.front();
    layout.remove_prefix(1);
  }
  return out;
}

std::string format_go_duration(Duration duration) {
  if (duration.ns == 0) return "0s";
  if (duration.ns == INT64_MIN) return "-2562047h47m16.854775808s";
  const auto ns = duration.ns < 0 ? -duration.ns : duration.ns;
  std::string out = duration.ns < 0 ? "-" : "";
  if (ns < 1'000) return out + fmt::format("{}ns", ns);
  if (ns < 1'000'000) return out + decimal(ns, 1'000) + "µs";
  if (ns < kSecondNs) return out + decimal(ns, 1'000'000) + "ms";
  if (ns >= kHourNs) out += fmt::format("{}h", ns / kHourNs);
  if (ns >= kMinuteNs) out += fmt::format("{}m", ns / kMinuteNs % 60);
  return out + decimal(ns % kMinuteNs, kSecondNs) + "s";
}

Result<Value> call_method(const Value& receiver, std::string_view name, Arguments arguments) {
  const auto unknown = [&] {
    return base::fail(ErrorCode::kInvalid, fmt::format("a {} has no {}", receiver.type_name(), name));
  };
  const auto named = [&](Result<Value> result) -> Result<Value> {
    if (!result) return base::fail(result.error().within(name));
    return result;
  };
  if (const auto* time = receiver.time()) {
    const auto found = time_methods().find(name);
    return found == time_methods().end() ? unknown() : named(found->second(*time, arguments));
  }
  if (const auto* duration = receiver.duration()) {
    const auto found = duration_methods().find(name);
    return found == duration_methods().end() ? unknown() : named(found->second(*duration, arguments));
  }
  return unknown();
}

}  // namespace qd::model::tmpl
