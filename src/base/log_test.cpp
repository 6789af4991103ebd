#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/strings.h"
#include "base/temp_directory.h"

namespace qd::base {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  LogTest() : fd_(::open((dir_ / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)) {}
  ~LogTest() override { ::close(fd_); }

  std::string written() {
    PosixFiles files;
    return read_file(files, dir_ / "log", 1 << 24).value();
  }
  std::size_t lines() { return split(written(), '\n').size() - 1; }

  TempDirectory dir_;
  ManualClock clock_{1'767'323'045'678};
  int fd_;
};

TEST_F(LogTest, json_lines_carry_typed_values) {
  Log log(clock_, fd_, LogFormat::kAuto, LogLevel::kInfo);
  const Error error(ErrorCode::kInvalid, "bad \"x\"");
  log.warn("log segment cut", {{"file", "/a b"},
                               {"offset", std::uint64_t{42}},
                               {"ratio", 0.5},
                               {"nan", std::numeric_limits<double>::quiet_NaN()},
                               {"torn", true},
                               {"error", error}});
  EXPECT_EQ(
      written(),
      R"({"time":"2026-01-02T03:04:05.678Z","level":"warn","message":"log segment cut","file":"/a b","offset":42,)"
      R"("ratio":0.5,"nan":"NaN","torn":true,"error":"bad \"x\""})"
      "\n");
}

TEST_F(LogTest, text_lines_quote_only_what_needs_it) {
  Log log(clock_, fd_, LogFormat::kText, LogLevel::kInfo);
  log.info("ready", {{"address", "127.0.0.1:9090"}, {"why", "it is time"}, {"empty", ""}});
  EXPECT_EQ(written(), "2026-01-02T03:04:05.678Z info  ready address=127.0.0.1:9090 why=\"it is time\" empty=\"\"\n");
}

TEST_F(LogTest, hostile_values_stay_on_their_line_and_are_valid_utf8) {
  Log json(clock_, fd_, LogFormat::kJson, LogLevel::kInfo);
  Log text(clock_, fd_, LogFormat::kText, LogLevel::kInfo);
  const std::string hostile = std::string("a\nb\r\x1b[31m\xff\xc3\"\\ \xc2\x9b end\x7f") + '\0';
  json.info("x", {{"v", hostile}});
  text.info(hostile, {{"v", hostile}});
  EXPECT_EQ(lines(), 2U);
  EXPECT_TRUE(valid_utf8(written()));
  EXPECT_THAT(written(), HasSubstr(R"(a\nb\u000d\u001b[31m)"));
  EXPECT_THAT(written(), HasSubstr(R"(\"\\ \u009b end\u007f\u0000)"));
  EXPECT_THAT(written(), Not(HasSubstr("\x1b")));
}

TEST_F(LogTest, levels_below_the_set_one_are_not_written) {
  Log log(clock_, fd_, LogFormat::kText, LogLevel::kWarn);
  log.info("no");
  log.set_level(LogLevel::kDebug);
  log.debug("yes");
  EXPECT_THAT(written(), HasSubstr("yes"));
  EXPECT_THAT(written(), Not(HasSubstr("no")));
}

TEST_F(LogTest, a_message_that_repeats_is_counted_until_the_minute_is_over) {
  Log log(clock_, fd_, LogFormat::kText, LogLevel::kInfo);
  for (int i = 0; i < Log::kRepeatsPerMinute + 7; ++i) log.warn("target is down", {{"i", i}});
  EXPECT_EQ(lines(), static_cast<std::size_t>(Log::kRepeatsPerMinute));
  log.warn("another");
  EXPECT_EQ(lines(), static_cast<std::size_t>(Log::kRepeatsPerMinute) + 1);
  clock_.advance_ms(60'000);
  log.warn("target is down");
  EXPECT_THAT(written(), HasSubstr("target is down repeats_not_shown=7\n"));
}

TEST_F(LogTest, long_values_are_cut) {
  Log log(clock_, fd_, LogFormat::kJson, LogLevel::kInfo);
  log.info("x", {{"v", std::string(1 << 20, 'x')}});
  EXPECT_LT(written().size(), 10'000U);
}

TEST_F(LogTest, lines_of_many_threads_stay_whole) {
  Log log(clock_, fd_, LogFormat::kText, LogLevel::kInfo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 50; ++i) log.info("thread " + std::to_string(t), {{"end", "here"}});
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string all = written();
  const auto parts = split(all, '\n');
  ASSERT_EQ(parts.size(), 201U);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_TRUE(parts[i].ends_with("end=here")) << parts[i];
}

TEST(LogNames, levels_and_formats_parse_or_say_what_there_is) {
  EXPECT_EQ(parse_log_level("warn").value(), LogLevel::kWarn);
  EXPECT_THAT(parse_log_level("loud").error().message(), HasSubstr("debug, info, warn or error"));
  EXPECT_EQ(parse_log_format("json").value(), LogFormat::kJson);
  EXPECT_FALSE(parse_log_format("xml"));
  Log::silent().error("nobody hears this");
}

}  // namespace
}  // namespace qd::base
