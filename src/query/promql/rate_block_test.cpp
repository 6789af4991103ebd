#include "query/promql/rate_block.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

#include "query/promql/window_functions.h"

namespace qd::query::promql {
namespace {

// Windows of all kinds, one after the other: the bits are those of a step computed alone.
TEST(RateBlock, gives_the_bits_of_single_steps) {
  std::mt19937 random(5);
  for (int round = 0; round < 400; ++round) {
    const bool counter = round % 2 == 0;
    const bool per_second = round % 3 == 0;
    const Grid grid{1'000'000, 15'000, RateBlock::kSteps};
    const Moment moment;
    constexpr std::int64_t kRangeMs = 60'000;
    RateBlock block;
    std::vector<std::uint64_t> expected;
    for (std::size_t k = 0; k < RateBlock::kSteps; ++k) {
      const std::size_t n = random() % 6;
      if (n < 2) {
        block.set_absent(k);
        expected.push_back(std::bit_cast<std::uint64_t>(kAbsent));
        continue;
      }
      // Some samples stand at the window's edges.
      const model::TimestampMs end = moment.at(grid, k);
      std::vector<model::TimestampMs> times;
      std::vector<double> values;
      for (std::size_t i = 0; i < n; ++i) {
        times.push_back(end - 10'000 * static_cast<std::int64_t>(n - 1 - i) -
                        static_cast<std::int64_t>(random() % 9'000));
        values.push_back(static_cast<double>(random() % 100) - (random() % 5 == 0 ? 50 : 0));
      }
      const WindowView view{times.data(), values.data(), n, grid, moment, kRangeMs};
      const double change = values[n - 1] - values[0];
      block.set(k, {.sampled_ms = static_cast<double>(times[n - 1] - times[0]),
                    .intervals = static_cast<double>(n - 1),
                    .to_start_ms = static_cast<double>(times[0] - view.begin(k)),
                    .to_end_ms = static_cast<double>(end - times[n - 1]),
                    .first = values[0],
                    .change = change});
      const double rate = change * extrapolation_factor(view, 0, n, k, {counter, per_second, values[0], change});
      expected.push_back(std::bit_cast<std::uint64_t>(rate));
    }
    std::vector<double> out(RateBlock::kSteps);
    block.compute(RateBlock::kSteps, counter, per_second, kRangeMs / 1000, out.data());
    for (std::size_t k = 0; k < RateBlock::kSteps; ++k)
      ASSERT_EQ(std::bit_cast<std::uint64_t>(out[k]), expected[k]) << "round " << round << " step " << k;
  }
}

}  // namespace
}  // namespace qd::query::promql
