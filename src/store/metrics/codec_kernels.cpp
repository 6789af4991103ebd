#include "store/metrics/codec_kernels.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "store/metrics/bitpack.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

QD_KERNEL_BODY double to_double(std::int64_t integer) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(integer) + std::bit_cast<std::uint64_t>(kIntegerShift)) -
         kIntegerShift;
}

// What becomes of an integer that was put together.
struct AsInteger {
  using Out = std::int64_t;
  QD_KERNEL_BODY std::int64_t operator()(std::uint64_t x) const { return static_cast<std::int64_t>(x); }
};
struct AsDouble {
  using Out = double;
  QD_KERNEL_BODY double operator()(std::uint64_t x) const { return to_double(static_cast<std::int64_t>(x)); }
};
struct Divided {
  using Out = double;
  double power;
  QD_KERNEL_BODY double operator()(std::uint64_t x) const { return to_double(static_cast<std::int64_t>(x)) / power; }
};

template <typename As>
QD_KERNEL_BODY void line_body(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope, As as,
                              typename As::Out* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = as((x += slope) + u[i]);
}

// Four at a time: one addition of four stands in the chain that nothing can overlap.
template <typename As>
QD_KERNEL_BODY void sums_body(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, As as,
                              typename As::Out* to) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const std::uint64_t a = u[i] + step;
    const std::uint64_t b = a + u[i + 1] + step;
    const std::uint64_t cd = u[i + 2] + step;
    const std::uint64_t c = b + cd;
    const std::uint64_t d = b + (cd + u[i + 3] + step);
    to[i] = as(x + a);
    to[i + 1] = as(x + b);
    to[i + 2] = as(x + c);
    to[i + 3] = as(x + d);
    x += d;
  }
  for (; i < n; ++i) to[i] = as(x += step + u[i]);
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

// What the compiler makes of the bodies with `attributes`, as functions of the namespace that it stands in.
#define QD_KERNELS_OF_BODIES(attributes)                                                                   \
  attributes void scale(std::uint64_t* u, std::size_t n, std::uint64_t factor) {                           \
    scale_body(u, n, factor);                                                                              \
  }                                                                                                        \
  attributes void add_line(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope,    \
                           std::int64_t* to) {                                                             \
    line_body(u, n, x, slope, AsInteger(), to);                                                            \
  }                                                                                                        \
  attributes void divide(const std::int64_t* integers, std::size_t n, double power, double* to) {          \
    divide_body(integers, n, power, to);                                                                   \
  }                                                                                                        \
  attributes void divide_line(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope, \
                              double power, double* to) {                                                  \
    if (power == 1) return line_body(u, n, x, slope, AsDouble(), to);                                      \
    line_body(u, n, x, slope, Divided{power}, to);                                                         \
  }                                                                                                        \
  attributes bool rises(const std::int64_t* integers, std::size_t n) {                                     \
    return rises_body(integers, n);                                                                        \
  }

#define QD_UNPACK_OF_BODY(attributes)                                                         \
  template <unsigned W>                                                                       \
  attributes void unpack_width(const std::byte* in, std::uint64_t* out, std::size_t groups) { \
    unpack_body<W>(in, out, groups);                                                          \
  }                                                                                           \
  template <std::size_t... W>                                                                 \
  constexpr std::array<Unpack, sizeof...(W)> unpacks(std::index_sequence<W...>) {             \
    return {&unpack_width<W>...};                                                             \
  }                                                                                           \
  constexpr auto kUnpacks = unpacks(Widths());                                                \
  void unpack(const std::byte* in, unsigned bits, std::uint64_t* out, std::size_t groups) {   \
    kUnpacks[bits](in, out, groups);                                                          \
  }

namespace plain {
QD_UNPACK_OF_BODY()
QD_KERNELS_OF_BODIES()

void add_up(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, std::int64_t* to) {
  sums_body(u, n, x, step, AsInteger(), to);
}

void divide_sums(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, double power, double* to) {
  if (power == 1) return sums_body(u, n, x, step, AsDouble(), to);
  sums_body(u, n, x, step, Divided{power}, to);
}

constexpr DecodeKernels kKernels = {"plain", &unpack,      &scale,       &add_line, &add_up,
                                    &divide, &divide_line, &divide_sums, &rises};
}  // namespace plain

#if defined(__x86_64__)
// Sums by hand: of sums_body the compiler makes something slower than without vectors.
namespace avx2 {
#define QD_AVX2 __attribute__((target("avx2")))

QD_UNPACK_OF_BODY(QD_AVX2)
QD_KERNELS_OF_BODIES(QD_AVX2)

// Calls `store(i, sums)` for every whole four, and then does the rest one by one with `as`.
template <typename Store, typename As>
[[gnu::always_inline]] QD_AVX2 inline void sums(const std::uint64_t* u, std::size_t n, std::uint64_t x,
                                                std::uint64_t step, const Store& store, As as, typename As::Out* to) {
  const __m256i steps = _mm256_set1_epi64x(static_cast<long long>(step));
  __m256i before = _mm256_set1_epi64x(static_cast<long long>(x));
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    __m256i sum = _mm256_add_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(u + i)), steps);
    sum = _mm256_add_epi64(sum, _mm256_slli_si256(sum, 8));
    const __m256i of_lower = _mm256_permute4x64_epi64(sum, 0x55);
    sum = _mm256_add_epi64(sum, _mm256_blend_epi32(_mm256_setzero_si256(), of_lower, 0xf0));
    store(i, _mm256_add_epi64(before, sum));
    before = _mm256_add_epi64(before, _mm256_permute4x64_epi64(sum, 0xff));
  }
  x = static_cast<std::uint64_t>(_mm256_extract_epi64(before, 0));
  for (; i < n; ++i) to[i] = as(x += step + u[i]);
}

QD_AVX2 void add_up(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, std::int64_t* to) {
  const auto store = [to](std::size_t i, __m256i sum)
                         QD_AVX2 { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), sum); };
  sums(u, n, x, step, store, AsInteger(), to);
}

QD_AVX2 void divide_sums(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, double power,
                         double* to) {
  const __m256d shift = _mm256_set1_pd(kIntegerShift);
  const __m256d divisor = _mm256_set1_pd(power);
  const auto as_doubles = [&](__m256i sum) QD_AVX2 {
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(sum, _mm256_castpd_si256(shift))), shift);
  };
  if (power == 1) {
    const auto store = [&](std::size_t i, __m256i sum) QD_AVX2 { _mm256_storeu_pd(to + i, as_doubles(sum)); };
    sums(u, n, x, step, store, AsDouble(), to);
  } else {
    const auto store = [&](std::size_t i, __m256i sum)
                           QD_AVX2 { _mm256_storeu_pd(to + i, _mm256_div_pd(as_doubles(sum), divisor)); };
    sums(u, n, x, step, store, Divided{power}, to);
  }
}

constexpr DecodeKernels kKernels = {"avx2",  &unpack,      &scale,       &add_line, &add_up,
                                    &divide, &divide_line, &divide_sums, &rises};
}  // namespace avx2

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes what its own header leaves undefined on purpose for an oversight (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
namespace avx512 {
#define QD_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))

QD_KERNELS_OF_BODIES(QD_AVX512)

// Where the integers of a group begin: the eight bytes that each lane takes, and how far it shifts them down.
struct alignas(64) Lanes {
  std::array<std::uint8_t, 64> bytes;
  std::array<std::uint64_t, 8> shifts;
};
constexpr std::array<Lanes, kPackedBitsMax + 1> kLanes = [] {
  std::array<Lanes, kPackedBitsMax + 1> of_bits{};
  for (unsigned bits = 0; bits <= kPackedBitsMax; ++bits) {
    for (unsigned lane = 0; lane < 8; ++lane) {
      const unsigned begin = lane * bits;
      of_bits[bits].shifts[lane] = begin % 8;
      for (unsigned i = 0; i < 8; ++i) of_bits[bits].bytes[lane * 8 + i] = static_cast<std::uint8_t>(begin / 8 + i);
    }
  }
  return of_bits;
}();

// Each lane cuts off what is above its integer. A group is exactly `bits` bytes long, and no more of it is read.
QD_AVX512 void unpack(const std::byte* in, unsigned bits, std::uint64_t* out, std::size_t groups) {
  const __m512i which = _mm512_load_si512(kLanes[bits].bytes.data());
  const __m512i down = _mm512_load_si512(kLanes[bits].shifts.data());
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>((std::uint64_t{1} << bits) - 1));
  const __mmask64 group = (std::uint64_t{1} << bits) - 1;
  for (std::size_t g = 0; g < groups; ++g, in += bits, out += 8) {
    const __m512i packed = _mm512_maskz_loadu_epi8(group, in);
    const __m512i lanes = _mm512_srlv_epi64(_mm512_permutexvar_epi8(which, packed), down);
    _mm512_storeu_si512(out, _mm512_and_si512(lanes, mask));
  }
}

// As sums_body does with four, and `store` takes eight sums and which of them there are.
template <typename Store>
[[gnu::always_inline]] QD_AVX512 inline void sums(const std::uint64_t* u, std::size_t n, std::uint64_t x,
                                                  std::uint64_t step, const Store& store) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i last = _mm512_set1_epi64(7);
  const __m512i steps = _mm512_set1_epi64(static_cast<long long>(step));
  __m512i before = _mm512_set1_epi64(static_cast<long long>(x));
  for (std::size_t i = 0; i < n; i += 8) {
    const auto there = static_cast<__mmask8>(n - i >= 8 ? 0xff : (1U << (n - i)) - 1);
    __m512i sum = _mm512_add_epi64(_mm512_maskz_loadu_epi64(there, u + i), steps);
    sum = _mm512_add_epi64(sum, _mm512_alignr_epi64(sum, zero, 7));
    sum = _mm512_add_epi64(sum, _mm512_alignr_epi64(sum, zero, 6));
    sum = _mm512_add_epi64(sum, _mm512_alignr_epi64(sum, zero, 4));
    store(i, there, _mm512_add_epi64(before, sum));
    before = _mm512_add_epi64(before, _mm512_permutexvar_epi64(last, sum));
  }
}

QD_AVX512 void add_up(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, std::int64_t* to) {
  sums(u, n, x, step,
       [to](std::size_t i, __mmask8 there, __m512i sum) QD_AVX512 { _mm512_mask_storeu_epi64(to + i, there, sum); });
}

QD_AVX512 void divide_sums(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, double power,
                           double* to) {
  const __m512d shift = _mm512_set1_pd(kIntegerShift);
  const __m512d divisor = _mm512_set1_pd(power);
  const auto as_doubles = [&](__m512i sum) QD_AVX512 {
    return _mm512_sub_pd(_mm512_castsi512_pd(_mm512_add_epi64(sum, _mm512_castpd_si512(shift))), shift);
  };
  if (power == 1) {
    sums(u, n, x, step, [&](std::size_t i, __mmask8 there, __m512i sum) QD_AVX512 {
      _mm512_mask_storeu_pd(to + i, there, as_doubles(sum));
    });
  } else {
    sums(u, n, x, step, [&](std::size_t i, __mmask8 there, __m512i sum) QD_AVX512 {
      _mm512_mask_storeu_pd(to + i, there, _mm512_div_pd(as_doubles(sum), divisor));
    });
  }
}

constexpr DecodeKernels kKernels = {"avx512", &unpack,      &scale,       &add_line, &add_up,
                                    &divide,  &divide_line, &divide_sums, &rises};
}  // namespace avx512
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

struct Runnable {
  Runnable() {
    add(plain::kKernels);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) add(avx2::kKernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi")) {
      add(avx512::kKernels);
    }
#endif
  }
  void add(const DecodeKernels& kernels) { sets[count++] = &kernels; }
  std::array<const DecodeKernels*, 3> sets{};
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
