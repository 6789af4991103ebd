// Scanning the text of /proc and /sys: lines, words and numbers, without copying and without allocating.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace qd::observe {

// A cursor over text that outlives it. Words are separated by blanks and tabs.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  // Up to the next line end, which is passed over.
  std::string_view line() {
    const char* from = at_;
    const void* found = at_ == end_ ? nullptr : std::memchr(at_, '\n', static_cast<std::size_t>(end_ - at_));
    const char* to = found == nullptr ? end_ : static_cast<const char*>(found);
    at_ = found == nullptr ? end_ : to + 1;
    return {from, static_cast<std::size_t>(to - from)};
  }

  // Empty once there is none.
  std::string_view word() {
    skip_blanks();
    const char* from = at_;
    while (at_ != end_ && *at_ != ' ' && *at_ != '\t') ++at_;
    return {from, static_cast<std::size_t>(at_ - from)};
  }

  // Reads a word that is a decimal number; false, with nothing read, when the next word does not start as one.
  bool number(std::uint64_t& value) {
    skip_blanks();
    const char* from = at_;
    std::uint64_t sum = 0;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') sum = sum * 10 + static_cast<std::uint64_t>(*at_++ - '0');
    if (at_ == from) return false;
    value = sum;
    return true;
  }

 private:
  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
  }

  const char* at_;
  const char* end_;
};

// The whole word, or nothing.
inline std::optional<std::uint64_t> decimal(std::string_view word) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), value, 10);
  if (result.ec != std::errc() || result.ptr != word.data() + word.size()) return std::nullopt;
  return value;
}

inline std::optional<std::uint64_t> hexadecimal(std::string_view word) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), value, 16);
  if (result.ec != std::errc() || result.ptr != word.data() + word.size()) return std::nullopt;
  return value;
}

inline std::optional<double> real(std::string_view word) {
  double value = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), value);
  if (result.ec != std::errc() || result.ptr != word.data() + word.size()) return std::nullopt;
  return value;
}

// One number with a line end behind it, as most files of /sys are.
inline std::optional<std::uint64_t> lone_number(std::string_view text) {
  Scanner scanner(text);
  return decimal(Scanner(scanner.line()).word());
}

}  // namespace qd::observe
