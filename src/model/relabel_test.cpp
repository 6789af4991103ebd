#include "model/relabel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::model {
namespace {

using enum RelabelAction;

// "dropped", or the labels.
std::string relabel(const LabelSet& labels, const std::vector<RelabelConfig>& configs,
                    NameScheme scheme = NameScheme::kUtf8) {
  const auto rules = Relabeller::compile(configs, scheme);
  if (!rules) return rules.error().message();
  LabelBuilder builder(labels);
  return rules->apply(builder) ? builder.build().to_string() : "dropped";
}

const LabelSet kLabels = {{"a", "foo"}, {"b", "bar"}, {"c", "baz"}};

TEST(Relabel, replaces_with_what_the_pattern_found) {
  EXPECT_EQ(relabel(kLabels,
                    {{.source_labels = {"a"}, .regex = "f(.*)", .target_label = "d", .replacement = "ch${1}-ch${1}"}}),
            R"({a="foo", b="bar", c="baz", d="choo-choo"})");
  EXPECT_EQ(
      relabel(
          kLabels,
          {{.source_labels = {"a", "b"}, .regex = "f(.*);(.*)r", .target_label = "a", .replacement = "b${1}${2}m"},
           {.source_labels = {"c", "a"}, .regex = "(b).*b(.*)ba(.*)", .target_label = "d", .replacement = "$1$2$2$3"}}),
      R"({a="boobam", b="bar", c="baz", d="boooom"})");
  // Anchored at both ends: a part of the value is not enough.
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = "o", .target_label = "d", .replacement = "x"}}),
            R"({a="foo", b="bar", c="baz"})");
  // Without source labels the value is empty, which the default pattern matches.
  EXPECT_EQ(relabel({}, {{.target_label = "d", .replacement = "static"}}), R"({d="static"})");
  // An empty result removes the label.
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = "(f).*", .target_label = "a", .replacement = "$2"}}),
            R"({b="bar", c="baz"})");
}

TEST(Relabel, reads_templates_as_go_does) {
  const auto with = [](std::string replacement, std::string regex = "(?P<first>f)(.*)") {
    LabelBuilder builder(kLabels);
    const RelabelConfig config[] = {{.source_labels = {"a"},
                                     .regex = std::move(regex),
                                     .target_label = "d",
                                     .replacement = std::move(replacement)}};
    EXPECT_TRUE(Relabeller::compile(config, NameScheme::kUtf8)->apply(builder));
    return std::string(builder.get("d"));
  };
  EXPECT_EQ(with("${first}-$2"), "f-oo");
  EXPECT_EQ(with("$1x"), "");  // the name is "1x", and there is no such group
  EXPECT_EQ(with("${1}x"), "fx");
  EXPECT_EQ(with("$$1"), "$1");
  EXPECT_EQ(with("a$"), "a$");
  EXPECT_EQ(with("a${"), "a${");
  EXPECT_EQ(with("$01"), "");
  EXPECT_EQ(with("$0"), "foo");
  EXPECT_EQ(with("$9-"), "-");
}

TEST(Relabel, target_labels_may_be_templates) {
  const LabelSet found = {{"__meta_tags", "label:env=prod"}};
  EXPECT_EQ(relabel(found, {{.source_labels = {"__meta_tags"},
                             .regex = "label:([^=]+)=([^,]+)",
                             .target_label = "${1}",
                             .replacement = "${2}"}}),
            R"({__meta_tags="label:env=prod", env="prod"})");
  // A name that a value makes invalid changes nothing.
  EXPECT_EQ(
      relabel(
          {{"a", "some-name-value"}},
          {{.source_labels = {"a"}, .regex = "some-([^-]+)-([^,]+)", .target_label = "${3}", .replacement = "${2}"}}),
      R"({a="some-name-value"})");
  EXPECT_EQ(relabel({{"a", "x-y"}}, {{.source_labels = {"a"}, .target_label = "$1", .replacement = "v"}},
                    NameScheme::kLegacy),
            R"({a="x-y"})");
}

TEST(Relabel, keeps_and_drops) {
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = ".*o.*", .action = kDrop}}), "dropped");
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = "no-match", .action = kDrop}}), kLabels.to_string());
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = "no-match", .action = kKeep}}), "dropped");
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"a"}, .regex = "fo+", .action = kKeep}}), kLabels.to_string());
  EXPECT_EQ(relabel({{"a", "x\ny"}}, {{.source_labels = {"a"}, .regex = "x.y", .action = kDrop}}), "dropped");
  const LabelSet equal = {{"__port1", "1234"}, {"__port2", "5678"}, {"__tmp_port", "1234"}};
  EXPECT_EQ(relabel(equal, {{.source_labels = {"__tmp_port"}, .target_label = "__port1", .action = kKeepEqual}}),
            equal.to_string());
  EXPECT_EQ(relabel(equal, {{.source_labels = {"__tmp_port"}, .target_label = "__port2", .action = kKeepEqual}}),
            "dropped");
  EXPECT_EQ(relabel(equal, {{.source_labels = {"__tmp_port"}, .target_label = "__port1", .action = kDropEqual}}),
            "dropped");
  EXPECT_EQ(relabel(equal, {{.source_labels = {"__tmp_port"}, .target_label = "__port2", .action = kDropEqual}}),
            equal.to_string());
}

TEST(Relabel, spreads_by_the_hash_that_prometheus_has) {
  // Of Prometheus's own tests.
  EXPECT_EQ(relabel(kLabels, {{.source_labels = {"c"}, .modulus = 1000, .target_label = "d", .action = kHashMod}}),
            R"({a="foo", b="bar", c="baz", d="976"})");
  EXPECT_EQ(relabel({{"a", "foo\nbar"}},
                    {{.source_labels = {"a"}, .modulus = 1000, .target_label = "b", .action = kHashMod}}),
            "{a=\"foo\\nbar\", b=\"734\"}");
}

TEST(Relabel, maps_drops_and_keeps_names) {
  const LabelSet labels = {{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}};
  EXPECT_EQ(relabel(labels, {{.regex = "(b.*)", .replacement = "bar_${1}", .action = kLabelMap}}),
            R"({a="foo", b1="bar", b2="baz", bar_b1="bar", bar_b2="baz"})");
  EXPECT_EQ(
      relabel({{"__meta_my_aaa", "x"}, {"__meta_my_bbb", "y"}}, {{.regex = "__meta_(my.*)", .action = kLabelMap}}),
      R"({__meta_my_aaa="x", __meta_my_bbb="y", my_aaa="x", my_bbb="y"})");
  EXPECT_EQ(relabel(labels, {{.regex = "(b.*)", .action = kLabelDrop}}), R"({a="foo"})");
  EXPECT_EQ(relabel(labels, {{.regex = "(b.*)", .action = kLabelKeep}}), R"({b1="bar", b2="baz"})");
}

TEST(Relabel, changes_case_beyond_ascii) {
  EXPECT_EQ(relabel({{"a", "BaR123Éß"}}, {{.source_labels = {"a"}, .target_label = "u", .action = kUppercase},
                                          {.source_labels = {"a"}, .target_label = "l", .action = kLowercase}}),
            R"({a="BaR123Éß", l="bar123éß", u="BAR123Éß"})");
}

TEST(Relabel, refuses_what_prometheus_refuses) {
  const auto bad = [](const RelabelConfig& config, NameScheme scheme = NameScheme::kUtf8) {
    return !validate(config, scheme).has_value();
  };
  EXPECT_TRUE(bad({.regex = "abcdef", .action = kHashMod}));
  EXPECT_TRUE(bad({.source_labels = {"a"}, .modulus = 8, .action = kHashMod}));
  EXPECT_TRUE(bad({.regex = "abcdef"}));
  EXPECT_TRUE(bad({.regex = "(", .target_label = "a"}));
  EXPECT_TRUE(bad({.source_labels = {"a"}, .action = kKeepEqual}));
  EXPECT_TRUE(bad({.source_labels = {"a"}, .regex = "x", .target_label = "b", .action = kDropEqual}));
  EXPECT_TRUE(bad({.source_labels = {"a"}, .action = kLabelDrop}));
  EXPECT_TRUE(bad({.modulus = 8, .action = kLabelKeep}));
  EXPECT_TRUE(bad({.separator = ",", .action = kLabelDrop}));
  EXPECT_TRUE(bad({.source_labels = {"a"}, .target_label = "a", .replacement = "x", .action = kLowercase}));
  EXPECT_TRUE(bad({.regex = "a", .replacement = "-${1}", .action = kLabelMap}, NameScheme::kLegacy));
  EXPECT_TRUE(bad({.target_label = "x-y", .replacement = "a"}, NameScheme::kLegacy));
  EXPECT_TRUE(bad({.target_label = "0${3}"}, NameScheme::kLegacy));
  EXPECT_FALSE(bad({.target_label = "x-y", .replacement = "a"}));
  EXPECT_FALSE(bad({.target_label = "some_${1}", .replacement = "a"}, NameScheme::kLegacy));
  EXPECT_EQ(parse_relabel_action("KeepEqual"), kKeepEqual);
  EXPECT_FALSE(parse_relabel_action("keeps"));
}

TEST(Relabel, an_empty_list_keeps_all) {
  LabelBuilder builder(kLabels);
  EXPECT_TRUE(Relabeller().apply(builder));
  EXPECT_EQ(builder.build(), kLabels);
}

}  // namespace
}  // namespace qd::model
