// The inner loops of evaluation, compiled for several instruction sets; the best that the CPU has is taken at run time.
//
// Every variant gives the same bits. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/kahan.h"

namespace qd::query::promql {

// Windows of a rate, one value a step each (RateBlock::Window).
struct RateColumns {
  const double* present;  // 0 for none
  const double* sampled_ms;
  const double* intervals;
  const double* to_start_ms;
  const double* to_end_ms;
  const double* first;
  const double* change;
};

struct Kernels {
  std::string_view name;
  // The sum of n values: several sums side by side, which the CPU adds at the same time, then added up.
  base::KahanSum (*sum)(const double* values, std::size_t n);
  // Adds to each step's sum the row's value, where it has one, and counts it. True when finite values gave an infinite
  // sum.
  bool (*fold_sum)(const double* row, std::size_t n, double* count, double* sum, double* compensation);
  // kAbsent where there is none. A counter is not extrapolated below zero.
  void (*rates)(const RateColumns& windows, std::size_t n, bool counter, double divisor, double* out);
  // Whether any value is less than the one before it.
  bool (*falls)(const double* values, std::size_t n);
  bool (*any_absent)(const double* values, std::size_t n);
};

const Kernels& kernels();
// All that this CPU runs, the plain one first.
std::span<const Kernels* const> runnable_kernels();

}  // namespace qd::query::promql
