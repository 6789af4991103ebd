#include "model/config/render.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace qd::model::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool same(const Node& a, const Node& b) {
  if (a.kind() != b.kind() || a.text() != b.text()) return false;
  if (a.items().size() != b.items().size() || a.entries().size() != b.entries().size()) return false;
  for (std::size_t i = 0; i < a.items().size(); ++i)
    if (!same(a.items()[i], b.items()[i])) return false;
  for (std::size_t i = 0; i < a.entries().size(); ++i) {
    if (a.entries()[i].key.text() != b.entries()[i].key.text()) return false;
    if (!same(a.entries()[i].value, b.entries()[i].value)) return false;
  }
  return true;
}

TEST(RenderYaml, is_block_style_with_quotes_only_where_needed) {
  const Node node =
      parse_yaml(
          "a: 1\nb: {c: [x, {y: 2, z: [3, 4]}, []], d: {}}\ne: 'yes'\nf: \"12\"\ng: a b\nh: ~\ni: [[1], [2]]\n"
          "j: -5\n",
          "f")
          .value();
  EXPECT_EQ(render_yaml(node),
            "a: 1\nb:\n  c:\n    - x\n    - y: 2\n      z:\n        - 3\n        - 4\n    - []\n  d: {}\ne: \"yes\"\n"
            "f: \"12\"\ng: \"a b\"\nh: null\ni:\n  - - 1\n  - - 2\nj: -5\n");
  EXPECT_EQ(render_inline(node),
            "{a: 1, b: {c: [x, {y: 2, z: [3, 4]}, []], d: {}}, e: \"yes\", f: \"12\", g: \"a b\", h: null, "
            "i: [[1], [2]], j: -5}");
  EXPECT_EQ(render_yaml(Node()), "null\n");
  // Bare, it would end the document.
  EXPECT_EQ(render_yaml(Node::scalar("...")), "\"...\"\n");
  EXPECT_EQ(render_yaml(parse_yaml("!!int null", "f").value()), "\"null\"\n");
}

Node random_node(std::mt19937& random, int depth) {
  const std::vector<std::string> texts = {"",
                                          "a",
                                          "a b",
                                          "yes",
                                          "null",
                                          "~",
                                          "1",
                                          "1.5",
                                          "0x1f",
                                          "-",
                                          "- a",
                                          "a: b",
                                          "#",
                                          "a #b",
                                          "'",
                                          "\"",
                                          "\\",
                                          "\n",
                                          "a\nb\n",
                                          "\t",
                                          "{",
                                          "[x]",
                                          "*a",
                                          "&a",
                                          "!t",
                                          "%",
                                          "@",
                                          "`",
                                          "|",
                                          ">",
                                          "<<",
                                          "=",
                                          "é",
                                          "\xf0\x9f\x98\x80",
                                          "...",
                                          "---",
                                          "2026-01-02",
                                          "12:30:45",
                                          ".5",
                                          "1_000",
                                          "+Inf",
                                          ".nan",
                                          "a\x01"
                                          "b",
                                          " lead",
                                          "trail ",
                                          ",",
                                          "http://x:9/y?z",
                                          "\xc2\x85",
                                          "\xe2\x80\xa8",
                                          "\x7f"};
  const auto text = [&] { return texts[random() % texts.size()]; };
  switch (depth > 0 ? random() % 4 : random() % 2) {
    case 0:
      return Node::scalar(text(), Node::Style::kQuoted);
    case 1:
      return random() % 5 == 0 ? Node() : Node::scalar(fmt::to_string(static_cast<int>(random())));
    case 2: {
      std::vector<Node> items(random() % 4);
      for (Node& item : items) item = random_node(random, depth - 1);
      return Node::sequence(std::move(items));
    }
    default: {
      std::vector<Node::Entry> entries;
      for (std::size_t i = random() % 4; i > 0; --i)
        entries.push_back(
            {Node::scalar(text() + fmt::to_string(i), Node::Style::kQuoted), random_node(random, depth - 1)});
      return Node::mapping(std::move(entries));
    }
  }
}

TEST(RenderYaml, any_tree_is_read_back_as_it_was) {
  std::mt19937 random(5);
  for (int i = 0; i < 3000; ++i) {
    const Node node = random_node(random, 4);
    for (const std::string& text : {render_yaml(node), render_inline(node)}) {
      const auto back = parse_yaml(text, "f");
      ASSERT_TRUE(back) << back.error().message() << "\n" << text;
      ASSERT_TRUE(same(node, *back)) << text;
    }
  }
}

TEST(RenderReference, lists_every_setting_by_section_with_the_items_of_lists) {
  struct Item {
    std::string url;
  };
  std::int64_t interval_ms = 15'000;
  std::int64_t workers = 2;
  std::string mode = "a|b";
  std::string token = "do not show";
  std::vector<Item> items;
  std::vector<std::string> names = {"sda", "sdb"};
  Schema schema;
  schema.section("observe", "What is read.");
  schema.duration_ms("observe.interval", interval_ms, "How often.", 1000).only_at_start().example("30s");
  schema.integer("workers", workers, "How many.", 1, 8);
  schema.text("observe.mode", mode, "Which.");
  schema.secret("token", token, "Who.");
  schema.strings("names", names, "Whom.");
  schema.list<Item>("observe.targets", items, "Each.",
                    [](Schema& item, Item& target) { item.text("url", target.url, "Where.").required(); });
  const std::string text = render_reference(schema);
  EXPECT_THAT(text, HasSubstr("\n## observe\n\nWhat is read.\n\n| key | default | type | reload | what it does |\n"));
  EXPECT_THAT(text, HasSubstr("| `interval` | `15s` | duration, at least 1s | no | How often. Example: `30s` |\n"));
  EXPECT_THAT(text, HasSubstr("| `mode` | `a\\|b` | text | yes | Which. |\n"));
  EXPECT_THAT(text, HasSubstr("| `workers` | `2` | integer, 1 to 8 | yes | How many. |\n"));
  EXPECT_THAT(text, HasSubstr("| `names` | `[sda, sdb]` | list of texts | yes | Whom. |\n"));
  EXPECT_THAT(text, HasSubstr("\n## observe.targets[]\n"));
  EXPECT_THAT(text, HasSubstr("| `url` | required | text | yes | Where. |\n"));
  EXPECT_THAT(text, Not(HasSubstr("do not show")));
  EXPECT_LT(text.find("`workers`"), text.find("## observe"));
  EXPECT_TRUE(items.empty());
}

}  // namespace
}  // namespace qd::model::config
