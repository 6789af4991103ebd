#include "base/pages.h"

#include <sys/mman.h>

#include <new>

namespace qd::base {

void UnmapPages::operator()(std::byte* begin) const {
  ::munmap(begin, bytes);
}

Pages map_pages(std::size_t bytes) {
  void* const begin = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  return Pages(static_cast<std::byte*>(begin), UnmapPages{bytes});
}

}  // namespace qd::base
