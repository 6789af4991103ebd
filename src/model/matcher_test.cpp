#include "model/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

namespace qd::model {
namespace {

using Kind = Matcher::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Matcher regex(std::string pattern, Kind kind = Kind::kRegex) {
  auto matcher = Matcher::create(kind, "a", std::move(pattern));
  EXPECT_TRUE(matcher) << matcher.error().message();
  return *matcher;
}

TEST(Matcher, agrees_with_re2_whatever_path_a_pattern_takes) {
  const std::vector<std::string> patterns = {
      "",       "a",          "abc",        "a|b",     "a|abc|",    "(a|b)c",    "(?:x|y)(1|2)?", "x(a|(b|c))",
      ".*",     ".+",         "abc.*",      "abc.+",   ".*abc",     ".+abc",     ".*abc.*",       ".+abc.+",
      ".*b.+",  "a.c",        "a\\.c",      "a\\.c|b", "a\\.*",     "ab*",       "ab?c",          "ab{2}c",
      "|.+",    "a|a.+",      ".*a|a",      "a|.*",    "(?i)ABC",   "[ab]c",     "a[(]|b",        "(?i:a)bc",
      "^abc$",  "\\Qa|b\\E",  "a\\Q|\\E|b", ".*\\.+",  "\\.+",      "..*",       ".*\\\\.*",      "é.*",
      "éa*",    "aé?",        "()",         "(|a)b",   "a.*.*",     "\\d+",      "a\n.*",         "a||b",
      "abc.*?", "(a|b)(c|d)", "a.*|b",      "\\x61bc", ".*(abc).*", ".*(a|b).*", "a(?:b)c",       "foo(.*)",
  };
  const std::vector<std::string> values = {
      "",     "a",    "b",   "abc", "abcd", "xabc", "xabcx", "ac",  "bc",   "bcd",   "axc",  "a.c",  "a\nc",
      "ABC",  "x1",   "y2",  "xb",  "xa",   "abbc", "abb",   "a|b", "|",    "a(",    "(",    ".",    "...",
      "\\",   "x\\x", "é",   "éé",  "éaa",  "aé",   "12",    "ad",  "a\nx", "abc\n", "\n",   "foo",  "foobar",
      "a\\.", "a...", "aab", "c",   "bb",   "xay",  "aa",    "éx",  "a\\",  "a*",    "abab", "abcx", "x",
  };
  for (const std::string& pattern : patterns) {
    RE2::Options options;
    options.set_dot_nl(true);
    const RE2 reference(pattern, options);
    ASSERT_TRUE(reference.ok()) << pattern;
    const Matcher positive = regex(pattern);
    const Matcher negative = regex(pattern, Kind::kNotRegex);
    EXPECT_EQ(positive.matches_empty(), RE2::FullMatch("", reference)) << pattern;
    for (const std::string& value : values) {
      const bool expected = RE2::FullMatch(value, reference);
      EXPECT_EQ(positive.matches(value), expected) << pattern << " on " << value;
      EXPECT_EQ(negative.matches(value), !expected) << pattern << " on " << value;
      if (!expected) continue;
      EXPECT_TRUE(value.starts_with(positive.literal_prefix())) << pattern << " on " << value;
      const auto literals = positive.literal_values();
      if (!literals.empty()) EXPECT_THAT(literals, testing::Contains(value)) << pattern;
    }
  }
}

TEST(Matcher, knows_the_only_values_that_can_match) {
  EXPECT_THAT(Matcher::equal("a", "x").literal_values(), ElementsAre("x"));
  EXPECT_THAT(regex("b|a|b").literal_values(), ElementsAre("a", "b"));
  EXPECT_THAT(regex("10\\.0\\.0\\.(1|2):9100").literal_values(), ElementsAre("10.0.0.1:9100", "10.0.0.2:9100"));
  EXPECT_THAT(regex("a.*").literal_values(), IsEmpty());
  EXPECT_THAT(regex("a", Kind::kNotRegex).literal_values(), IsEmpty());
  EXPECT_EQ(regex("node_cpu.*").literal_prefix(), "node_cpu");
  EXPECT_EQ(regex("node_cpu_[a-z]+").literal_prefix(), "node_cpu_");
  EXPECT_EQ(regex("node_cpus?").literal_prefix(), "node_cpu");
  EXPECT_EQ(regex("a.*|b.*").literal_prefix(), "");
}

TEST(Matcher, treats_an_absent_label_as_empty) {
  const LabelSet labels{{"job", "node"}};
  EXPECT_TRUE(Matcher::equal("zone", "").matches(labels));
  EXPECT_TRUE(Matcher::create(Kind::kNotEqual, "zone", "x")->matches(labels));
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "zone", ".+")->matches(labels));
  const std::vector<Matcher> both = {Matcher::equal("job", "node"), Matcher::equal("zone", "x")};
  EXPECT_FALSE(matches_all(both, labels));
}

TEST(Matcher, refuses_a_broken_pattern_and_names_it) {
  const auto matcher = Matcher::create(Kind::kRegex, "a", "x(");
  ASSERT_FALSE(matcher);
  EXPECT_EQ(matcher.error().code(), base::ErrorCode::kInvalid);
  EXPECT_THAT(matcher.error().message(), HasSubstr("\"x(\""));
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "a", "a**"));
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "a", ".**"));
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "a", "a)(b"));
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "a", "\xff"));
  // A program that would not fit the memory bound.
  EXPECT_FALSE(Matcher::create(Kind::kRegex, "a", "((((a{1,100}){1,100}){1,100}){1,100})"));
}

TEST(Matcher, does_not_unfold_groups_without_bound) {
  std::string pattern;
  for (int i = 0; i < 24; ++i) pattern += "(a|b)";
  const Matcher matcher = regex(pattern);
  EXPECT_TRUE(matcher.literal_values().empty());
  EXPECT_TRUE(matcher.matches("abababababababababababab"));
}

TEST(Matcher, prints_as_promql) {
  EXPECT_EQ(regex("x\"\\\\y\n", Kind::kNotRegex).to_string(), R"(a!~"x\"\\\\y\n")");
  EXPECT_EQ(Matcher::equal("my.label", "v").to_string(), R"("my.label"="v")");
}

}  // namespace
}  // namespace qd::model
