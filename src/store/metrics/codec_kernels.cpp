#include "store/metrics/codec_kernels.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "store/metrics/bitpack.h"

// Bodies are written once, as plain loops, and inlined into a function a instruction set, where the compiler vectorises
// them for it.
#define QD_KERNEL_BODY [[gnu::always_inline]] inline

namespace qd::store::metrics {
namespace {

QD_KERNEL_BODY std::uint64_t load(const std::byte* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

template <unsigned W>
QD_KERNEL_BODY void unpack_body(const std::byte* in, std::uint64_t* out, std::size_t groups) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << W) - 1;
  for (std::size_t g = 0; g < groups; ++g, in += W, out += 8) {
    if constexpr (W == 0) {
      for (unsigned j = 0; j < 8; ++j) out[j] = 0;
    } else if constexpr (W <= 8) {
      const std::uint64_t word = load(in);
      for (unsigned j = 0; j < 8; ++j) out[j] = (word >> (j * W)) & kMask;
    } else if constexpr (W <= 16) {
      const std::uint64_t low = load(in);
      const std::uint64_t high = load(in + W / 2) >> (W % 2 * 4);
      for (unsigned j = 0; j < 4; ++j) out[j] = (low >> (j * W)) & kMask;
      for (unsigned j = 0; j < 4; ++j) out[4 + j] = (high >> (j * W)) & kMask;
    } else {
      for (unsigned j = 0; j < 8; ++j) out[j] = (load(in + j * W / 8) >> (j * W % 8)) & kMask;
    }
  }
}

QD_KERNEL_BODY void scale_body(std::uint64_t* u, std::size_t n, std::uint64_t factor) {
  for (std::size_t i = 0; i < n; ++i) u[i] *= factor;
}

QD_KERNEL_BODY void add_line_body(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope,
                                  std::int64_t* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<std::int64_t>((x += slope) + u[i]);
}

// Four at a time: one addition of four stands in the chain that nothing can overlap.
QD_KERNEL_BODY void add_up_body(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step,
                                std::int64_t* to) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const std::uint64_t a = u[i] + step;
    const std::uint64_t b = a + u[i + 1] + step;
    const std::uint64_t cd = u[i + 2] + step;
    const std::uint64_t c = b + cd;
    const std::uint64_t d = b + (cd + u[i + 3] + step);
    to[i] = static_cast<std::int64_t>(x + a);
    to[i + 1] = static_cast<std::int64_t>(x + b);
    to[i + 2] = static_cast<std::int64_t>(x + c);
    to[i + 3] = static_cast<std::int64_t>(x + d);
    x += d;
  }
  for (; i < n; ++i) to[i] = static_cast<std::int64_t>(x += step + u[i]);
}

QD_KERNEL_BODY double to_double(std::int64_t integer) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(integer) + std::bit_cast<std::uint64_t>(kIntegerShift)) -
         kIntegerShift;
}

QD_KERNEL_BODY void divide_body(const std::int64_t* integers, std::size_t n, double power, double* to) {
  if (power == 1) {
    for (std::size_t i = 0; i < n; ++i) to[i] = to_double(integers[i]);
  } else {
    for (std::size_t i = 0; i < n; ++i) to[i] = to_double(integers[i]) / power;
  }
}

QD_KERNEL_BODY bool rises_body(const std::int64_t* integers, std::size_t n) {
  std::int64_t falls = 0;
  for (std::size_t i = 1; i < n; ++i) falls |= -static_cast<std::int64_t>(integers[i] <= integers[i - 1]);
  return falls == 0;
}

using Unpack = void (*)(const std::byte*, std::uint64_t*, std::size_t);
using Widths = std::make_index_sequence<kPackedBitsMax + 1>;

// One set of kernels, all of them compiled with `attributes`.
#define QD_KERNELS(set, attributes)                                                                     \
  namespace set {                                                                                       \
  template <unsigned W>                                                                                 \
  attributes void unpack_width(const std::byte* in, std::uint64_t* out, std::size_t groups) {           \
    unpack_body<W>(in, out, groups);                                                                    \
  }                                                                                                     \
  template <std::size_t... W>                                                                           \
  constexpr std::array<Unpack, sizeof...(W)> unpacks(std::index_sequence<W...>) {                       \
    return {&unpack_width<W>...};                                                                       \
  }                                                                                                     \
  constexpr auto kUnpacks = unpacks(Widths());                                                          \
  void unpack(const std::byte* in, unsigned bits, std::uint64_t* out, std::size_t groups) {             \
    kUnpacks[bits](in, out, groups);                                                                    \
  }                                                                                                     \
  attributes void scale(std::uint64_t* u, std::size_t n, std::uint64_t factor) {                        \
    scale_body(u, n, factor);                                                                           \
  }                                                                                                     \
  attributes void add_line(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope, \
                           std::int64_t* to) {                                                          \
    add_line_body(u, n, x, slope, to);                                                                  \
  }                                                                                                     \
  attributes void add_up(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step,    \
                         std::int64_t* to) {                                                            \
    add_up_body(u, n, x, step, to);                                                                     \
  }                                                                                                     \
  attributes void divide(const std::int64_t* integers, std::size_t n, double power, double* to) {       \
    divide_body(integers, n, power, to);                                                                \
  }                                                                                                     \
  attributes bool rises(const std::int64_t* integers, std::size_t n) {                                  \
    return rises_body(integers, n);                                                                     \
  }                                                                                                     \
  constexpr DecodeKernels kKernels = {#set, &unpack, &scale, &add_line, &add_up, &divide, &rises};      \
  }

QD_KERNELS(plain, )
#if defined(__x86_64__)
QD_KERNELS(avx2, __attribute__((target("avx2"))))
#endif

struct Runnable {
  Runnable() {
    add(plain::kKernels);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) add(avx2::kKernels);
#endif
  }
  void add(const DecodeKernels& kernels) { sets[count++] = &kernels; }
  std::array<const DecodeKernels*, 2> sets{};
  std::size_t count = 0;
};

}  // namespace

std::span<const DecodeKernels* const> runnable_decode_kernels() {
  static const Runnable runnable;
  return std::span(runnable.sets).first(runnable.count);
}

const DecodeKernels& decode_kernels() {
  static const DecodeKernels& best = *runnable_decode_kernels().back();
  return best;
}

}  // namespace qd::store::metrics
