// Invariants of our own code, checked in every build.
//
// A failed check is a bug in Quarterdeck: the process prints file, line and values to standard error and stops with
// SIGABRT. Wrong input is never an assertion; it is a base::Error.
#pragma once

#include <string>

namespace qd::base {

[[noreturn]] void assert_failed(const char* file, int line, const char* condition, const std::string& values);

}  // namespace qd::base

// QD_ASSERT(index < size, fmt::format("index {} size {}", index, size)): the second argument is optional and is only
// evaluated on failure.
#define QD_ASSERT(condition, ...)                                                            \
  do {                                                                                       \
    if (!(condition)) [[unlikely]]                                                           \
      ::qd::base::assert_failed(__FILE__, __LINE__, #condition, ::std::string{__VA_ARGS__}); \
  } while (false)
