#include "base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/format.h"

namespace qd::base {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// What is shown of a wrong input in an error.
std::string shown(std::string_view text) {
  constexpr std::size_t kShownBytesMax = 64;
  if (text.size() <= kShownBytesMax) return fmt::format("\"{}\"", text);
  return fmt::format("\"{}...\"", text.substr(0, kShownBytesMax));
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// Unicode 15, table 3-7: the ranges of second bytes keep out overlong forms, surrogates and what is past U+10FFFF.
bool valid_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at < end) {
    if (end - at >= 8) {
      std::uint64_t word = 0;
      std::copy_n(at, 8, reinterpret_cast<unsigned char*>(&word));
      if ((word & 0x8080808080808080) == 0) {
        at += 8;
        continue;
      }
    }
    const unsigned char lead = *at++;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (end - at < more) return false;
    const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (*at < low || *at > high) return false;
    for (int i = 1; i < more; ++i)
      if ((at[i] & 0xc0) != 0x80) return false;
    at += more;
  }
  return true;
}

namespace {

constexpr std::size_t kNearestBytesMax = 128;

// Edits (insert, drop, replace, swap neighbours) between two words, upper and lower case being the same.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kNearestBytesMax + 1>;
  Row before{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string quote(std::string_view text) {
  // Bytes of the UTF-8 character at `at`, 0 when there is none.
  const auto character_size = [&](std::size_t at) -> std::size_t {
    for (std::size_t size = 1; size <= 4 && at + size <= text.size(); ++size)
      if (valid_utf8(text.substr(at, size))) return size;
    return 0;
  };
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code >= 0x20 && code < 0x7f) {
      out.push_back(c);
    } else if (const std::size_t size = character_size(at); size > 1) {
      out += text.substr(at, size);
      at += size - 1;
    } else {
      out += fmt::format("\\x{:02x}", code);
    }
  }
  out.push_back('"');
  return out;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kNearestBytesMax) return std::nullopt;
  const std::string* best = nullptr;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNearestBytesMax) continue;
    const auto [shorter, longer] = std::minmax({word.size(), candidate.size()});
    const std::size_t allowed = longer / 3;  // two letters of three must be right
    if (longer - shorter > allowed) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance <= allowed && distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

std::optional<double> parse_float(std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  const bool has_sign = negative || digits.starts_with('+');
  if (has_sign) digits.remove_prefix(1);
  if (equal_ignoring_case(digits, "inf") || equal_ignoring_case(digits, "infinity")) {
    const double infinity = std::numeric_limits<double>::infinity();
    return negative ? -infinity : infinity;
  }
  if (equal_ignoring_case(text, "nan")) return std::numeric_limits<double>::quiet_NaN();

  const bool hexadecimal = digits.size() > 2 && digits[0] == '0' && lower(digits[1]) == 'x';
  if (hexadecimal) digits.remove_prefix(2);
  // from_chars takes a sign and "inf" too, which must not come twice.
  if (digits.empty() || digits[0] == '-' || (!hexadecimal && !is_digit(digits[0]) && digits[0] != '.')) {
    return std::nullopt;
  }
  if (hexadecimal && !is_digit(digits[0]) && (lower(digits[0]) < 'a' || lower(digits[0]) > 'f') && digits[0] != '.')
    return std::nullopt;
  double value = 0;
  const char* const begin = digits.data();
  const char* const end = begin + digits.size();
  const auto [at, error] =
      std::from_chars(begin, end, value, hexadecimal ? std::chars_format::hex : std::chars_format::general);
  if (at != end) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // from_chars does not say whether it is too large, which is an error, or too small, which is zero or subnormal.
    const std::string copy = (hexadecimal ? "0x" : "") + std::string(digits);
    value = std::strtod(copy.c_str(), nullptr);
    if (std::isinf(value)) return std::nullopt;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

void append_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out.append("NaN");
    return;
  }
  if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
    return;
  }
  // Every integer up to 2^53 is exact, and most values of counters and gauges are one.
  constexpr double kExactIntegerMax = 9007199254740992.0;
  std::array<char, 32> buffer;
  if (std::fabs(value) < kExactIntegerMax && (value != 0 || !std::signbit(value))) {
    const auto integer = static_cast<std::int64_t>(value);
    if (static_cast<double>(integer) == value) {
      out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), integer).ptr);
      return;
    }
  }
  // to_chars in fixed form prints large numbers exactly, not shortest: take the shortest digits and place the point.
  const char* const end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  const char* at = buffer.data();
  if (*at == '-') out.push_back(*at++);
  const char* const e = std::find(at, end, 'e');
  int exponent = 0;
  std::from_chars(e[1] == '+' ? e + 2 : e + 1, end, exponent);
  std::array<char, 32> digits;
  std::size_t count = 0;
  for (; at < e; ++at)
    if (*at != '.') digits[count++] = *at;
  if (exponent < 0) {
    out.append("0.");
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out.append(digits.data(), count);
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (count <= whole) {
    out.append(digits.data(), count);
    out.append(whole - count, '0');
  } else {
    out.append(digits.data(), whole);
    out.push_back('.');
    out.append(digits.data() + whole, count - whole);
  }
}

std::string format_float(double value) {
  std::string out;
  append_float(out, value);
  return out;
}

namespace {

struct DurationUnit {
  std::string_view name;
  std::int64_t ms;
  bool only_exact;  // printed only when nothing is left over: 90d reads better than 12w6d
};
constexpr std::array<DurationUnit, 7> kDurationUnits = {{{"y", 365LL * 24 * 3600 * 1000, true},
                                                         {"w", 7LL * 24 * 3600 * 1000, true},
                                                         {"d", 24LL * 3600 * 1000, false},
                                                         {"h", 3600LL * 1000, false},
                                                         {"m", 60LL * 1000, false},
                                                         {"s", 1000, false},
                                                         {"ms", 1, false}}};
// Prometheus counts in nanoseconds: what does not fit there is out of range here too.
constexpr std::int64_t kDurationMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;

}  // namespace

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  if (text == "0") return 0;
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalid,
                fmt::format("{} is not a duration; write numbers with units y, w, d, h, m, s, ms in that order, as in "
                            "15s or 1h30m",
                            shown(text)));
  };
  const auto too_long = [&] {
    return fail(ErrorCode::kInvalid, fmt::format("duration {} is out of range; 292y is the most", shown(text)));
  };
  if (text.empty()) return wrong();
  std::int64_t total_ms = 0;
  std::size_t next_unit = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::int64_t number = 0;
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (!is_digit(rest[0])) return wrong();
    rest.remove_prefix(static_cast<std::size_t>(at - rest.data()));
    std::size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters])) ++letters;
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    std::size_t unit = next_unit;
    while (unit < kDurationUnits.size() && kDurationUnits[unit].name != name) ++unit;
    if (unit == kDurationUnits.size()) return wrong();
    next_unit = unit + 1;
    if (error != std::errc() || number > (kDurationMsMax - total_ms) / kDurationUnits[unit].ms) return too_long();
    total_ms += number * kDurationUnits[unit].ms;
  }
  return total_ms;
}

std::string format_duration_ms(std::int64_t ms) {
  if (ms == 0) return "0s";
  std::string out = ms < 0 ? "-" : "";
  auto rest = ms < 0 ? 0 - static_cast<std::uint64_t>(ms) : static_cast<std::uint64_t>(ms);
  for (const DurationUnit& unit : kDurationUnits) {
    const auto unit_ms = static_cast<std::uint64_t>(unit.ms);
    if (rest < unit_ms || (unit.only_exact && rest % unit_ms != 0)) continue;
    append_format(out, "{}{}", rest / unit_ms, unit.name);
    rest %= unit_ms;
  }
  return out;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalid,
                fmt::format("{} is not a size; write bytes as in 512, 10KB, 1.5GiB or 2G (a K is 1024)", shown(text)));
  };
  std::string_view rest = text;
  std::uint64_t whole = 0;
  const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), whole);
  const auto too_large = [&] {
    return fail(ErrorCode::kInvalid, fmt::format("size {} is out of range; it must be less than 16EiB", shown(text)));
  };
  if (error == std::errc::result_out_of_range) return too_large();
  if (error != std::errc()) return wrong();
  rest.remove_prefix(static_cast<std::size_t>(at - rest.data()));
  double fraction = 0;
  if (rest.starts_with('.')) {
    std::size_t n = 1;
    while (n < rest.size() && is_digit(rest[n])) ++n;
    const auto parsed = n > 1 ? parse_float(rest.substr(0, n)) : std::nullopt;
    if (!parsed) return wrong();
    fraction = *parsed;
    rest.remove_prefix(n);
  }
  unsigned shift = 0;
  if (!rest.empty() && lower(rest[0]) != 'b') {
    const auto power = std::string_view("kmgtpe").find(lower(rest[0]));
    if (power == std::string_view::npos) return wrong();
    shift = 10 * (static_cast<unsigned>(power) + 1);
    rest.remove_prefix(1);
    if (rest.size() == 2 && lower(rest[0]) == 'i') rest.remove_prefix(1);
  }
  if (!rest.empty() && !equal_ignoring_case(rest, "b")) return wrong();
  if (whole > (std::numeric_limits<std::uint64_t>::max() >> shift)) return too_large();
  // The fraction is below one, so this fits beside the shifted integer, whose low bits are zero.
  return (whole << shift) + static_cast<std::uint64_t>(fraction * std::exp2(shift));
}

namespace {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

struct Civil {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

// Gregorian calendar without bounds, by eras of 400 years that begin on 1 March.
// Source: H. Hinnant, chrono-compatible low-level date algorithms.
std::int64_t days_of(const Civil& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<std::int64_t>(day_of_era) - 719468;
}

Civil civil_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

unsigned days_in_month(std::int64_t year, unsigned month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Takes exactly `n` digits off the front.
std::optional<unsigned> take_digits(std::string_view& rest, std::size_t n) {
  if (rest.size() < n || !std::all_of(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n), is_digit))
    return std::nullopt;
  unsigned value = 0;
  for (std::size_t i = 0; i < n; ++i) value = value * 10 + static_cast<unsigned>(rest[i] - '0');
  rest.remove_prefix(n);
  return value;
}

bool take(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> parse_rfc3339(std::string_view rest) {
  const auto year = take_digits(rest, 4);
  if (!year || !take(rest, '-')) return std::nullopt;
  const auto month = take_digits(rest, 2);
  if (!month || *month < 1 || *month > 12 || !take(rest, '-')) return std::nullopt;
  const auto day = take_digits(rest, 2);
  if (!day || *day < 1 || *day > days_in_month(*year, *month) || !take(rest, 'T')) return std::nullopt;
  const auto hour = take_digits(rest, 2);
  if (!hour || *hour > 23 || !take(rest, ':')) return std::nullopt;
  const auto minute = take_digits(rest, 2);
  if (!minute || *minute > 59 || !take(rest, ':')) return std::nullopt;
  const auto second = take_digits(rest, 2);
  if (!second || *second > 59) return std::nullopt;
  std::int64_t ms = 0;
  if (take(rest, '.')) {
    std::size_t n = 0;
    std::int64_t scale = 100;
    for (; n < rest.size() && is_digit(rest[n]); ++n, scale /= 10) ms += scale * (rest[n] - '0');
    if (n == 0) return std::nullopt;
    rest.remove_prefix(n);
  }
  std::int64_t offset_minutes = 0;
  if (rest != "Z") {
    const bool west = rest.starts_with('-');
    if (!west && !rest.starts_with('+')) return std::nullopt;
    rest.remove_prefix(1);
    const auto offset_hour = take_digits(rest, 2);
    if (!offset_hour || *offset_hour > 23 || !take(rest, ':')) return std::nullopt;
    const auto offset_minute = take_digits(rest, 2);
    if (!offset_minute || *offset_minute > 59 || !rest.empty()) return std::nullopt;
    offset_minutes = static_cast<std::int64_t>(*offset_hour) * 60 + *offset_minute;
    if (west) offset_minutes = -offset_minutes;
  }
  const std::int64_t minutes = static_cast<std::int64_t>(*hour) * 60 + *minute - offset_minutes;
  return days_of({*year, *month, *day}) * kDayMs + minutes * 60'000 + static_cast<std::int64_t>(*second) * 1000 + ms;
}

// What Prometheus' API takes for the beginning and the end of time; its own tools send them.
constexpr std::int64_t kEarliestMs = (std::numeric_limits<std::int64_t>::min() / 1000 + 62135596801) * 1000;
constexpr std::int64_t kLatestMs = (std::numeric_limits<std::int64_t>::max() / 1000 - 62135596801) * 1000 + 999;

}  // namespace

Result<std::int64_t> parse_time_ms(std::string_view text) {
  if (text == "-292273086-05-16T16:47:06Z") return kEarliestMs;
  if (text == "292277025-08-18T07:12:54.999999999Z") return kLatestMs;
  if (const auto seconds = parse_float(text)) {
    double whole = 0;
    const double fraction = std::modf(*seconds, &whole);
    // Milliseconds must fit, with room for arithmetic on them.
    if (!(std::fabs(whole) < 9.2e15)) {
      return fail(ErrorCode::kInvalid, fmt::format("time {} is out of range", shown(text)));
    }
    return static_cast<std::int64_t>(whole) * 1000 + std::llround(fraction * 1000);
  }
  if (const auto ms = parse_rfc3339(text)) return *ms;
  return fail(ErrorCode::kInvalid,
              fmt::format("{} is not a time; write seconds since 1970 as in 1700000000.5, or RFC 3339 as in "
                          "2026-01-02T03:04:05Z",
                          shown(text)));
}

std::string format_time(std::int64_t wall_ms) {
  std::int64_t days = wall_ms / kDayMs;
  std::int64_t ms = wall_ms % kDayMs;
  if (ms < 0) {
    ms += kDayMs;
    --days;
  }
  const Civil date = civil_of(days);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", date.year, date.month, date.day, ms / 3'600'000,
                     ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

}  // namespace qd::base
