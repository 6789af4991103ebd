// Sorted lists of series numbers and what sets can do with them. The head and the segments answer matchers with these.
//
// Every list is strictly rising; so is every result. Pure functions, any thread. When one list is much shorter than the
// other, the long one is searched by galloping (Bentley and Yao, 1976), so the cost follows the short one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qd::store::metrics {

using Postings = std::vector<std::uint32_t>;
using PostingsView = std::span<const std::uint32_t>;

// What is in both.
Postings intersect(PostingsView a, PostingsView b);
// What is in all of `lists`, the shortest first; nothing when there are no lists.
Postings intersect(std::vector<PostingsView> lists);
// What is in any of `lists`.
Postings unite(std::span<const PostingsView> lists);
// What is in `from` and not in `remove`.
Postings subtract(PostingsView from, PostingsView remove);

// The first position at or after `at` whose element is not less than `value`; list.size() when there is none.
std::size_t gallop(PostingsView list, std::size_t at, std::uint32_t value);

}  // namespace qd::store::metrics
