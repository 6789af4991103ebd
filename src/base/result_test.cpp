#include "base/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "base/assert.h"

namespace qd::base {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<std::unique_ptr<int>> half_of(int value) {
  if (value % 2 != 0) return fail(ErrorCode::kInvalid, "it is odd");
  return std::make_unique<int>(value / 2);
}

Result<int> quarter_of(int value) {
  QD_ASSIGN(const auto half, half_of(value));
  QD_ASSIGN(const auto quarter, half_of(*half));
  return *quarter;
}

Status check_quarter(int value) {
  QD_TRY(quarter_of(value));
  return {};
}

TEST(Result, assign_takes_move_only_values_or_returns_the_error) {
  EXPECT_EQ(quarter_of(12).value(), 3);
  ASSERT_FALSE(quarter_of(6));
  EXPECT_EQ(quarter_of(6).error().message(), "it is odd");
  EXPECT_TRUE(check_quarter(4));
  EXPECT_EQ(check_quarter(2).error().code(), ErrorCode::kInvalid);
}

TEST(Result, within_puts_the_outer_step_in_front_and_keeps_the_code) {
  const Error error = Error(ErrorCode::kCorrupt, "bad checksum").within("reading /x");
  EXPECT_EQ(error.message(), "reading /x: bad checksum");
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
}

TEST(Result, errno_errors_say_what_was_tried_what_happened_and_what_cures_it) {
  const Error error = errno_error(EACCES, "opening /x");
  EXPECT_EQ(error.code(), ErrorCode::kPermission);
  EXPECT_THAT(error.message(), StartsWith("opening /x: Permission denied; "));
  EXPECT_EQ(errno_error(ENOENT, "").code(), ErrorCode::kNotFound);
  EXPECT_EQ(errno_error(ENOSPC, "").code(), ErrorCode::kUnavailable);
  EXPECT_EQ(errno_error(EMFILE, "").code(), ErrorCode::kLimit);
}

TEST(Assert, a_broken_invariant_stops_the_process_with_condition_and_values) {
  const int index = 3;
  QD_ASSERT(index == 3);
  EXPECT_DEATH(QD_ASSERT(index < 2, "index " + std::to_string(index)),
               "result_test.cpp:[0-9]+: .*\\(index < 2\\) does not hold: index 3");
}

}  // namespace
}  // namespace qd::base
