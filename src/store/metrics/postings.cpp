#include "store/metrics/postings.h"

#include <algorithm>
#include <iterator>

namespace qd::store::metrics {
namespace {

// From this ratio of lengths on, galloping beats walking both lists (postings in segment_bench).
constexpr std::size_t kGallopRatio = 4;

Postings intersect_by_search(PostingsView small, PostingsView large) {
  Postings out;
  out.reserve(small.size());
  std::size_t at = 0;
  for (const std::uint32_t value : small) {
    at = gallop(large, at, value);
    if (at == large.size()) break;
    if (large[at] == value) out.push_back(value);
  }
  return out;
}

// Without branches on the data: what the lists hold is as good as random.
Postings intersect_by_walk(PostingsView a, PostingsView b) {
  Postings out(std::min(a.size(), b.size()) + 1);
  std::size_t i = 0;
  std::size_t j = 0;
  std::size_t n = 0;
  while (i < a.size() && j < b.size()) {
    const std::uint32_t x = a[i];
    const std::uint32_t y = b[j];
    out[n] = x;
    n += x == y;
    i += x <= y;
    j += y <= x;
  }
  out.resize(n);
  return out;
}

Postings unite_two(PostingsView a, PostingsView b) {
  Postings out;
  out.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

}  // namespace

std::size_t gallop(PostingsView list, std::size_t at, std::uint32_t value) {
  if (at >= list.size() || list[at] >= value) return std::min(at, list.size());
  std::size_t step = 1;
  while (step < list.size() - at && list[at + step] < value) {
    at += step;
    step *= 2;
  }
  const auto end = list.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, list.size()));
  return static_cast<std::size_t>(std::lower_bound(list.begin() + static_cast<std::ptrdiff_t>(at), end, value) -
                                  list.begin());
}

Postings intersect(PostingsView a, PostingsView b) {
  if (a.size() > b.size()) std::swap(a, b);
  return b.size() / kGallopRatio >= a.size() ? intersect_by_search(a, b) : intersect_by_walk(a, b);
}

Postings intersect(std::vector<PostingsView> lists) {
  if (lists.empty()) return {};
  std::sort(lists.begin(), lists.end(), [](PostingsView a, PostingsView b) { return a.size() < b.size(); });
  Postings out(lists[0].begin(), lists[0].end());
  for (std::size_t i = 1; i < lists.size() && !out.empty(); ++i) out = intersect(out, lists[i]);
  return out;
}

Postings unite(std::span<const PostingsView> lists) {
  if (lists.empty()) return {};
  if (lists.size() == 1) return Postings(lists[0].begin(), lists[0].end());
  if (lists.size() == 2) return unite_two(lists[0], lists[1]);

  std::size_t total = 0;
  std::uint32_t first = UINT32_MAX;
  std::uint32_t last = 0;
  for (const PostingsView list : lists) {
    if (list.empty()) continue;
    total += list.size();
    first = std::min(first, list.front());
    last = std::max(last, list.back());
  }
  if (total == 0) return {};

  // Dense: mark in a bitmap and read it back. Sparse: sort everything. Both beat a heap of lists.
  const std::size_t range = std::size_t{last} - first + 1;
  Postings out;
  out.reserve(std::min(total, range));
  if (range / 64 <= total) {
    std::vector<std::uint64_t> bits((range + 63) / 64);
    for (const PostingsView list : lists) {
      for (const std::uint32_t id : list) bits[(id - first) / 64] |= std::uint64_t{1} << ((id - first) % 64);
    }
    for (std::size_t word = 0; word < bits.size(); ++word) {
      for (std::uint64_t rest = bits[word]; rest != 0; rest &= rest - 1) {
        out.push_back(first + static_cast<std::uint32_t>(word * 64) +
                      static_cast<std::uint32_t>(__builtin_ctzll(rest)));
      }
    }
    return out;
  }
  for (const PostingsView list : lists) out.insert(out.end(), list.begin(), list.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Postings subtract(PostingsView from, PostingsView remove) {
  Postings out;
  out.reserve(from.size());
  std::size_t at = 0;
  for (const std::uint32_t value : from) {
    at = gallop(remove, at, value);
    if (at == remove.size() || remove[at] != value) out.push_back(value);
  }
  return out;
}

}  // namespace qd::store::metrics
