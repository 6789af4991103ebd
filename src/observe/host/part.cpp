#include "observe/host/part.h"

namespace qd::observe::host {

void append_name_part(std::string& name, std::string_view text) {
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += fits ? c : '_';
  }
}

}  // namespace qd::observe::host
