// Reading what the kernel writes below /proc, word by word.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace qd::observe::discovery {

template <typename Number>
std::optional<Number> number_of(std::string_view text, int base = 10) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// Takes the next word off the front of `text`; empty when there is none.
std::string_view next_word(std::string_view& text);

// As much as `limit` bytes, and what came with the last read; nothing when it cannot be read.
std::optional<std::string> read_text(const std::string& path, std::size_t limit);

}  // namespace qd::observe::discovery
