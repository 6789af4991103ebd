#include "base/writable_mapping.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "base/files.h"
#include "base/temp_directory.h"

namespace qd::base {
namespace {

TEST(WritableMapping, what_is_stored_is_in_the_file) {
  const TempDirectory dir;
  PosixFiles files;
  const auto path = dir.path() / "slots";
  const auto mapping = WritableMapping::create(path, 4096);
  ASSERT_TRUE(mapping) << mapping.error().message();
  std::memcpy((*mapping)->bytes().data() + 100, "hello", 5);
  const auto content = read_file(files, path, 1 << 20);
  ASSERT_TRUE(content);
  EXPECT_EQ(content->size(), 4096U);
  EXPECT_EQ(content->substr(99, 7), std::string("\0hello\0", 7));
}

TEST(WritableMapping, replaces_what_was_there) {
  const TempDirectory dir;
  PosixFiles files;
  const auto path = dir.path() / "slots";
  const auto first = WritableMapping::create(path, 4096);
  ASSERT_TRUE(first);
  std::memset((*first)->bytes().data(), 'x', 4096);
  const auto second = WritableMapping::create(path, 8192);
  ASSERT_TRUE(second);
  (*first)->bytes()[0] = std::byte{'y'};
  EXPECT_EQ(*read_file(files, path, 1 << 20), std::string(8192, '\0'));
}

TEST(WritableMapping, a_place_that_takes_nothing_is_an_error_that_names_it) {
  const TempDirectory dir;
  const auto nowhere = WritableMapping::create(dir.path() / "none" / "slots", 4096);
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message().find("none/slots"), std::string::npos);

  // No room, as far as this process can tell.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit little{1024, before.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const auto full = WritableMapping::create(dir.path() / "slots", 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(full);
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "slots"));
}

}  // namespace
}  // namespace qd::base
