#include "observe/containers/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "observe/containers/tree_for_test.h"

namespace qd::observe::containers {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::SizeIs;

std::map<std::string, std::string> labels(const Container* container, const Options& options) {
  CgroupLabels told;
  told.set("/docker/x", container, LabelChoice(options));
  std::map<std::string, std::string> all;
  for (const model::Label& label : told.all()) all.emplace(label.name, label.value);
  EXPECT_THAT(all, SizeIs(told.all().size())) << "each name once";
  EXPECT_TRUE(std::ranges::is_sorted(told.all(), {}, &model::Label::name));
  return all;
}

TEST(CgroupLabels, only_what_was_chosen_is_told) {
  const Container container = test_container(test_id(1), "web");
  EXPECT_THAT(labels(&container, {}),
              ElementsAre(Pair("container_label_com_docker_compose_project", "shop"), Pair("id", "/docker/x"),
                          Pair("image", "nginx:1.25"), Pair("name", "web")));
  Options options;
  options.labels = {"team-name"};
  options.environment = {"STAGE", "NONE"};
  EXPECT_THAT(labels(&container, options),
              ElementsAre(Pair("container_env_STAGE", "test"), Pair("container_label_team_name", "a"),
                          Pair("id", "/docker/x"), Pair("image", "nginx:1.25"), Pair("name", "web")));
  options.labels.clear();
  options.environment.clear();
  EXPECT_THAT(labels(&container, options), SizeIs(3));
  EXPECT_THAT(labels(nullptr, options), ElementsAre(Pair("id", "/docker/x")));
}

TEST(CgroupLabels, all_labels_are_bounded_and_each_name_comes_once) {
  Container container = test_container(test_id(1), "web");
  container.labels = {{"a.b", "first"}, {"a_b", "second"}};
  Options options;
  options.labels = {"all"};
  EXPECT_EQ(labels(&container, options)["container_label_a_b"], "first");
  for (int i = 0; i < 1000; ++i) container.labels.emplace("c" + std::to_string(i), "x");
  EXPECT_LE(labels(&container, options).size(), kLabelsMax + 3);
  EXPECT_FALSE(labels(&container, options).contains("container_env_PASSWORD"));
}

TEST(CgroupLabels, values_are_cut_at_a_character_and_made_valid) {
  Container container = test_container(test_id(1), "web");
  container.image.clear();
  container.name = "\xff";
  std::string value = "x";
  while (value.size() < 2 * kLabelValueBytesMax) value += "\xc3\xa4";
  container.labels = {{"l", value}};
  Options options;
  options.labels = {"l"};
  auto told = labels(&container, options);
  EXPECT_EQ(told["name"], "\xef\xbf\xbd");
  EXPECT_FALSE(told.contains("image"));
  EXPECT_EQ(told["container_label_l"], value.substr(0, kLabelValueBytesMax - 1));
}

}  // namespace
}  // namespace qd::observe::containers
