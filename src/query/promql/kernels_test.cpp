#include "query/promql/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "query/promql/grid.h"

namespace qd::query::promql {
namespace {

std::vector<std::uint64_t> bits(std::span<const double> values) {
  std::vector<std::uint64_t> out;
  for (const double value : values) out.push_back(std::bit_cast<std::uint64_t>(value));
  return out;
}

// Numbers of all sizes, sometimes with what arithmetic stumbles over among them.
std::vector<double> numbers(std::mt19937& random, std::size_t n, bool odd) {
  std::vector<double> out(n);
  for (double& value : out) {
    value = std::ldexp(static_cast<double>(random()) - 2e9, static_cast<int>(random() % 40) - 20);
    if (odd && random() % 20 == 0) value = kAbsent;
    if (odd && random() % 200 == 0) value = kInfinity;
    if (odd && random() % 200 == 0) value = 1.7e308;
  }
  return out;
}

TEST(Kernels, every_set_gives_the_bits_of_the_plain_one) {
  std::mt19937 random(7);
  const Kernels& plain = *runnable_kernels().front();
  ASSERT_EQ(plain.name, "plain");
  for (const Kernels* const set : runnable_kernels()) {
    for (int round = 0; round < 200; ++round) {
      const std::size_t n = random() % 100;
      const std::vector<double> values = numbers(random, n, round % 2 == 0);
      const base::KahanSum expected = plain.sum(values.data(), n);
      const base::KahanSum sum = set->sum(values.data(), n);
      const double expected_parts[] = {expected.sum, expected.compensation};
      const double parts[] = {sum.sum, sum.compensation};
      // Which NaN it is, is not said.
      if (!std::isnan(expected.sum) && !std::isnan(expected.compensation)) {
        EXPECT_EQ(bits(parts), bits(expected_parts)) << set->name;
      }
      EXPECT_EQ(set->falls(values.data(), n), plain.falls(values.data(), n)) << set->name;
      EXPECT_EQ(set->any_absent(values.data(), n), plain.any_absent(values.data(), n)) << set->name;

      std::vector<double> folds[2][3];
      bool overflow[2];
      for (int which = 0; which < 2; ++which) {
        for (auto& column : folds[which]) column.assign(n, 1);
        overflow[which] =
            (which == 0 ? plain : *set)
                .fold_sum(values.data(), n, folds[which][0].data(), folds[which][1].data(), folds[which][2].data());
      }
      EXPECT_EQ(overflow[0], overflow[1]) << set->name;
      EXPECT_EQ(bits(folds[0][0]), bits(folds[1][0])) << set->name;
      for (std::size_t k = 0; k < n; ++k) {
        if (std::isnan(folds[0][1][k])) continue;
        EXPECT_EQ(folds[0][1][k], folds[1][1][k]) << set->name;
        EXPECT_EQ(folds[0][2][k], folds[1][2][k]) << set->name;
      }
    }
  }
}

TEST(Kernels, a_sum_loses_no_small_addend) {
  std::mt19937 random(8);
  for (const Kernels* const set : runnable_kernels()) {
    for (std::size_t n = 0; n < 70; ++n) {
      std::vector<double> values(n, 0.5);
      double expected = 0.5 * static_cast<double>(n);
      if (n >= 3) {
        // Two that cancel each other hide all the others from a plain sum.
        const std::size_t first = random() % n;
        const std::size_t second = (first + 1 + random() % (n - 1)) % n;
        values[first] = 1e100;
        values[second] = -1e100;
        expected -= 1;
      }
      EXPECT_EQ(set->sum(values.data(), n).value(), expected) << set->name << " of " << n;
    }
    const std::vector<double> infinite = {1, 2, 3, 4, 5, 6, 7, 8, kInfinity, 1, 2, 3};
    EXPECT_EQ(set->sum(infinite.data(), infinite.size()).value(), kInfinity) << set->name;
  }
}

TEST(Kernels, tell_what_is_somewhere_among_many) {
  for (const Kernels* const set : runnable_kernels()) {
    for (std::size_t n = 1; n < 40; ++n) {
      std::vector<double> rising(n);
      for (std::size_t i = 0; i < n; ++i) rising[i] = static_cast<double>(i);
      EXPECT_FALSE(set->falls(rising.data(), n));
      EXPECT_FALSE(set->any_absent(rising.data(), n));
      for (std::size_t i = 0; i < n; ++i) {
        std::vector<double> changed = rising;
        changed[i] = kAbsent;
        EXPECT_TRUE(set->any_absent(changed.data(), n)) << set->name << " of " << n << " at " << i;
        changed[i] = -1;
        EXPECT_EQ(set->falls(changed.data(), n), i > 0) << set->name << " of " << n << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace qd::query::promql
