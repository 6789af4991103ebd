#include "base/pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>

namespace qd::base {
namespace {

// Whether the page at `address` is mapped at all.
bool mapped(void* address) {
  unsigned char resident = 0;
  return ::mincore(address, 1, &resident) == 0 || errno != ENOMEM;
}

TEST(Pages, are_zeros_and_go_back_to_the_system_when_freed) {
  constexpr std::size_t kBytes = 8 << 20;
  Pages pages = map_pages(kBytes);
  std::byte* const begin = pages.get();
  EXPECT_EQ(pages[0], std::byte{0});
  EXPECT_EQ(pages[kBytes - 1], std::byte{0});
  pages[kBytes - 1] = std::byte{7};
  EXPECT_EQ(pages[kBytes - 1], std::byte{7});
  EXPECT_TRUE(mapped(begin));
  pages.reset();
  EXPECT_FALSE(mapped(begin));
}

TEST(Pages, that_nobody_has_are_refused) {
  EXPECT_THROW(map_pages(std::size_t{1} << 60), std::bad_alloc);
}

}  // namespace
}  // namespace qd::base
