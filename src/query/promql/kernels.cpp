#include "query/promql/kernels.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "query/promql/grid.h"
#include "query/promql/rate_block.h"

// Bodies are written once, as plain loops without branches, and inlined into a function an instruction set, where the
// compiler vectorises them for it. A product and a sum stay two roundings: fused they would give other bits.
#pragma STDC FP_CONTRACT OFF
#define QD_KERNEL_BODY [[gnu::always_inline]] inline

namespace qd::query::promql {
namespace {

constexpr double kMsPerSecond = 1000;

QD_KERNEL_BODY base::KahanSum sum_body(const double* values, std::size_t n) {
  constexpr std::size_t kLanes = 8;
  base::KahanSum out;
  std::size_t i = 0;
  if (n >= kLanes) {
    double sums[kLanes] = {};
    double compensations[kLanes] = {};
    for (; i + kLanes <= n; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        base::kahan_add(sums[lane], compensations[lane], values[i + lane]);
    }
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t lane = 0; lane < half; ++lane) {
        const double compensation = compensations[lane + half];
        base::kahan_add(sums[lane], compensations[lane], sums[lane + half]);
        compensations[lane] += std::fabs(sums[lane]) == kInfinity ? 0 : compensation;
      }
    }
    out = {sums[0], compensations[0]};
  }
  for (; i < n; ++i) out.add(values[i]);
  return out;
}

// Adding 0 changes nothing, which is what a step without a value adds.
QD_KERNEL_BODY bool fold_sum_body(const double* row, std::size_t n, double* count, double* sum, double* compensation) {
  bool overflow = false;
  for (std::size_t k = 0; k < n; ++k) {
    const bool present = !is_absent(row[k]);
    const double value = present ? row[k] : 0;
    const double before = sum[k];
    base::kahan_add(sum[k], compensation[k], value);
    overflow |= std::fabs(sum[k]) == kInfinity && std::fabs(before) != kInfinity && std::fabs(value) != kInfinity;
    count[k] += present ? 1 : 0;
  }
  return overflow;
}

// The same operations in the same order as extrapolation_factor: the same bits.
QD_KERNEL_BODY void rates_body(const RateColumns& windows, std::size_t n, bool counter, double divisor, double* out) {
  // As a number, so that no branch stands in the loop: a counter is looked at where its first value is at least this.
  const double first_min = counter ? 0 : kInfinity;
  for (std::size_t i = 0; i < n; ++i) {
    const double sampled = windows.sampled_ms[i] / kMsPerSecond;
    const double start_gap = windows.to_start_ms[i] / kMsPerSecond;
    const double end_gap = windows.to_end_ms[i] / kMsPerSecond;
    const double first = windows.first[i];
    const double change = windows.change[i];
    const double interval = sampled / windows.intervals[i];
    const double near = interval * kNearEdge;
    const double half = interval / 2;
    double to_zero = sampled * (first / change);
    to_zero = change > 0 ? to_zero : kInfinity;
    to_zero = first >= first_min ? to_zero : kInfinity;
    double to_start = start_gap >= near ? half : start_gap;
    to_start = to_zero < to_start ? to_zero : to_start;
    const double to_end = end_gap >= near ? half : end_gap;
    const double value = change * ((sampled + to_start + to_end) / sampled / divisor);
    out[i] = windows.present[i] != 0 ? value : kAbsent;
  }
}

QD_KERNEL_BODY bool falls_body(const double* values, std::size_t n) {
  bool any = false;
  for (std::size_t i = 1; i < n; ++i) any |= values[i] < values[i - 1];
  return any;
}

QD_KERNEL_BODY bool any_absent_body(const double* values, std::size_t n) {
  bool any = false;
  for (std::size_t i = 0; i < n; ++i) any |= is_absent(values[i]);
  return any;
}

// One set of kernels, all of them compiled with `attributes`.
#define QD_KERNELS(set, attributes)                                                                              \
  namespace set {                                                                                                \
  attributes base::KahanSum sum(const double* values, std::size_t n) {                                           \
    return sum_body(values, n);                                                                                  \
  }                                                                                                              \
  attributes bool fold_sum(const double* row, std::size_t n, double* count, double* sum, double* compensation) { \
    return fold_sum_body(row, n, count, sum, compensation);                                                      \
  }                                                                                                              \
  attributes void rates(const RateColumns& windows, std::size_t n, bool counter, double divisor, double* out) {  \
    rates_body(windows, n, counter, divisor, out);                                                               \
  }                                                                                                              \
  attributes bool falls(const double* values, std::size_t n) {                                                   \
    return falls_body(values, n);                                                                                \
  }                                                                                                              \
  attributes bool any_absent(const double* values, std::size_t n) {                                              \
    return any_absent_body(values, n);                                                                           \
  }                                                                                                              \
  constexpr Kernels kKernels = {#set, &sum, &fold_sum, &rates, &falls, &any_absent};                             \
  }

QD_KERNELS(plain, )
#if defined(__x86_64__)
QD_KERNELS(avx2, __attribute__((target("avx2"))))
QD_KERNELS(avx512, __attribute__((target("avx512f,avx512dq,avx512vl"))))
#endif

struct Runnable {
  Runnable() {
    add(plain::kKernels);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) add(avx2::kKernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      add(avx512::kKernels);
#endif
  }
  void add(const Kernels& set) { sets[count++] = &set; }
  std::array<const Kernels*, 3> sets{};
  std::size_t count = 0;
};

}  // namespace

std::span<const Kernels* const> runnable_kernels() {
  static const Runnable runnable;
  return std::span(runnable.sets).first(runnable.count);
}

const Kernels& kernels() {
  static const Kernels& best = *runnable_kernels().back();
  return best;
}

}  // namespace qd::query::promql
