// Text of the outside world as a label value.
#pragma once

#include <string>

namespace qd::observe {

// Label values are UTF-8; names of files, devices and tables are any bytes. Replaces what is not ASCII in a text that
// is not UTF-8 by U+FFFD.
void make_utf8(std::string& text);

}  // namespace qd::observe
