#include "observe/probe/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::probe {
namespace {

Pattern pattern(const std::string& text) {
  auto compiled = Pattern::compile(text);
  EXPECT_TRUE(compiled) << compiled.error().message();
  return compiled ? *compiled : Pattern();
}

TEST(Pattern, matches_anywhere) {
  EXPECT_TRUE(pattern("b+").matches("abba"));
  EXPECT_FALSE(pattern("^b").matches("abba"));
  EXPECT_TRUE(pattern("^+OK").matches("OK"));
  EXPECT_FALSE(Pattern().matches(""));
}

TEST(Pattern, what_is_none_is_refused) {
  for (const auto& text : {std::string("("), std::string("(?=x)"), std::string(Pattern::kBytesMax + 1, 'x')}) {
    const auto compiled = Pattern::compile(text);
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().code(), base::ErrorCode::kInvalid);
  }
}

TEST(Pattern, groups_are_put_into_texts) {
  const auto irc = pattern("PING :([^ ]+) (?P<who>\\w+)");
  const auto groups = irc.groups("x PING :abc me");
  ASSERT_TRUE(groups);
  const auto expand = [&](std::string_view text) { return irc.expand(text, *groups); };
  EXPECT_EQ(expand("PONG ${1}"), "PONG abc");
  EXPECT_EQ(expand("$1,$who,${who},$0"), "abc,me,me,PING :abc me");
  EXPECT_EQ(expand("$1x"), "");  // the name is "1x"
  EXPECT_EQ(expand("${1}x"), "abcx");
  EXPECT_EQ(expand("$9$none"), "");
  EXPECT_EQ(expand("$$1 $ ${ ${1"), "$1 $ ${ ${1");
  EXPECT_FALSE(irc.groups("PONG"));
}

}  // namespace
}  // namespace qd::observe::probe
