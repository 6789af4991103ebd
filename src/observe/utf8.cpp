#include "observe/utf8.h"

#include <utility>

#include "base/strings.h"

namespace qd::observe {

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

}  // namespace qd::observe
