#include "model/exposition/number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>

namespace qd::model::exposition {
namespace {

double read(const std::string& text) {
  double value = -12345;
  const char* const end = text.data() + text.size();
  EXPECT_EQ(read_float(text.data(), end, value), end) << text;
  return value;
}

std::string print(double value) {
  std::string out;
  append_go_float(out, value);
  return out;
}

TEST(ReadFloat, reads_decimals_of_any_length_exactly) {
  for (const char* text : {"0",
                           "-0",
                           "1",
                           "123456789012345678",
                           "9007199254740993",
                           "12345678901234567890123",
                           "0.1",
                           "3.14159265358979",
                           "1e22",
                           "1e23",
                           "1.5e+09",
                           "1E-5",
                           "5.",
                           ".5",
                           "5e-324",
                           "2.2250738585072011e-308",
                           "1.7976931348623157e308",
                           "0.000000000000000000000000000001",
                           "00000000000000000000000001.2e-1",
                           "1e-400",
                           "4.9e-325",
                           "89255.0000000000000000001",
                           "-1.458255915e9",
                           "18446744073709551616",
                           "0.30000000000000004"}) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(read(text)), std::bit_cast<std::uint64_t>(std::strtod(text, nullptr)))
        << text;
  }
  EXPECT_EQ(read("+5"), 5);
  EXPECT_EQ(read("-iNf"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(read("+Infinity"), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(read("NaN")));
}

TEST(ReadFloat, agrees_with_strtod_on_random_numbers) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    char text[64];
    if (i % 2 == 0) {
      const auto value = std::bit_cast<double>(random());
      if (!std::isfinite(value)) continue;
      std::snprintf(text, sizeof(text), "%.*g", static_cast<int>(1 + random() % 19), value);
    } else {
      std::snprintf(text, sizeof(text), "%lld.%llu", static_cast<long long>(random() % 1'000'000'007),
                    static_cast<unsigned long long>(random() >> (random() % 64)));
    }
    if (std::isinf(std::strtod(text, nullptr))) continue;
    ASSERT_EQ(read(text), std::strtod(text, nullptr)) << text;
  }
}

TEST(ReadFloat, refuses_what_is_not_a_decimal) {
  double value = 0;
  for (const std::string text :
       {"", "-", "+", ".", "-.", "e5", "1e", "1e+", "in", "na", "x", "--1", "1e309", "-1e999"}) {
    EXPECT_EQ(read_float(text.data(), text.data() + text.size(), value), nullptr) << text;
  }
  // What follows a number is left to the caller.
  const std::string text = "0x1";
  EXPECT_EQ(read_float(text.data(), text.data() + text.size(), value), text.data() + 1);
}

TEST(AppendGoFloat, prints_as_go_does) {
  EXPECT_EQ(print(0), "0");
  EXPECT_EQ(print(-0.0), "-0");
  EXPECT_EQ(print(1), "1");
  EXPECT_EQ(print(100000), "100000");
  EXPECT_EQ(print(999999.5), "999999.5");
  EXPECT_EQ(print(1e6), "1e+06");
  EXPECT_EQ(print(1.5e9), "1.5e+09");
  EXPECT_EQ(print(-1234567), "-1.234567e+06");
  EXPECT_EQ(print(0.0001), "0.0001");
  EXPECT_EQ(print(0.00001), "1e-05");
  EXPECT_EQ(print(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(print(1e100), "1e+100");
  EXPECT_EQ(print(5e-324), "5e-324");
  EXPECT_EQ(print(std::nan("")), "NaN");
  EXPECT_EQ(print(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(print(-std::numeric_limits<double>::infinity()), "-Inf");
}

}  // namespace
}  // namespace qd::model::exposition
