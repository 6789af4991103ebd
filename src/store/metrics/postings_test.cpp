#include "store/metrics/postings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <set>

namespace qd::store::metrics {
namespace {

Postings random_list(std::mt19937& random, std::size_t count, std::uint32_t range) {
  std::set<std::uint32_t> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.insert(static_cast<std::uint32_t>(random()) % range);
  return {numbers.begin(), numbers.end()};
}

TEST(Postings, operations_agree_with_sets) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    // Short against long takes the galloping path, narrow ranges the bitmap.
    const std::uint32_t range = round % 3 == 0 ? 4'000'000'000U : round % 3 == 1 ? 5000 : 100;
    const Postings a = random_list(random, random() % (round % 2 == 0 ? 5 : 300), range);
    const Postings b = random_list(random, random() % 300, range);
    const Postings c = random_list(random, random() % 300, range);
    Postings expected;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(expected));
    EXPECT_EQ(intersect(a, b), expected);
    EXPECT_EQ(intersect(b, a), expected);
    Postings of_three;
    std::set_intersection(expected.begin(), expected.end(), c.begin(), c.end(), std::back_inserter(of_three));
    EXPECT_EQ(intersect({a, b, c}), of_three);
    expected.clear();
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(expected));
    EXPECT_EQ(subtract(a, b), expected);
    std::set<std::uint32_t> all(a.begin(), a.end());
    all.insert(b.begin(), b.end());
    const std::vector<PostingsView> two = {a, b};
    EXPECT_EQ(unite(two), Postings(all.begin(), all.end()));
    all.insert(c.begin(), c.end());
    const std::vector<PostingsView> three = {a, b, c};
    EXPECT_EQ(unite(three), Postings(all.begin(), all.end()));
  }
}

TEST(Postings, of_nothing_is_nothing) {
  const Postings some = {1, 2};
  EXPECT_TRUE(intersect(std::vector<PostingsView>{}).empty());
  EXPECT_TRUE(unite({}).empty());
  EXPECT_TRUE(intersect(some, {}).empty());
  EXPECT_EQ(subtract(some, {}), some);
  EXPECT_EQ(unite(std::vector<PostingsView>{{}, some, {}}), some);
}

TEST(Postings, gallop_finds_the_first_not_less) {
  const Postings list = {0, 2, 4, 6, 8, 10, UINT32_MAX};
  for (std::size_t at = 0; at <= list.size(); ++at) {
    for (const std::uint32_t value : {0U, 1U, 2U, 5U, 10U, 11U, UINT32_MAX}) {
      const auto found = std::lower_bound(list.begin() + static_cast<std::ptrdiff_t>(at), list.end(), value);
      EXPECT_EQ(gallop(list, at, value), static_cast<std::size_t>(found - list.begin())) << at << ' ' << value;
    }
  }
}

}  // namespace
}  // namespace qd::store::metrics
