// Which series a target has made as long as it has been scraped, held against a limit: a target whose labels change
// with every request makes ever more of them, though each of its pages is small.
//
// One thread at a time. Memory: about 16 bytes a series, and nothing without a limit.
#pragma once

#include <cstdint>
#include <vector>

#include "model/labels.h"

namespace qd::observe::scrape {

class SeriesMade {
 public:
  // 0 is none, and forgets.
  void limit(std::uint64_t limit);
  // Whether the series was made before, or may be made now, and then it is. What a series is is told by 64 bits of a
  // hash: one in 2^32 passes for another where there are billions.
  bool admit(const model::LabelSet& labels);
  std::uint64_t size() const { return size_; }

 private:
  void insert(std::uint64_t hash);

  std::uint64_t limit_ = 0;
  std::uint64_t size_ = 0;
  std::vector<std::uint64_t> slots_;  // open addressing; 0 is free
};

}  // namespace qd::observe::scrape
