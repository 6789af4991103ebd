#include "observe/containers/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "observe/container.h"
#include "observe/containers/tree_for_test.h"

namespace qd::observe::containers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> paths(const Walk& walk) {
  std::vector<std::string> all;
  for (const Listed& listed : walk.listed()) all.emplace_back(listed.path);
  return all;
}

TEST(Walk, cgroups_of_several_hierarchies_are_told_once) {
  Tree tree;
  tree.make("memory/docker/one");
  tree.make("memory/system.slice/a.service");
  tree.make("memory/system.slice/var-lib-docker.mount");
  tree.make("cpu/docker/one");
  tree.make("cpu/docker/two");
  tree.write("cpu/docker/file", "");
  Walk walk;
  const std::vector<std::string> roots = {tree.at("memory"), tree.at("cpu")};
  EXPECT_EQ(walk.refresh(roots), 0);
  EXPECT_THAT(paths(walk),
              ElementsAre("/", "/docker", "/docker/one", "/docker/two", "/system.slice", "/system.slice/a.service"));
  EXPECT_EQ(walk.listed()[0].depth, 0U);
  EXPECT_EQ(walk.listed()[2].depth, 2U);
}

TEST(Walk, what_changes_is_noticed) {
  Tree tree;
  tree.make("one/a");
  Walk walk;
  const std::vector<std::string> roots = {tree.at("one")};
  walk.refresh(roots);
  const std::uint64_t before = walk.changes();
  walk.refresh(roots);
  EXPECT_EQ(walk.changes(), before);
  EXPECT_THAT(paths(walk), ElementsAre("/", "/a"));
  tree.make("one/b");
  walk.refresh(roots);
  EXPECT_GT(walk.changes(), before);
  EXPECT_THAT(paths(walk), ElementsAre("/", "/a", "/b"));
  // Another cgroup of the same name.
  const std::uint64_t inode = walk.listed()[1].inode;
  tree.make("one/new");
  tree.remove("one/a");
  std::filesystem::rename(tree.at("one/new"), tree.at("one/a"));
  walk.refresh(roots);
  EXPECT_NE(walk.listed()[1].inode, inode);
}

TEST(Walk, depth_is_bounded) {
  Tree tree;
  std::string deep = "one";
  for (std::size_t i = 0; i < kDepthMax + 5; ++i) deep += "/d";
  tree.make(deep);
  Walk walk;
  const std::vector<std::string> roots = {tree.at("one")};
  walk.refresh(roots);
  EXPECT_EQ(walk.listed().size(), kDepthMax + 1);
}

TEST(Walk, a_hierarchy_that_is_gone_is_an_error_only_where_it_is_the_first) {
  Tree tree;
  tree.make("one/a");
  Walk walk;
  EXPECT_EQ(walk.refresh(std::vector<std::string>{tree.at("one"), tree.at("no")}), 0);
  EXPECT_THAT(paths(walk), ElementsAre("/", "/a"));
  EXPECT_EQ(walk.refresh(std::vector<std::string>{tree.at("no")}), ENOENT);
  EXPECT_THAT(paths(walk), IsEmpty());
}

TEST(Walk, containers_are_known_by_their_ids) {
  const std::string id = test_id(5);
  EXPECT_EQ(container_id("/docker/" + id), id);
  EXPECT_EQ(container_id("/system.slice/docker-" + id + ".scope"), id);
  EXPECT_EQ(container_id("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope"), id);
  EXPECT_EQ(container_id("/machine.slice/libpod-" + id + ".scope"), id);
  EXPECT_EQ(container_id("/machine.slice/libpod-conmon-" + id + ".scope"), "");
  EXPECT_EQ(container_id("/docker/" + id + "/init.scope"), "");
  EXPECT_EQ(container_id("/docker/" + id + "0"), "");
  EXPECT_EQ(container_id("/docker/" + id.substr(1)), "");
  EXPECT_EQ(container_id("/"), "");
}

}  // namespace
}  // namespace qd::observe::containers
