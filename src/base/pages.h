// Memory in pages of its own: what is freed goes back to the system at once. An allocator that has seen a block of
// megabytes freed keeps the next ones.
#pragma once

#include <cstddef>
#include <memory>

namespace qd::base {

struct UnmapPages {
  std::size_t bytes = 0;
  void operator()(std::byte* begin) const;
};
using Pages = std::unique_ptr<std::byte[], UnmapPages>;

// Zeros, of which only those pages count as used that were touched. std::bad_alloc where there is no room.
Pages map_pages(std::size_t bytes);

}  // namespace qd::base
