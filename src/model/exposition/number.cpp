#include "model/exposition/number.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "model/sample.h"

namespace qd::model::exposition {

namespace {

// Powers of ten that a double holds exactly: with a mantissa below 2^53 one multiplication or division by them rounds
// once, so correctly (Clinger, "How to read floating point numbers accurately", 1990).
constexpr std::array<double, 23> kExactPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr std::uint64_t kExactMantissa = 1ULL << 53;

inline unsigned digit(char c) {
  return static_cast<unsigned>(static_cast<unsigned char>(c)) - '0';
}

// `word` is in lower case.
bool reads(const char* at, const char* end, std::string_view word) {
  if (static_cast<std::size_t>(end - at) < word.size()) return false;
  for (const char c : word) {
    if ((*at++ | 0x20) != c) return false;
  }
  return true;
}

const char* read_word(const char* at, const char* end, bool negative, double& value) {
  if (reads(at, end, "nan")) {
    value = std::bit_cast<double>(kNormalNanBits);
    return at + 3;
  }
  if (!reads(at, end, "inf")) return nullptr;
  value = negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  return at + (reads(at, end, "infinity") ? 8 : 3);
}

// Everything that the short way does not take: many digits, large exponents.
const char* read_long(const char* at, const char* end, bool negative, double& value) {
  double magnitude = 0;
  const auto read = std::from_chars(at, end, magnitude, std::chars_format::general);
  if (read.ec == std::errc::result_out_of_range) {
    // Too large is refused; too small is zero, or as near as a double comes.
    const std::string copy(at, read.ptr);
    magnitude = std::strtod(copy.c_str(), nullptr);
    if (std::isinf(magnitude)) return nullptr;
  } else if (read.ec != std::errc()) {
    return nullptr;
  }
  value = negative ? -magnitude : magnitude;
  return read.ptr;
}

}  // namespace

const char* read_float(const char* at, const char* end, double& value) {
  if (at == end) return nullptr;
  const bool negative = *at == '-';
  if (negative || *at == '+') ++at;
  const char* const start = at;

  std::uint64_t mantissa = 0;
  while (at != end && digit(*at) < 10) mantissa = mantissa * 10 + digit(*at++);
  std::size_t digits = static_cast<std::size_t>(at - start);
  std::int64_t exponent = 0;
  if (at != end && *at == '.') {
    const char* const fraction = ++at;
    while (at != end && digit(*at) < 10) mantissa = mantissa * 10 + digit(*at++);
    exponent = fraction - at;
    digits += static_cast<std::size_t>(at - fraction);
  }
  if (digits == 0) return at == start ? read_word(at, end, negative, value) : nullptr;
  if (at != end && (*at | 0x20) == 'e') {
    const char* power = at + 1;
    const bool power_negative = power != end && *power == '-';
    if (power != end && (*power == '-' || *power == '+')) ++power;
    const char* const power_start = power;
    std::int64_t given = 0;
    while (power != end && digit(*power) < 10) {
      if (given < 100'000) given = given * 10 + digit(*power);
      ++power;
    }
    if (power == power_start) return nullptr;
    exponent += power_negative ? -given : given;
    at = power;
  }
  // 19 digits always fit 64 bits.
  if (digits > 19 || mantissa > kExactMantissa || exponent < -22 || exponent > 22) {
    return read_long(start, end, negative, value);
  }
  auto magnitude = static_cast<double>(mantissa);
  if (exponent < 0) {
    magnitude /= kExactPowers[static_cast<std::size_t>(-exponent)];
  } else if (exponent > 0) {
    magnitude *= kExactPowers[static_cast<std::size_t>(exponent)];
  }
  value = negative ? -magnitude : magnitude;
  return at;
}

void append_go_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out.append("NaN");
    return;
  }
  if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
    return;
  }
  // The longest shortest double in scientific form is 24 characters; in fixed form between 1e-04 and 1e+06, fewer.
  std::array<char, 32> buffer;
  const double magnitude = std::fabs(value);
  const bool fixed = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e6);
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                     fixed ? std::chars_format::fixed : std::chars_format::scientific);
  out.append(buffer.data(), written.ptr);
}

}  // namespace qd::model::exposition
