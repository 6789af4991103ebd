#include "connect/ping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::connect {
namespace {

using base::ErrorCode;
using testing::HasSubstr;

const base::SystemClock kClock;

std::int64_t in_ms(std::int64_t ms) {
  return kClock.monotonic_ns() + ms * 1'000'000;
}

PingOptions options_for(const char* ip) {
  return {.to = resolve({ip, 1, ""}, kClock, in_ms(1000))->front(), .shown = ip};
}

class PingTest : public testing::TestWithParam<const char*> {};

TEST_P(PingTest, this_machine_answers) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{28}, std::size_t{4000}}) {
    auto options = options_for(GetParam());
    options.payload_bytes = size;
    PingTimes times;
    const auto done = ping(options, kClock, in_ms(3000), base::CancelToken(), times);
    if (!done && done.error().code() == ErrorCode::kPermission) GTEST_SKIP() << done.error().message();
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_GT(times.rtt_s, 0);
    EXPECT_LT(times.rtt_s, 3);
    EXPECT_GT(times.reply_hops_left, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, PingTest, testing::Values("127.0.0.1", "::1"));

TEST(Ping, a_reply_after_the_deadline_does_not_count) {
  PingTimes times;
  const auto done = ping(options_for("127.0.0.1"), kClock, in_ms(-1), base::CancelToken(), times);
  ASSERT_FALSE(done);
  if (done.error().code() == ErrorCode::kPermission) GTEST_SKIP() << done.error().message();
  EXPECT_EQ(done.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(done.error().message(), HasSubstr("127.0.0.1"));
  EXPECT_GT(times.setup_s, 0);
  EXPECT_EQ(times.rtt_s, 0);
}

TEST(Ping, cancelling_ends_it) {
  const base::CancelToken cancel;
  cancel.cancel();
  PingTimes times;
  const std::int64_t from_ns = kClock.monotonic_ns();
  EXPECT_FALSE(ping(options_for("127.0.0.1"), kClock, in_ms(60'000), cancel, times));
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 10'000'000'000);
}

TEST(Ping, what_cannot_be_sent_is_refused) {
  PingTimes times;
  auto options = options_for("127.0.0.1");
  options.payload_bytes = 70'000;
  EXPECT_EQ(ping(options, kClock, in_ms(1000), base::CancelToken(), times).error().code(), ErrorCode::kInvalid);
  options.payload_bytes = 28;
  options.source_ip = "::1";
  const auto done = ping(options, kClock, in_ms(1000), base::CancelToken(), times);
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().code() == ErrorCode::kInvalid || done.error().code() == ErrorCode::kPermission);
}

}  // namespace
}  // namespace qd::connect
