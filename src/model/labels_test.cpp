#include "model/labels.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace qd::model {
namespace {

TEST(LabelSet, sorts_by_name_and_a_later_label_of_the_same_name_wins) {
  const LabelSet set{{"job", "a"}, {"__name__", "up"}, {"job", "b"}, {"zone", "x"}, {"zone", ""}};
  EXPECT_EQ(set.to_string(), "up{job=\"b\"}");
  EXPECT_EQ(set.count(), 2U);
  EXPECT_EQ(set.get("job"), "b");
  EXPECT_EQ(set.name(), "up");
  EXPECT_FALSE(set.has("zone"));
}

TEST(LabelSet, is_equal_whatever_the_order_it_was_made_in) {
  const LabelSet a{{"x", "1"}, {"a", "2"}};
  const LabelSet b{{"a", "2"}, {"empty", ""}, {"x", "1"}};
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.hash(), b.hash());
  EXPECT_NE(a.hash(), (LabelSet{{"a", "1"}, {"x", "2"}}.hash()));
}

TEST(LabelSet, keeps_values_longer_than_one_length_byte) {
  const std::string longer(300, 'v');
  const std::string longest(70'000, 'w');
  const LabelSet set{{"a", longer}, {"b", longest}, {"c", "end"}};
  EXPECT_EQ(set.get("a"), longer);
  EXPECT_EQ(set.get("b"), longest);
  EXPECT_EQ(set.get("c"), "end");
  const auto again = LabelSet::from_bytes(set.bytes());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, set);
}

TEST(LabelSet, orders_label_by_label_and_a_prefix_comes_first) {
  std::vector<LabelSet> sets = {
      {{"a", "b"}}, {{"a", "a"}, {"z", "z"}}, {}, {{"a", "a"}}, {{"A", "z"}}, {{"a", "aa"}},
  };
  std::ranges::sort(sets);
  std::string order;
  for (const LabelSet& set : sets) order += set.to_string() + " ";
  EXPECT_EQ(order, R"({} {A="z"} {a="a"} {a="a", z="z"} {a="aa"} {a="b"} )");
}

TEST(LabelSet, refuses_bytes_that_it_would_not_have_written) {
  using namespace std::string_literals;
  EXPECT_TRUE(LabelSet::from_bytes(""));
  EXPECT_TRUE(LabelSet::from_bytes("\1a\1b"));
  for (const std::string& bytes : {
           "\1a"s,                   // no value
           "\1a\5b"s,                // passes the end
           "\0\1b"s,                 // no name
           "\1a\0"s,                 // an empty value
           "\1b\1x\1a\1x"s,          // out of order
           "\1a\1x\1a\1y"s,          // twice
           "\x81\0a\1x"s,            // a length in two bytes that fits one
           std::string(12, '\xff'),  // a varint without end
       }) {
    const auto set = LabelSet::from_bytes(bytes);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code(), base::ErrorCode::kCorrupt);
  }
}

TEST(LabelSet, prints_names_outside_the_classic_alphabet_in_quotes) {
  EXPECT_EQ((LabelSet{{"__name__", "my.metric"}, {"a.b", "x\n\"\\"}}).to_string(), R"({"my.metric", "a.b"="x\n\"\\"})");
  EXPECT_EQ((LabelSet{{"__name__", "up"}}).to_string(), "up");
  EXPECT_EQ(LabelSet().to_string(), "{}");
}

TEST(LabelBuilder, changes_a_set_and_gives_the_same_bytes_as_one_made_at_once) {
  LabelBuilder builder(LabelSet{{"__name__", "up"}, {"a", "1"}, {"b", "2"}});
  builder.set("a", "9");
  builder.set("c", "3");
  builder.remove("b");
  builder.set("absent", "");
  EXPECT_EQ(builder.build(), (LabelSet{{"__name__", "up"}, {"a", "9"}, {"c", "3"}}));
  EXPECT_EQ(builder.get("a"), "9");
  EXPECT_EQ(builder.get("b"), "");
  builder.reset(LabelSet{{"only", "one"}});
  EXPECT_EQ(builder.build(), (LabelSet{{"only", "one"}}));
}

TEST(Names, follow_the_classic_alphabets) {
  EXPECT_TRUE(valid_label_name("_a9"));
  EXPECT_FALSE(valid_label_name("9a"));
  EXPECT_FALSE(valid_label_name("a:b"));
  EXPECT_FALSE(valid_label_name(""));
  EXPECT_TRUE(valid_metric_name(":a:b9"));
  EXPECT_FALSE(valid_metric_name("9a"));
  EXPECT_FALSE(valid_metric_name("a.b"));
}

}  // namespace
}  // namespace qd::model
