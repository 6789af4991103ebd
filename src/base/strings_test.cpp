#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace qd::base {
namespace {

using ::testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Strings, trim_and_split) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(Strings, utf8_is_strict) {
  EXPECT_TRUE(valid_utf8("ascii only, and longer than eight bytes"));
  EXPECT_TRUE(valid_utf8("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"));
  for (const char* wrong : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "abcdefgh\xc3", "\xc3\x28"})
    EXPECT_FALSE(valid_utf8(wrong)) << wrong;
}

TEST(Strings, quote_escapes_what_is_no_text) {
  EXPECT_EQ(quote("a \"b\" \\ é \xf0\x9f\x98\x80"), "\"a \\\"b\\\" \\\\ é \xf0\x9f\x98\x80\"");
  EXPECT_EQ(quote("\n\r\t\x01\x7f"), R"("\n\r\t\x01\x7f")");
  EXPECT_EQ(quote("\xc3 \xff\xe9"), R"("\xc3 \xff\xe9")");
}

TEST(Strings, nearest_suggests_what_was_meant_and_nothing_far) {
  const std::vector<std::string> keys = {"scrape_interval", "scrape_timeout", "rate", "irate", "wal", "up", "increase"};
  EXPECT_EQ(nearest("scrape_intervall", keys), "scrape_interval");
  EXPECT_EQ(nearest("scrapeInterval", keys), "scrape_interval");
  EXPECT_EQ(nearest("SCRAPE_TIMEOUT", keys), "scrape_timeout");
  EXPECT_EQ(nearest("rat", keys), "rate");
  EXPECT_EQ(nearest("arte", keys), "rate");
  EXPECT_EQ(nearest("incraese", keys), "increase");
  EXPECT_EQ(nearest("wall", keys), "wal");
  for (const char* far : {"", "x", "ab", "interval", "down", "evaluate", "foo", "scrape"})
    EXPECT_EQ(nearest(far, keys), std::nullopt) << far;
  EXPECT_EQ(nearest(std::string(100'000, 'a'), keys), std::nullopt);
}

TEST(Strings, parse_float_reads_what_the_field_writes) {
  EXPECT_EQ(parse_float("1"), 1.0);
  EXPECT_EQ(parse_float("-0.5e3"), -500.0);
  EXPECT_EQ(parse_float("+.5"), 0.5);
  EXPECT_EQ(parse_float("5."), 5.0);
  EXPECT_EQ(parse_float("0x1F"), 31.0);
  EXPECT_EQ(parse_float("-0x1p-2"), -0.25);
  EXPECT_EQ(parse_float("INF"), kInfinity);
  EXPECT_EQ(parse_float("-Infinity"), -kInfinity);
  EXPECT_TRUE(std::isnan(parse_float("nan").value()));
  EXPECT_EQ(parse_float("1e-400"), 0.0);
  EXPECT_EQ(parse_float("4.9e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_TRUE(std::signbit(parse_float("-0").value()));
}

TEST(Strings, parse_float_refuses_the_rest) {
  for (const char* wrong : {"",     " 1",    "1 ",   "+",    "-",    "--1",  "+-1",   "1e",     "1e+",
                            ".",    "0x",    "0x-1", "+nan", "-nan", "nan1", "1_000", "1e999",  "inf ",
                            "infx", "0xinf", "1,5",  "0x1g", "e5",   "1..2", "--inf", "nan(1)", "0xnan"})
    EXPECT_EQ(parse_float(wrong), std::nullopt) << wrong;
}

TEST(Strings, format_float_prints_as_go_does) {
  const std::vector<std::pair<double, std::string>> cases = {
      {0, "0"},
      {-0.0, "-0"},
      {1, "1"},
      {-1, "-1"},
      {0.1, "0.1"},
      {100, "100"},
      {1.5, "1.5"},
      {-123.456, "-123.456"},
      {1e21, "1000000000000000000000"},
      {1e23, "100000000000000000000000"},
      {123456789012345680000.0, "123456789012345680000"},
      {9007199254740991, "9007199254740991"},
      {9007199254740992, "9007199254740992"},
      {9007199254740993, "9007199254740992"},
      {1e-7, "0.0000001"},
      {1.25e-10, "0.000000000125"},
      {1.0 / 3, "0.3333333333333333"},
      {kInfinity, "+Inf"},
      {-kInfinity, "-Inf"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
      {4.9e-324, "0." + std::string(323, '0') + "5"},
      {std::numeric_limits<double>::max(), "17976931348623157" + std::string(292, '0')},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(format_float(value), text);
}

TEST(Strings, format_float_reads_back_to_the_same_bits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (std::isnan(value)) continue;
    const auto back = parse_float(format_float(value));
    ASSERT_TRUE(back) << format_float(value);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(*back), std::bit_cast<std::uint64_t>(value)) << format_float(value);
  }
}

TEST(Strings, durations_parse_in_falling_order_of_units) {
  EXPECT_EQ(parse_duration_ms("0").value(), 0);
  EXPECT_EQ(parse_duration_ms("0s").value(), 0);
  EXPECT_EQ(parse_duration_ms("15s").value(), 15'000);
  EXPECT_EQ(parse_duration_ms("1h30m").value(), 5'400'000);
  EXPECT_EQ(parse_duration_ms("100ms").value(), 100);
  EXPECT_EQ(parse_duration_ms("4d1h10m").value(), 4 * 86'400'000LL + 4'200'000);
  EXPECT_EQ(parse_duration_ms("1y2w3d4h5m6s7ms").value(),
            1 * 31'536'000'000LL + 14 * 86'400'000LL + 3 * 86'400'000LL + 4 * 3'600'000 + 5 * 60'000 + 6'007);
  EXPECT_EQ(parse_duration_ms("292y").value(), 292 * 31'536'000'000LL);
  for (const char* wrong :
       {"", "1", "s", "-1s", "+1s", "1.5h", "1s1m", "1m1m", "1 s", "1S", "1x", "00", "1ms1s", "1s ", "5m30"})
    EXPECT_FALSE(parse_duration_ms(wrong)) << wrong;
}

TEST(Strings, durations_that_do_not_fit_are_refused) {
  for (const char* wrong : {"293y", "292y50w", "99999999999999999999s", "9223372036854775807ms", "15251w"}) {
    ASSERT_FALSE(parse_duration_ms(wrong)) << wrong;
    EXPECT_THAT(parse_duration_ms(wrong).error().message(), ::testing::HasSubstr("out of range"));
  }
  EXPECT_EQ(parse_duration_ms("9223372036854ms").value(), 9'223'372'036'854);
}

TEST(Strings, durations_print_years_and_weeks_only_when_exact) {
  for (const char* text : {"0s", "1ms", "15s", "1h30m", "90d", "2w", "1y", "1d1s", "1m40s"})
    EXPECT_EQ(format_duration_ms(parse_duration_ms(text).value()), text);
  EXPECT_EQ(format_duration_ms(13 * 86'400'000LL), "13d");
  EXPECT_EQ(format_duration_ms(366 * 86'400'000LL), "366d");
  EXPECT_EQ(format_duration_ms(-90'000), "-1m30s");
  EXPECT_FALSE(format_duration_ms(std::numeric_limits<std::int64_t>::min()).empty());
}

TEST(Strings, sizes_are_powers_of_1024) {
  EXPECT_EQ(parse_bytes("0").value(), 0U);
  EXPECT_EQ(parse_bytes("512").value(), 512U);
  EXPECT_EQ(parse_bytes("512B").value(), 512U);
  EXPECT_EQ(parse_bytes("10KB").value(), 10'240U);
  EXPECT_EQ(parse_bytes("1GiB").value(), 1ULL << 30);
  EXPECT_EQ(parse_bytes("2G").value(), 2ULL << 30);
  EXPECT_EQ(parse_bytes("1.5GB").value(), 3ULL << 29);
  EXPECT_EQ(parse_bytes("15EB").value(), 15ULL << 60);
  for (const char* wrong :
       {"", "B", "1XB", "-1", "1 GB", "1GG", "1.", "1.GB", "16EB", "99999999999999999999", "1iB", "1Gi", "1Bi"})
    EXPECT_FALSE(parse_bytes(wrong)) << wrong;
}

TEST(Strings, times_parse_as_seconds_or_rfc3339) {
  EXPECT_EQ(parse_time_ms("0").value(), 0);
  EXPECT_EQ(parse_time_ms("1700000000.5").value(), 1'700'000'000'500);
  EXPECT_EQ(parse_time_ms("1.7e9").value(), 1'700'000'000'000);
  EXPECT_EQ(parse_time_ms("-1.25").value(), -1250);
  EXPECT_EQ(parse_time_ms("123.0004").value(), 123'000);
  EXPECT_EQ(parse_time_ms("2026-01-02T03:04:05Z").value(), 1'767'323'045'000);
  EXPECT_EQ(parse_time_ms("2026-01-02T03:04:05.6789Z").value(), 1'767'323'045'678);
  EXPECT_EQ(parse_time_ms("2026-01-02T05:04:05+02:00").value(), 1'767'323'045'000);
  EXPECT_EQ(parse_time_ms("2026-01-01T22:34:05-04:30").value(), 1'767'323'045'000);
  EXPECT_EQ(parse_time_ms("2024-02-29T00:00:00Z").value(), 1'709'164'800'000);
  EXPECT_EQ(parse_time_ms("0001-01-01T00:00:00Z").value(), -62'135'596'800'000);
  EXPECT_LT(parse_time_ms("-292273086-05-16T16:47:06Z").value(), -9'000'000'000'000'000);
  EXPECT_GT(parse_time_ms("292277025-08-18T07:12:54.999999999Z").value(), 9'000'000'000'000'000);
  for (const char* wrong :
       {"", "nan", "inf", "1e300", "yesterday", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02",
        "2026-01-02T03:04:05", "2026-01-02T24:04:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05+2:00",
        "2026-01-02T03:04:05ZZ", "2026-1-02T03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-00T03:04:05Z"})
    EXPECT_FALSE(parse_time_ms(wrong)) << wrong;
}

TEST(Strings, times_print_with_milliseconds_and_read_back) {
  EXPECT_EQ(format_time(1'767'323'045'678), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59.999Z");
  std::mt19937_64 random(3);
  std::uniform_int_distribution<std::int64_t> any(-62'135'596'800'000, 253'402'300'799'999);
  for (int i = 0; i < 5'000; ++i) {
    const std::int64_t ms = any(random);
    ASSERT_EQ(parse_time_ms(format_time(ms)).value(), ms) << format_time(ms);
  }
  EXPECT_FALSE(format_time(std::numeric_limits<std::int64_t>::min()).empty());
}

}  // namespace
}  // namespace qd::base
