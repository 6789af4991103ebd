#include "model/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace qd::model {
namespace {

Histogram some() {
  Histogram h;
  h.schema = 1;
  h.is_integer = true;
  h.zero_threshold = 0.001;
  h.zero_count = 2;
  h.count = 12;
  h.sum = 18.4;
  h.positive_spans = {{0, 2}, {1, 2}};
  h.positive = {1, 2, 3, 4};
  return h;
}

std::string why_not(const Histogram& histogram) {
  const base::Status valid = validate(histogram);
  return valid ? "" : std::string(valid.error().message());
}

TEST(Histogram, a_good_one_is_valid) {
  EXPECT_EQ(why_not(some()), "");
  Histogram of_nan = some();
  of_nan.count = 13;  // one observation was NaN
  of_nan.sum = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(why_not(of_nan), "");
  Histogram custom;
  custom.schema = kCustomBounds;
  custom.custom_bounds = {1, 2, 5};
  custom.positive_spans = {{0, 4}};
  custom.positive = {1, 1, 1, 1};
  custom.count = 4;
  EXPECT_EQ(why_not(custom), "");
}

TEST(Histogram, what_breaks_the_specification_is_told) {
  const auto with = [](auto change) {
    Histogram h = some();
    change(h);
    return why_not(h);
  };
  EXPECT_NE(with([](Histogram& h) { h.schema = 9; }).find("schema 9"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.positive.pop_back(); }).find("of 4 buckets, and 3"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.positive_spans[1].offset = -1; }).find("span 2"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.positive[2] = -3; }).find("bucket 3"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.count = 11; }).find("12 observations"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.count = 13; }).find("12 observations"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.zero_threshold = NAN; }).find("zero bucket"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.custom_bounds = {1}; }).find("custom bounds as well"), std::string::npos);
  EXPECT_NE(with([](Histogram& h) { h.positive_spans[1].length = 4'000'000'000; }).find("beyond any index"),
            std::string::npos);
}

TEST(Histogram, custom_bounds_are_checked) {
  Histogram h;
  h.schema = kCustomBounds;
  h.custom_bounds = {1, 2};
  h.positive_spans = {{0, 4}};
  h.positive = {1, 1, 1, 1};
  h.count = 4;
  EXPECT_NE(why_not(h).find("reach to bucket 4"), std::string::npos);
  h.positive_spans = {{-1, 4}};
  EXPECT_NE(why_not(h).find("before the first bound"), std::string::npos);
  h.positive_spans = {{0, 4}};
  h.custom_bounds = {1, 1, 2};
  EXPECT_NE(why_not(h).find("do not rise"), std::string::npos);
}

TEST(Histogram, equality_is_of_bits) {
  Histogram a = some();
  a.sum = std::numeric_limits<double>::quiet_NaN();
  Histogram b = a;
  EXPECT_EQ(a, b);
  b.sum = -a.sum;
  EXPECT_FALSE(a == b);
}

}  // namespace
}  // namespace qd::model
