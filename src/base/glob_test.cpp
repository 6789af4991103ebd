#include "base/glob.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_directory.h"

namespace qd::base {
namespace {

TEST(FilesLike, gives_the_first_that_are_like_the_pattern_in_order) {
  const TempDirectory dir;
  for (const char* const name : {"b.yml", "a.yml", "c.txt"}) std::ofstream(dir / name) << "x";
  const std::string a = dir / "a.yml";
  const std::string b = dir / "b.yml";
  EXPECT_EQ(*files_like(dir / "*.yml", 10), (std::vector<std::string>{a, b}));
  EXPECT_EQ(*files_like(dir / "*.yml", 1), std::vector<std::string>{a});
  EXPECT_EQ(*files_like(b, 10), std::vector<std::string>{b});
  EXPECT_TRUE(files_like(dir / "[", 10)->empty());
  EXPECT_TRUE(files_like(dir / "none*", 10)->empty());
}

}  // namespace
}  // namespace qd::base
