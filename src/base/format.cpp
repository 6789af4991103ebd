#include "base/format.h"

#include <iterator>

namespace qd::base {

void append_formatted(std::string& out, fmt::string_view form, fmt::format_args arguments) {
  fmt::vformat_to(std::back_inserter(out), form, arguments);
}

}  // namespace qd::base
