// Floats as the text formats write them.
#pragma once

#include <string>
#include <string_view>

namespace qd::model::exposition {

// Reads a float that begins at `at`: decimal, with or without exponent, or Inf, Infinity, NaN in any case, with or
// without sign; neither hexadecimal nor underscores. Returns where it ends, or null when none begins here or when it is
// too large for a double. What follows is the caller's to judge.
const char* read_float(const char* at, const char* end, double& value);

// Like Go's strconv.FormatFloat(v, 'g', -1, 64), as client libraries write samples: the shortest digits that read back
// the same, with an exponent below 1e-04 and from 1e+06 on ("123456", "1.5e+09"), "NaN", "+Inf", "-Inf".
void append_go_float(std::string& out, double value);

}  // namespace qd::model::exposition
