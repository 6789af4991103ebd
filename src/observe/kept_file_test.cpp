#include "observe/kept_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "base/temp_directory.h"

namespace qd::observe {
namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

TEST(KeptFile, a_file_of_proc_stays_open_and_is_read_anew) {
  FileReader reader;
  const std::size_t before = open_descriptors();
  {
    KeptFile file(reader, "/proc/self/stat");
    const std::string first(file.read().value());
    EXPECT_EQ(open_descriptors(), before + 1);
    // Time passes for a process that works.
    std::string later = first;
    for (int i = 0; i < 100'000 && later == first; ++i) later = file.read().value();
    EXPECT_NE(later, first);
    EXPECT_EQ(open_descriptors(), before + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(KeptFile, a_file_elsewhere_may_be_replaced_and_vanish) {
  base::TempDirectory directory;
  FileReader reader;
  KeptFile file(reader, directory / "file");
  EXPECT_EQ(file.read().error(), ENOENT);
  std::ofstream(directory / "file") << "one";
  EXPECT_EQ(file.read().value(), "one");
  std::ofstream(directory / "new") << "two";
  std::filesystem::rename(directory / "new", directory / "file");
  EXPECT_EQ(file.read().value(), "two");
  std::filesystem::remove(directory / "file");
  EXPECT_EQ(file.read().error(), ENOENT);
}

TEST(KeptFile, long_files_are_read_whole_and_endless_ones_refused) {
  base::TempDirectory directory;
  FileReader reader;
  const std::string content(1'000'000, 'x');
  std::ofstream(directory / "long") << content;
  EXPECT_EQ(KeptFile(reader, directory / "long").read().value(), content);
  std::filesystem::create_directory(directory / "directory");
  EXPECT_EQ(KeptFile(reader, directory / "directory").read().error(), EISDIR);
  EXPECT_EQ(KeptFile(reader, "/dev/zero").read().error(), EFBIG);
}

TEST(KeptFile, what_is_known_of_a_file_changes_nothing_that_is_read) {
  FileReader reader;
  const auto whole = [](const char* path) {
    std::ifstream file(path);
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  };
  for (const char* path : {"/proc/version", "/proc/sys/kernel/ostype", "/proc/sys/kernel/random/boot_id"}) {
    EXPECT_EQ(KeptFile(reader, path, Shows::kEverything).read().value(), whole(path)) << path;
  }
  for (const char* path : {"/proc/self/mounts", "/proc/cgroups", "/proc/devices"}) {
    if (!std::filesystem::exists(path)) continue;
    EXPECT_EQ(KeptFile(reader, path, Shows::kShortRecords).read().value(), whole(path)) << path;
  }
  for (const char* path : {"/sys/kernel/mm/transparent_hugepage/enabled", "/sys/devices/system/cpu/online"}) {
    if (!std::filesystem::exists(path)) continue;
    KeptFile file(reader, path);
    EXPECT_EQ(file.read().value(), whole(path)) << path;
    EXPECT_EQ(file.read().value(), whole(path)) << path;
  }
}

TEST(KeptFile, files_of_cgroupfs_stay_open_and_are_read_whole) {
  std::string root = "/sys/fs/cgroup";
  if (!std::filesystem::exists(root + "/memory.stat")) root += "/memory";
  std::ifstream expected(root + "/memory.stat");
  if (!expected) GTEST_SKIP() << "no control groups";
  FileReader reader;
  const std::size_t before = open_descriptors();
  const std::string processes = root + "/cgroup.procs";
  KeptFile long_file(reader, root + "/memory.stat");
  KeptFile list(reader, processes);
  for (int i = 0; i < 2; ++i) {
    // Names stay while numbers change.
    const std::string text(long_file.read().value());
    const auto lines = [](std::istream& in) {
      std::size_t count = 0;
      for (std::string line; std::getline(in, line);) ++count;
      return count;
    };
    std::istringstream got(text);
    std::ifstream now(root + "/memory.stat");
    EXPECT_EQ(lines(got), lines(now));
    ASSERT_TRUE(list.read());
    EXPECT_EQ(open_descriptors(), before + 3);
  }
}

TEST(KeptFile, a_file_that_is_read_once_is_closed) {
  FileReader reader;
  const std::size_t before = open_descriptors();
  EXPECT_FALSE(reader.read_once("/proc/self/stat").value().empty());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(reader.read_once("/proc/self/no_such_file").error(), ENOENT);
}

TEST(KeptFile, descriptors_that_are_kept_are_bounded) {
  FileReader reader;
  const std::size_t before = open_descriptors();
  std::vector<KeptFile> files;
  for (std::size_t i = 0; i < FileReader::kKeptDescriptorsMax + 50; ++i) {
    files.emplace_back(reader, "/proc/self/stat");
    ASSERT_TRUE(files.back().read());
  }
  EXPECT_EQ(open_descriptors(), before + FileReader::kKeptDescriptorsMax);
  FileReader small(2);
  std::vector<KeptFile> few;
  for (int i = 0; i < 3; ++i) {
    few.emplace_back(small, "/proc/self/stat");
    ASSERT_TRUE(few.back().read());
  }
  EXPECT_EQ(open_descriptors(), before + FileReader::kKeptDescriptorsMax + 2);
  few.clear();
  files.clear();
  files.emplace_back(reader, "/proc/self/stat");
  ASSERT_TRUE(files.back().read());
  EXPECT_EQ(open_descriptors(), before + 1) << "room is given back";
}

}  // namespace
}  // namespace qd::observe
