#include "base/assert.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace qd::base {

void assert_failed(const char* file, int line, const char* condition, const std::string& values) {
  fmt::print(stderr, "{}:{}: this is a bug in Quarterdeck: ({}) does not hold{}{}\n", file, line, condition,
             values.empty() ? "" : ": ", values);
  std::fflush(stderr);
  std::abort();
}

}  // namespace qd::base
