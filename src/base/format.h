// What fmt::format_to and fmt::join do. Those bring the whole formatter into every source that calls them, which takes
// two seconds each to compile; here it is compiled once.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace qd::base {

void append_formatted(std::string& out, fmt::string_view form, fmt::format_args arguments);

// Appends what fmt::format(form, arguments…) gives.
template <typename... Arguments>
void append_format(std::string& out, fmt::format_string<Arguments...> form, Arguments&&... arguments) {
  append_formatted(out, form, fmt::make_format_args(arguments...));
}

// The words of a range of texts, with the separator between them.
template <typename Words>
std::string join(const Words& words, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const std::string_view word : words) {
    if (!first) out += separator;
    first = false;
    out += word;
  }
  return out;
}

}  // namespace qd::base
