#include "query/promql/unquote.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

namespace qd::query::promql {

namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (code >> 6)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (code >> 12)));
    out.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | (code >> 18)));
    out.push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

// `count` digits of base 8 or 16 at the front of `text`.
std::optional<std::uint32_t> digits_of(std::string_view text, std::size_t count, std::uint32_t base_of) {
  if (text.size() < count) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text[i];
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    if (digit >= base_of) return std::nullopt;
    value = value * base_of + digit;
  }
  return value;
}

}  // namespace

base::Result<std::string> unquote(std::string_view quoted) {
  const auto bad = [](std::string_view why) { return base::fail(base::ErrorCode::kInvalid, std::string(why)); };
  if (quoted.size() < 2) return bad("string without its quotes");
  const char quote = quoted.front();
  std::string_view rest = quoted.substr(1, quoted.size() - 2);
  if (quote == '`') return std::string(rest);
  std::string out;
  out.reserve(rest.size());
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c != '\\') {
      out.push_back(c);
      continue;
    }
    if (rest.empty()) return bad("escape sequence not terminated");
    const char e = rest.front();
    rest.remove_prefix(1);
    constexpr std::string_view kFrom = "abfnrtv\\";
    constexpr std::string_view kTo = "\a\b\f\n\r\t\v\\";
    if (const auto at = kFrom.find(e); at != std::string_view::npos) {
      out.push_back(kTo[at]);
    } else if (e == quote) {
      out.push_back(e);
    } else if (e == 'x' || e == 'u' || e == 'U') {
      const std::size_t count = e == 'x' ? 2 : e == 'u' ? 4 : 8;
      const auto code = digits_of(rest, count, 16);
      if (!code) return bad(fmt::format("escape \\{} needs {} hexadecimal digits", e, count));
      rest.remove_prefix(count);
      if (e == 'x') {
        out.push_back(static_cast<char>(*code));
      } else if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) {
        return bad("escape sequence is an invalid Unicode code point");
      } else {
        append_utf8(out, *code);
      }
    } else if (e >= '0' && e <= '7') {
      std::string three(1, e);
      three += rest.substr(0, 2);
      const auto code = digits_of(three, 3, 8);
      if (!code || *code > 255) return bad("octal escape needs three digits and at most \\377");
      rest.remove_prefix(2);
      out.push_back(static_cast<char>(*code));
    } else {
      return bad(fmt::format("unknown escape sequence '\\{}'", e));
    }
  }
  return out;
}

}  // namespace qd::query::promql
