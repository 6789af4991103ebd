#include "base/json_text.h"

#include "base/format.h"
#include "base/strings.h"

namespace qd::base {

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  const bool whole = valid_utf8(text);
  std::size_t plain_from = 0;
  const auto flush = [&](std::size_t to) { out.append(text.substr(plain_from, to - plain_from)); };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x80 || whole)) continue;
    flush(i);
    plain_from = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c < 0x20)
          append_format(out, "\\u{:04x}", c);
        else
          out += "\\ufffd";
    }
  }
  flush(text.size());
  out += '"';
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_text(out, text);
  return out;
}

}  // namespace qd::base
