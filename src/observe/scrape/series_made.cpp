#include "observe/scrape/series_made.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace qd::observe::scrape {

namespace {
constexpr std::size_t kSlotsMin = 64;
}  // namespace

void SeriesMade::limit(std::uint64_t limit) {
  limit_ = limit;
  if (limit > 0) return;
  slots_ = {};
  size_ = 0;
}

bool SeriesMade::admit(const model::LabelSet& labels) {
  if (limit_ == 0) return true;
  const std::string_view bytes = labels.bytes();
  const std::uint64_t hash = std::max<std::uint64_t>(XXH3_64bits(bytes.data(), bytes.size()), 1);
  if (slots_.empty()) slots_.resize(kSlotsMin);
  for (std::size_t at = hash % slots_.size(); slots_[at] != 0; at = (at + 1) % slots_.size()) {
    if (slots_[at] == hash) return true;
  }
  if (size_ >= limit_) return false;
  if ((size_ + 1) * 2 > slots_.size()) {
    const std::vector<std::uint64_t> old = std::exchange(slots_, std::vector<std::uint64_t>(slots_.size() * 2));
    for (const std::uint64_t one : old) {
      if (one != 0) insert(one);
    }
  }
  insert(hash);
  ++size_;
  return true;
}

void SeriesMade::insert(std::uint64_t hash) {
  std::size_t at = hash % slots_.size();
  while (slots_[at] != 0) at = (at + 1) % slots_.size();
  slots_[at] = hash;
}

}  // namespace qd::observe::scrape
