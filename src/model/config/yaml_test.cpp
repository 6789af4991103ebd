#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "model/config/node.h"

namespace qd::model::config {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Node parsed(std::string_view text) {
  auto node = parse_yaml(text, "f.yml");
  EXPECT_TRUE(node) << (node ? "" : node.error().message());
  return node.value_or(Node());
}

std::string refused(std::string_view text) {
  const auto node = parse_yaml(text, "f.yml");
  EXPECT_FALSE(node) << text;
  return node ? "" : node.error().message();
}

// Compact form, to compare trees: quoted scalars in quotes, null as ~.
std::string shape(const Node& node) {
  std::string out;
  switch (node.kind()) {
    case Node::Kind::kNull:
      return "~";
    case Node::Kind::kScalar:
      return node.style() == Node::Style::kQuoted ? '"' + node.text() + '"' : node.text();
    case Node::Kind::kSequence:
      for (const Node& item : node.items()) out += (out.empty() ? "" : ",") + shape(item);
      return "[" + out + "]";
    case Node::Kind::kMapping:
      for (const auto& [key, value] : node.entries()) out += (out.empty() ? "" : ",") + key.text() + ":" + shape(value);
      return "{" + out + "}";
  }
  return out;
}

TEST(Yaml, scalars_sequences_and_mappings_keep_their_order_and_style) {
  EXPECT_EQ(shape(parsed("b: 1\na: [x, 'y', \"z\"]\nc:\n  - d: ~\n    e:\n  - |\n    text\n")),
            "{b:1,a:[x,\"y\",\"z\"],c:[{d:~,e:~},\"text\n\"]}");
  EXPECT_EQ(shape(parsed("a: !!str 12\nb: !!int 12\nc: !!map {}\nd: !!seq []\n")), "{a:\"12\",b:12,c:{},d:[]}");
  EXPECT_EQ(shape(parsed("{\"json\": [1, true, null]}")), "{json:[1,true,~]}");
}

TEST(Yaml, quoted_scalars_fold_their_lines_and_resolve_escapes) {
  const auto text = [](std::string_view yaml) { return parsed(yaml).text(); };
  EXPECT_EQ(text("'it''s'"), "it's");
  EXPECT_EQ(text("''"), "");
  EXPECT_EQ(text("''''"), "'");
  EXPECT_EQ(text("''''''''"), "'''");
  EXPECT_EQ(text("'  a \t\n\n   b  \r\n c '"), "  a\nb c ");
  EXPECT_EQ(text("'\n a\n '"), " a ");
  EXPECT_EQ(text("'a\n\n '"), "a\n");
  EXPECT_EQ(text("\"a\\tb\\u00e9\\\n  c\n  d\""),
            "a\tb\xc3\xa9"
            "c d");
  const Node root = parsed("'a''b': 'c''d'\nx: [\"\", '' , 'e,f']\n");
  EXPECT_EQ(shape(root), "{a'b:\"c'd\",x:[\"\",\"\",\"e,f\"]}");
}

TEST(Yaml, keys_and_values_know_line_and_column) {
  const Node root = parsed("a: 1\nlist:\n  - x\n  - 'quoted'\n  - {k: v}\n");
  EXPECT_EQ(root.find("a")->location().to_string(), "f.yml:1:4");
  const auto& [key, list] = root.entries()[1];
  EXPECT_EQ(key.location().to_string(), "f.yml:2:1");
  EXPECT_EQ(list.items()[0].location().to_string(), "f.yml:3:5");
  EXPECT_EQ(list.items()[1].location().to_string(), "f.yml:4:5");
  EXPECT_EQ(list.items()[2].location().to_string(), "f.yml:5:5");
  EXPECT_EQ(list.items()[2].find("k")->location().to_string(), "f.yml:5:9");
  EXPECT_EQ(list.items()[2].find("absent"), nullptr);
}

TEST(Yaml, nothing_is_null) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "\xef\xbb\xbf", "~", "null"})
    EXPECT_TRUE(parsed(text).is_null()) << text;
}

TEST(Yaml, aliases_repeat_the_value_and_its_place) {
  const Node root = parsed("a: &x {k: 1}\nb: *x\nc: &y text\nd: *y\ne: {*y : 2}\n");
  EXPECT_EQ(shape(root), "{a:{k:1},b:{k:1},c:text,d:text,e:{text:2}}");
  EXPECT_EQ(root.find("b")->find("k")->location().line, 1U);
}

TEST(Yaml, merge_keys_fill_in_what_the_mapping_does_not_say) {
  EXPECT_EQ(shape(parsed(
                "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, y: 9}\nall:\n  y: 8\n  <<: [*b, *m]\n")),
            "{base:{x:1,y:2},more:{y:3,z:4},one:{y:9,x:1},all:{y:8,x:1,z:4}}");
  EXPECT_EQ(shape(parsed("'<<': 1\n")), "{<<:1}");
  EXPECT_THAT(refused("a: {<<: 5}\n"), StartsWith("f.yml:1:9: the merge key << takes a mapping"));
  EXPECT_THAT(refused("b: &b {}\na:\n  <<: *b\n  <<: *b\n"), StartsWith("f.yml:4:3: the merge key << stands twice"));
}

TEST(Yaml, a_key_that_stands_twice_is_refused_with_both_lines) {
  EXPECT_THAT(refused("a: 1\nb: 2\na: 3\n"),
              StartsWith("f.yml:3:1: the key \"a\" stands twice in this mapping, first in line 1"));
  EXPECT_THAT(refused("x: {k: 1, 'k': 2}"), HasSubstr("stands twice"));
  EXPECT_EQ(shape(parsed("- a: 1\n- a: 2\n")), "[{a:1},{a:2}]");
}

TEST(Yaml, what_is_not_yaml_is_refused_with_its_line) {
  EXPECT_THAT(refused("a: 1\n  b: 2\n"), StartsWith("f.yml:1:4: this is not YAML"));
  EXPECT_THAT(refused("a: [1, 2\n"), StartsWith("f.yml:"));
  EXPECT_THAT(refused("a: 'open\n"), StartsWith("f.yml:"));
  EXPECT_THAT(refused("a: 1\n\tb: 2\n"), StartsWith("f.yml:1:4: this is not YAML"));
  EXPECT_THAT(refused("a: {{ template }}\n"), StartsWith("f.yml:1:"));
  EXPECT_THAT(refused("a: 1\nb: \xff\n"), StartsWith("f.yml:2:1: this line is not UTF-8"));
  EXPECT_THAT(refused(std::string_view("a: \0b\n", 7)), StartsWith("f.yml:1:1: this line holds a control character"));
  EXPECT_THAT(refused("a: *nowhere\n"), StartsWith("f.yml:1:4: *nowhere refers to an anchor"));
  EXPECT_THAT(refused("a: 1\n---\nb: 2\n"), HasSubstr("a second document"));
  EXPECT_THAT(refused("a: !custom 1\n"), HasSubstr("the tag \"!custom\" is not supported"));
  EXPECT_THAT(refused("a: !custom {}\n"), HasSubstr("tag"));
  EXPECT_THAT(refused("? [a]\n: b\n"), HasSubstr("a key must be a text"));
  EXPECT_THAT(refused(": b\n"), HasSubstr("a key must be a text"));
}

TEST(Yaml, an_alias_inside_its_own_anchor_is_refused) {
  EXPECT_THAT(refused("a: &x [1, *x]\n"), HasSubstr("stands inside the value"));
  EXPECT_THAT(refused("&x {<<: *x}\n"), HasSubstr("stands inside the value"));
}

TEST(Yaml, a_billion_laughs_are_refused_before_they_take_memory) {
  std::string text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 30; ++i)
    text += fmt::format("a{0}: &a{0} [*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1}]\n", i, i - 1);
  EXPECT_EQ(parse_yaml(text, "f.yml").error().code(), base::ErrorCode::kLimit);

  std::string merges = "m: &m {";
  for (int i = 0; i < 1000; ++i) merges += fmt::format("k{}: 1, ", i);
  merges += "}\nlist:\n";
  for (int i = 0; i < 2000; ++i) merges += "  - <<: *m\n";
  EXPECT_EQ(parse_yaml(merges, "f.yml").error().code(), base::ErrorCode::kLimit);
}

TEST(Yaml, depth_is_limited_also_when_aliases_make_it) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parsed(nested(kYamlDepthMax)).depth(), kYamlDepthMax);
  EXPECT_FALSE(parse_yaml(nested(kYamlDepthMax + 1), "f.yml"));
  std::string chain = "- &a0 x\n";
  for (int i = 1; i < 100; ++i) chain += fmt::format("- &a{} [*a{}]\n", i, i - 1);
  EXPECT_EQ(parse_yaml(chain, "f.yml").error().code(), base::ErrorCode::kLimit);
}

TEST(Yaml, a_block_scalar_may_end_with_the_file) {
  EXPECT_EQ(parsed("a: |+\n x\n\n\n  y").find("a")->text(), "x\n\n\n y\n");
  EXPECT_EQ(parsed("a: >-\n  x\n  y").find("a")->text(), "x y");
}

TEST(Yaml, lines_of_a_block_that_are_not_indented_deeper_are_refused) {
  EXPECT_THAT(refused("a:\n  b: |\n  c\n    d\n  e: f\n"),
              StartsWith("f.yml:3:1: the lines of this text must be indented"));
  EXPECT_THAT(refused("a:\n  - >\n  c\n    d\n  - f\n"), StartsWith("f.yml:3:1: "));
  EXPECT_THAT(refused(" |\n x\n  y\n"), StartsWith("f.yml:2:1: "));
  EXPECT_EQ(shape(parsed("a:\n- - b: |\n     c\n      d\n    e: |2-\n        f\n  - &x >\n   g\nh: |\n\n i\nj: |\n")),
            "{a:[[{b:\"c\n d\n\",e:\"  f\"},\"g\n\"]],h:\"\ni\n\",j:\"\"}");
}

TEST(Yaml, many_empty_lines_are_refused) {
  EXPECT_EQ(parsed("a: |\n  x\n" + std::string(200, '\n') + "  y\n").find("a")->text(),
            "x" + std::string(201, '\n') + "y\n");
  EXPECT_THAT(refused("a: |\n  x\n" + std::string(100'000, '\n')),
              StartsWith("f.yml:203:1: more than 200 empty lines"));
}

TEST(Yaml, hostile_text_neither_crashes_nor_takes_long) {
  std::vector<std::string> hostile = {std::string(kYamlBytesMax + 1, 'a')};
  for (const char* unit :
       {"[",     "{",   "- ",    "? ",    "a: ",    "&a ",   "*a ",     "!a ",    "\"", "'",  "|\n",   "%",
        "[{",    "- [", "\t",    "---\n", "a: b\n", "- a\n", "[a,",     "{a: b,", "\\", "''", "x\n\n", "#",
        "? a\n", ": ",  "...\n", "<<: ",  "!!str ", ">-\n ", "\"\\x00", "a:\n ",  ",",  "]",  "}"}) {
    for (const std::size_t size : {std::size_t{100}, std::size_t{100'000}, std::size_t{1'000'000}}) {
      std::string text;
      while (text.size() < size) text += unit;
      hostile.push_back(text);
    }
  }
  for (const std::string& text : hostile) {
    const auto begin = std::chrono::steady_clock::now();
    const auto node = parse_yaml(text, "f.yml");
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, std::chrono::seconds(10)) << text.substr(0, 10) << " " << text.size();
    EXPECT_TRUE(node || !node.error().message().empty());
  }
}

TEST(Node, flags_are_plain_words) {
  for (const char* yes : {"true", "True", "TRUE", "yes", "on"}) EXPECT_TRUE(parsed(yes).as_bool().value()) << yes;
  for (const char* no : {"false", "no", "Off"}) EXPECT_FALSE(parsed(no).as_bool().value()) << no;
  EXPECT_EQ(parsed("a: maybe").find("a")->as_bool().error().message(),
            "f.yml:1:4: expected true or false, found \"maybe\"");
  EXPECT_THAT(parsed("'true'").as_bool().error().message(), HasSubstr("remove the quotes"));
  EXPECT_FALSE(parsed("tRue").as_bool());
}

TEST(Node, integers_are_checked) {
  EXPECT_EQ(parsed("-12").as_int().value(), -12);
  EXPECT_EQ(parsed("+12").as_int().value(), 12);
  EXPECT_EQ(parsed("0x1f").as_int().value(), 31);
  EXPECT_EQ(parsed("0o17").as_int().value(), 15);
  EXPECT_EQ(parsed("-9223372036854775808").as_int().value(), std::numeric_limits<std::int64_t>::min());
  EXPECT_THAT(parsed("9223372036854775808").as_int().error().message(), HasSubstr("out of the range"));
  for (const char* wrong : {"1.5", "a", "1a", "0x", "0x-1", "+-1", "--1", "'1'", "[1]", "~"})
    EXPECT_FALSE(parsed(wrong).as_int()) << wrong;
}

TEST(Node, numbers_durations_and_sizes_say_what_is_expected) {
  EXPECT_EQ(parsed("0.5").as_double().value(), 0.5);
  EXPECT_EQ(parsed("-.inf").as_double().value(), -INFINITY);
  EXPECT_EQ(parsed("+Inf").as_double().value(), INFINITY);
  EXPECT_TRUE(std::isnan(parsed(".NaN").as_double().value()));
  EXPECT_EQ(parsed("x: [1]").find("x")->as_double().error().message(),
            "f.yml:1:4: expected a number such as 0.5, found a list");
  EXPECT_EQ(parsed("1h30m").as_duration_ms().value(), 5'400'000);
  EXPECT_THAT(parsed("5 minutes").as_duration_ms().error().message(),
              StartsWith("f.yml:1:1: \"5 minutes\" is not a duration"));
  EXPECT_EQ(parsed("1GiB").as_bytes().value(), 1U << 30);
  EXPECT_THAT(parsed("many").as_bytes().error().message(), StartsWith("f.yml:1:1: \"many\" is not a size"));
  EXPECT_EQ(parsed("007").as_string().value(), "007");
  EXPECT_FALSE(parsed("{}").as_string());
}

}  // namespace
}  // namespace qd::model::config
