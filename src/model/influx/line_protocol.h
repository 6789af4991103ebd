// InfluxDB's line protocol: measurement, tags, fields and a time, a line each.
//
//   cpu,host=web-1,cpu=cpu0 usage_idle=97.2,usage_user=1i 1700000000000000000
//
// Numbers come as samples. A flag is 1 or 0; a text that is a number is taken as that one, any other is passed over.
// Pure functions, any thread. Source: InfluxDB documentation, "Line protocol reference".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace qd::model::influx {

inline constexpr std::size_t kTagsMax = 1'000;     // of one line
inline constexpr std::size_t kFieldsMax = 10'000;  // of one line

struct Line {
  std::string measurement;
  std::vector<std::pair<std::string, std::string>> tags;  // in the order of the line
  std::vector<std::pair<std::string, double>> fields;     // numbers
  std::size_t texts = 0;                                  // fields that are none
  std::optional<std::int64_t> time;                       // in the unit that the sender uses
};

// Nanoseconds of "ns", "n", "us", "u", "µ", "ms", "s", "m", "h"; nothing for another.
std::optional<std::int64_t> precision_ns(std::string_view name);

// Milliseconds since the epoch of a time in units of `unit_ns`; nothing where it is beyond any date.
std::optional<std::int64_t> to_ms(std::int64_t time, std::int64_t unit_ns);

// The next line of `text`, which loses it; a line break in a text field does not end a line. Empty lines and comments
// come as they are.
std::string_view next_line(std::string_view& text);

// kInvalid says what is wrong and where, by column. Nothing for an empty line or a comment.
base::Result<std::optional<Line>> parse_line(std::string_view line);

}  // namespace qd::model::influx
