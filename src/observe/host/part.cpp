#include "observe/host/part.h"

#include "base/strings.h"

namespace qd::observe::host {

void append_name_part(std::string& name, std::string_view text) {
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += fits ? c : '_';
  }
}

void make_utf8(std::string& text) {
  if (base::valid_utf8(text)) return;
  std::string made;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      made += c;
    } else {
      made += "\xef\xbf\xbd";
    }
  }
  text = std::move(made);
}

}  // namespace qd::observe::host
