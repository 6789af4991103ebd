#include "query/promql/matchers_of.h"

#include <gtest/gtest.h>

#include <string>

#include "query/promql/parser.h"

namespace qd::query::promql {
namespace {

std::string shown(std::string_view query) {
  const auto expr = parse(query);
  EXPECT_TRUE(expr) << expr.error().message();
  std::string all;
  for (const auto& matchers : matchers_of(**expr)) {
    for (const model::Matcher& matcher : matchers) all += matcher.to_string() + " ";
    all += "| ";
  }
  return all;
}

TEST(MatchersOf, finds_every_selector_wherever_it_stands) {
  EXPECT_EQ(shown("1 + time()"), "");
  EXPECT_EQ(shown("rate(a[5m]) / on(x) -sum by (y) ((b{c!=\"d\"}))"), "__name__=\"a\" | c!=\"d\" __name__=\"b\" | ");
  EXPECT_EQ(shown("topk(scalar(k), max_over_time(e[1h:5m]))"), "__name__=\"k\" | __name__=\"e\" | ");
}

}  // namespace
}  // namespace qd::query::promql
