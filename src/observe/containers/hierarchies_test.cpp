#include "observe/containers/hierarchies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/containers/tree_for_test.h"

namespace qd::observe::containers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Roots roots_of(const Tree& tree) {
  return {tree.at("proc"), tree.at("sys"), tree.at("root")};
}

TEST(Hierarchies, version_2_alone_has_the_controllers_that_it_lists) {
  Tree tree;
  tree.mount_version_2();
  tree.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory pids\n");
  FileReader reader;
  const auto found = find_hierarchies(reader, roots_of(tree));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at(Controller::kMemory).version, 2);
  EXPECT_EQ(found->at(Controller::kMemory).directory, tree.at("sys/fs/cgroup"));
  EXPECT_EQ(found->at(Controller::kIo).version, 0);
  EXPECT_EQ(found->at(Controller::kCpuTime).version, 2);
  EXPECT_EQ(found->at(Controller::kPressure).version, 2);
  EXPECT_THAT(found->walked, ElementsAre(tree.at("sys/fs/cgroup")));
}

TEST(Hierarchies, version_1_has_one_for_several_controllers) {
  Tree tree;
  tree.mount_version_1(false);
  FileReader reader;
  const auto found = find_hierarchies(reader, roots_of(tree));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at(Controller::kCpu).directory, tree.at("sys/fs/cgroup/cpu,cpuacct"));
  EXPECT_EQ(found->at(Controller::kCpuTime).directory, tree.at("sys/fs/cgroup/cpu,cpuacct"));
  EXPECT_EQ(found->at(Controller::kIo).directory, tree.at("sys/fs/cgroup/blkio"));
  EXPECT_EQ(found->at(Controller::kPressure).version, 0);
  EXPECT_THAT(found->walked, ElementsAre(tree.at("sys/fs/cgroup/memory"), tree.at("sys/fs/cgroup/cpu,cpuacct")));
}

TEST(Hierarchies, a_hybrid_machine_has_both) {
  Tree tree;
  tree.mount_version_1(true);
  FileReader reader;
  const auto found = find_hierarchies(reader, roots_of(tree));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at(Controller::kMemory).version, 1);
  EXPECT_EQ(found->at(Controller::kCpuTime).version, 1);
  EXPECT_EQ(found->at(Controller::kPressure).directory, tree.at("sys/fs/cgroup/unified"));
}

TEST(Hierarchies, controllers_may_be_in_both_versions) {
  Tree tree;
  tree.mount_version_1(true);
  tree.write("proc/1/mountinfo",
             "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree.write("sys/fs/cgroup/unified/cgroup.controllers", "cpu io pids\n");
  FileReader reader;
  const auto found = find_hierarchies(reader, roots_of(tree));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at(Controller::kMemory).version, 1);
  EXPECT_EQ(found->at(Controller::kPids).version, 2);
  EXPECT_THAT(found->walked, ElementsAre(tree.at("sys/fs/cgroup/memory"), tree.at("sys/fs/cgroup/unified")));
}

TEST(Hierarchies, the_whole_one_in_its_usual_place_is_taken) {
  Tree tree;
  tree.mount_version_2();
  tree.make("root/jail/sys/fs/cgroup");
  tree.make("root/mnt/with space");
  tree.write("proc/1/mountinfo",
             "34 1 0:30 / /jail/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
             "35 1 0:30 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
             "36 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
             "what\n36 1 0:30\n");
  FileReader reader;
  EXPECT_EQ(find_hierarchies(reader, roots_of(tree))->at(Controller::kMemory).directory, tree.at("sys/fs/cgroup"));
  tree.remove("sys/fs/cgroup");
  tree.write("proc/1/mountinfo", "34 1 0:30 / /mnt/with\\040space rw shared:1 master:2 - cgroup2 cgroup2 rw\n");
  EXPECT_EQ(find_hierarchies(reader, roots_of(tree))->at(Controller::kPressure).directory,
            tree.at("root/mnt/with space"));
}

TEST(Hierarchies, without_a_mount_table_the_usual_place_is_looked_at) {
  Tree tree;
  tree.mount_version_2();
  tree.remove("proc");
  FileReader reader;
  EXPECT_EQ(find_hierarchies(reader, roots_of(tree))->at(Controller::kMemory).version, 2);
  tree.remove("sys");
  const auto none = find_hierarchies(reader, roots_of(tree));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message(), HasSubstr("-v /sys:" + tree.at("sys") + ":ro"));
}

}  // namespace
}  // namespace qd::observe::containers
