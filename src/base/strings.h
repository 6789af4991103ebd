// Text, as the field writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace qd::base {

std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
bool valid_utf8(std::string_view text);
// In double quotes, as Go and PromQL write it: control characters and bytes that are not UTF-8 are escaped.
std::string quote(std::string_view text);

// The nearest of `candidates` by edit distance, if it is near enough to be what was meant.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

// A float as Prometheus reads it: decimal, hexadecimal, "Inf", "+Inf", "-inf", "NaN", any case; nothing else around it.
std::optional<double> parse_float(std::string_view text);
// A float as Prometheus prints it in samples and JSON (Go's strconv 'f' with shortest digits): "1", "0.1", "1e+21" is
// "1000000000000000000000", "NaN", "+Inf", "-Inf".
std::string format_float(double value);
void append_float(std::string& out, double value);

// A duration as Prometheus writes it: "1h30m", "15s", "100ms", "0"; units ms s m h d w y in falling order, each once.
Result<std::int64_t> parse_duration_ms(std::string_view text);
// The same, printed: "1h30m"; "0s" for zero.
std::string format_duration_ms(std::int64_t ms);

// A size in bytes: "512", "10KB", "1GiB", "2G" (powers of 1024, as Prometheus reads storage sizes).
Result<std::uint64_t> parse_bytes(std::string_view text);

// Seconds since the epoch (may have a fraction) or RFC 3339, as milliseconds.
Result<std::int64_t> parse_time_ms(std::string_view text);
// RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z".
std::string format_time(std::int64_t wall_ms);

}  // namespace qd::base
