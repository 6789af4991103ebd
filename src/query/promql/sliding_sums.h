// Sums of windows that overlap much, at the cost of adding each sample twice, however many windows it is in. Nothing is
// ever taken away from a sum, so a huge value leaves no trace in the windows behind it.
//
// Source: "two stacks", the sliding-window aggregation of Tangwongsan, Hirzel, Schneider ("General Incremental
// Sliding-Window Aggregation", VLDB 2015).
#pragma once

#include <cstddef>
#include <vector>

namespace qd::query::promql {

// So many samples' sums (or, of *_over_time extremes, candidates) are held at most; a longer series is summed up window
// by window. A month at 15 s has fewer.
inline constexpr std::size_t kSlidingSamplesMax = 1 << 18;

// `Samples` has a type Sums with join(Sums), begin(last), called before the sums of [low, last] are made anew, and
// add(sums, i), which adds sample i.
template <typename Samples>
class SlidingSums {
 public:
  using Sums = typename Samples::Sums;

  explicit SlidingSums(Samples& samples) : samples_(samples) {}

  // The sums of the samples [low, high). REQUIRES: low < high; neither is less than at the call before.
  Sums of(std::size_t low, std::size_t high) {
    if (low >= middle_) turn(low, high);
    for (; added_ < high; ++added_) samples_.add(back_, added_);
    Sums sums = front_[low - begin_];
    sums.join(back_);
    return sums;
  }

 private:
  // front_[i - begin_] becomes the sums of [i, middle_).
  void turn(std::size_t low, std::size_t high) {
    samples_.begin(high - 1);
    front_.resize(high - low);
    Sums sums;
    for (std::size_t i = high; i-- > low;) {
      samples_.add(sums, i);
      front_[i - low] = sums;
    }
    begin_ = low;
    middle_ = added_ = high;
    back_ = Sums();
  }

  Samples& samples_;
  std::vector<Sums> front_;
  Sums back_;  // of [middle_, added_)
  std::size_t begin_ = 0;
  std::size_t middle_ = 0;
  std::size_t added_ = 0;
};

}  // namespace qd::query::promql
