// Functions of windows that have native histograms among their samples.
//
// Most look at numbers alone and say so where a window has both; sums and rates have no result there; the rest takes
// either as a sample.
#include <algorithm>
#include <memory>
#include <utility>

#include "model/histogram_arithmetic.h"
#include "query/promql/histogram_rates.h"
#include "query/promql/remarks.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

using model::HistogramPtr;

class MixedWindows {
 public:
  MixedWindows(FunctionId id, const std::optional<Extension>& extension, const WindowView& view,
               const Parameters& parameters, std::span<double> out, Scratch& scratch, const Remarker& remarker)
      : id_(id),
        extension_(extension),
        view_(view),
        parameters_(parameters),
        out_(out),
        scratch_(scratch),
        remarker_(remarker),
        before_(view.n + 1, 0) {
    for (std::size_t i = 0; i < view.n; ++i) before_[i + 1] = before_[i] + (view.histograms[i] != nullptr ? 1 : 0);
  }

  void run() {
    switch (id_) {
      case FunctionId::kCountOverTime:
      case FunctionId::kPresentOverTime:
      case FunctionId::kAbsentOverTime:
      case FunctionId::kTsOfFirstOverTime:
      case FunctionId::kTsOfLastOverTime:
      case FunctionId::kChanges:
      case FunctionId::kResets:
        number_windows(id_, extension_, view_, parameters_, out_, scratch_, remarker_);
        return;
      case FunctionId::kFirstOverTime:
        slide(view_, out_, [&](std::size_t low, std::size_t, std::size_t k) { return sample(low, k); });
        return;
      case FunctionId::kLastOverTime:
        slide(view_, out_, [&](std::size_t, std::size_t high, std::size_t k) { return sample(high - 1, k); });
        return;
      case FunctionId::kSumOverTime:
      case FunctionId::kAvgOverTime:
      case FunctionId::kRate:
      case FunctionId::kIncrease:
      case FunctionId::kDelta:
        together(false);
        return;
      case FunctionId::kIrate:
      case FunctionId::kIdelta:
        together(true);
        return;
      default:
        numbers_alone();
        return;
    }
  }

 private:
  std::size_t histograms_in(std::size_t low, std::size_t high) const { return before_[high] - before_[low]; }

  void set(std::size_t k, HistogramPtr histogram) {
    out_[k] = kAbsent;
    if (histogram == nullptr) return;
    if (scratch_.histograms.empty()) scratch_.histograms.resize(view_.grid.count);
    scratch_.histograms[k] = std::move(histogram);
  }

  double sample(std::size_t i, std::size_t k) {
    if (view_.histograms[i] == nullptr) return view_.values[i];
    set(k, view_.histograms[i]);
    return kAbsent;
  }

  // What joins samples: first as if all were numbers, then windows with histograms again. `last_two`: only those of a
  // window matter.
  void together(bool last_two) {
    number_windows(id_, extension_, view_, parameters_, out_, scratch_, remarker_);
    const auto window = [&](std::size_t low, std::size_t high, std::size_t k) {
      if (last_two && high - low > 2) low = high - 2;
      const std::size_t histograms = histograms_in(low, high);
      if (histograms == 0) return;
      out_[k] = kAbsent;
      if (histograms == high - low) {
        set(k, joined(low, high, k));
      } else {
        tell_of_mix();
      }
    };
    if (!extension_) {
      for_windows(view_, window);
      return;
    }
    const std::size_t count = view_.grid.count;
    std::vector<bool> whole(count, true);
    tell_of_mixed_surroundings(whole);
    for_extended_windows(view_, *extension_, [&](std::size_t low, std::size_t high, std::size_t k) {
      if (whole[k]) window(low, high, k);
    });
  }

  // Once a series is enough.
  void tell_of_mix() {
    if (!std::exchange(told_of_mix_, true)) remarker_.warn(remarks::mixed_floats_and_histograms(remarker_.metric()));
  }

  // anchored and smoothed read all that the lookback reaches, and have no result where that is mixed.
  void tell_of_mixed_surroundings(std::vector<bool>& whole) {
    for (std::size_t k = 0; k < view_.grid.count; ++k) {
      const auto begin = view_.begin(k) - extension_->lookback_ms;
      const auto end = view_.end(k) + (extension_->smoothed ? extension_->lookback_ms : 0);
      const auto* times = view_.times;
      const auto low = static_cast<std::size_t>(std::upper_bound(times, times + view_.n, begin) - times);
      const auto high = static_cast<std::size_t>(std::upper_bound(times, times + view_.n, end) - times);
      if (low >= high) continue;
      const std::size_t histograms = histograms_in(low, high);
      if (histograms == 0 || histograms == high - low) continue;
      tell_of_mix();
      whole[k] = false;
      out_[k] = kAbsent;
    }
  }

  HistogramPtr joined(std::size_t low, std::size_t high, std::size_t k) {
    switch (id_) {
      case FunctionId::kSumOverTime:
        return sum(low, high);
      case FunctionId::kAvgOverTime:
        return average(low, high);
      case FunctionId::kIrate:
      case FunctionId::kIdelta:
        return high - low < 2 ? nullptr : histogram_instant_rate(id_, view_, high, remarker_);
      default:
        if (extension_) return extended_histogram_rate(id_, view_, low, high, k, extension_->smoothed, remarker_);
        if (!traits_) traits_.emplace(view_);
        return histogram_rate(id_, view_, *traits_, low, high, k, remarker_);
    }
  }

  template <typename Total>
  bool add_all(std::size_t low, std::size_t high, Total& total) const {
    for (std::size_t i = low; i < high; ++i) {
      if (total.add(*view_.histograms[i])) continue;
      remarker_.warn(remarks::mixed_exponential_and_custom(remarker_.metric()));
      return false;
    }
    if (total.resets_conflict()) remarker_.warn(remarks::conflicting_resets("aggregation"));
    if (total.bounds_reconciled()) remarker_.info(remarks::custom_buckets_reconciled("aggregation"));
    return true;
  }

  HistogramPtr sum(std::size_t low, std::size_t high) const {
    model::HistogramSum total;
    return add_all(low, high, total) ? std::make_shared<const model::Histogram>(total.value()) : nullptr;
  }

  HistogramPtr average(std::size_t low, std::size_t high) const {
    model::HistogramMean total;
    return add_all(low, high, total) ? std::make_shared<const model::Histogram>(total.value()) : nullptr;
  }

  void numbers_alone() {
    store::metrics::Columns& numbers = scratch_.numbers;
    numbers.clear();
    for (std::size_t i = 0; i < view_.n; ++i) {
      if (view_.histograms[i] != nullptr) continue;
      numbers.times.push_back(view_.times[i]);
      numbers.values.push_back(view_.values[i]);
    }
    WindowView view = view_;
    view.times = numbers.times.data();
    view.values = numbers.values.data();
    view.n = numbers.size();
    view.histograms = nullptr;
    view.starts = nullptr;
    number_windows(id_, extension_, view, parameters_, out_, scratch_, remarker_);
    for_windows(view_, [&](std::size_t low, std::size_t high, std::size_t) {
      const std::size_t histograms = histograms_in(low, high);
      if (told_of_mix_ || histograms == 0 || histograms == high - low) return;
      told_of_mix_ = true;
      remarker_.info(remarks::ignored_in_mixed_range(remarker_.metric()));
    });
  }

  const FunctionId id_;
  const std::optional<Extension>& extension_;
  const WindowView& view_;
  const Parameters& parameters_;
  const std::span<double> out_;
  Scratch& scratch_;
  const Remarker& remarker_;
  std::vector<std::size_t> before_;  // histograms among the samples before each
  std::optional<HistogramTraits> traits_;
  bool told_of_mix_ = false;
};

}  // namespace

void mixed_windows(FunctionId id, const std::optional<Extension>& extension, const WindowView& view,
                   const Parameters& parameters, std::span<double> out, Scratch& scratch, const Remarker& remarker) {
  MixedWindows(id, extension, view, parameters, out, scratch, remarker).run();
}

}  // namespace qd::query::promql
