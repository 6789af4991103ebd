#include "act/notify/alertmanager_intervals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/strings.h"

namespace qd::act::notify {

using model::config::Node;

namespace {

using Fault = std::function<void(const Node&, std::string_view)>;

constexpr std::string_view kWeekdays[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
constexpr std::string_view kMonths[] = {"january", "february", "march",     "april",   "may",      "june",
                                        "july",    "august",   "september", "october", "november", "december"};
constexpr int kDayMax = 31;
constexpr std::string_view kZones = "/usr/share/zoneinfo";

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::optional<int> place_of(std::string_view text, std::span<const std::string_view> names, int first) {
  const auto found = std::ranges::find(names, lower(text));
  if (found == names.end()) return std::nullopt;
  return static_cast<int>(found - names.begin()) + first;
}

// "a" or "a:b", each as `read` has it.
template <typename Read, typename Check>
void ranges(const Node& times, std::string_view key, std::string_view says, const Fault& fault, const Read& read,
            const Check& check) {
  const Node* const list = times.find(key);
  if (list == nullptr) return;
  for (const Node& item : list->items()) {
    const auto ends = base::split(item.text(), ':');
    const auto begin = read(base::trim(ends.front()));
    const auto end = read(base::trim(ends.back()));
    if (ends.size() > 2 || !begin || !end) {
      fault(item, fmt::format("{} is not {}", base::quote(item.text()), says));
    } else {
      check(item, *begin, *end);
    }
  }
}

// "09:30" to "24:00", as minutes.
std::optional<int> time_of_day(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = number_of(text.substr(0, 2));
  const auto minutes = number_of(text.substr(3));
  if (!hours || !minutes || *hours < 0 || *minutes < 0 || *minutes > 59) return std::nullopt;
  const int all = *hours * 60 + *minutes;
  return all <= 24 * 60 ? std::optional(all) : std::nullopt;
}

void check_hours(const Node& range, const Fault& fault) {
  const Node* const start = range.find("start_time");
  const Node* const end = range.find("end_time");
  if (start == nullptr || end == nullptr) return fault(range, "times need start_time and end_time");
  const auto from = time_of_day(start->text());
  const auto until = time_of_day(end->text());
  for (const auto& [node, time] : {std::pair(start, from), std::pair(end, until)}) {
    if (!time) fault(*node, fmt::format("{} is no time of a day such as 09:30", base::quote(node->text())));
  }
  if (from && until && *from >= *until) fault(*start, "start_time is before end_time");
}

// Days may count from the end of the month, which is taken to have 31 here.
void check_days(const Node& item, int begin, int end, const Fault& fault) {
  for (const int day : {begin, end}) {
    if (day == 0 || day > kDayMax || day < -kDayMax)
      return fault(item, fmt::format("{} is no day of a month: 1 to 31, or -1 for the last one to -31", day));
  }
  if (begin < 0 && end > 0) return fault(item, "days from the end of the month end there as well");
  const auto from_start = [](int day) { return day < 0 ? kDayMax - 1 + day : day; };
  if (from_start(begin) > from_start(end)) fault(item, "the first day is after the last one");
}

}  // namespace

void check_times(const Node& times, const Fault& fault) {
  if (const Node* const hours = times.find("times"); hours != nullptr) {
    for (const Node& range : hours->items()) check_hours(range, fault);
  }
  const auto rising = [&](const Node& item, int begin, int end) {
    if (begin > end) fault(item, "it ends before it begins");
  };
  ranges(
      times, "weekdays", "a weekday, or two with a colon between them", fault,
      [](std::string_view text) { return place_of(text, kWeekdays, 0); }, rising);
  ranges(times, "days_of_month", "a day of a month, or two with a colon between them", fault, number_of,
         [&](const Node& item, int begin, int end) { check_days(item, begin, end, fault); });
  ranges(
      times, "months", "a month, or two with a colon between them", fault,
      [](std::string_view text) -> std::optional<int> {
        if (const auto named = place_of(text, kMonths, 1)) return named;
        const auto number = number_of(text);
        return number && *number >= 1 && *number <= 12 ? number : std::nullopt;
      },
      rising);
  ranges(times, "years", "a year, or two with a colon between them", fault, number_of, rising);
  const Node* const location = times.find("location");
  if (location == nullptr) return;
  const std::string& zone = location->text();
  if (zone.empty() || zone == "UTC" || zone == "Local") return;
  std::error_code ignored;
  const std::filesystem::path zones(kZones);
  // Without the system's zones no name can be told from another.
  if (!std::filesystem::is_directory(zones, ignored)) return;
  if (zone.starts_with('/') || zone.find("..") != std::string::npos ||
      !std::filesystem::is_regular_file(zones / zone, ignored))
    fault(*location, fmt::format("{} is no time zone of this system", base::quote(zone)));
}

}  // namespace qd::act::notify
