// A source whose every value is a function of the value of another source at the same step.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "query/promql/source.h"

namespace qd::query::promql {

// Changes the histograms of a row, or turns them into numbers in `out`; true when any value is left of them. Called
// from many threads.
using MapHistograms = std::function<bool(HistogramColumn& histograms, std::span<double> out)>;

template <typename F>
class MapSource final : public Source {
 public:
  MapSource(SourcePtr inner, bool drops_name, F f, MapHistograms on_histograms)
      : inner_(std::move(inner)), drops_name_(drops_name), f_(std::move(f)), on_histograms_(std::move(on_histograms)) {}

  std::size_t size() const override { return inner_->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return inner_->labels(i); }
  bool drops_name(std::size_t i) const override { return drops_name_ || inner_->drops_name(i); }
  bool unique_without_name() const override { return inner_->unique_without_name(); }
  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    QD_ASSIGN(const bool had, inner_->compute(i, out, scratch));
    if (!had) return false;
    bool any = false;
    for (std::size_t k = 0; k < out.size(); ++k) {
      if (is_absent(out[k])) continue;
      out[k] = f_(out[k], k);
      any |= !is_absent(out[k]);
    }
    if (!scratch.histograms.empty()) {
      if (on_histograms_) {
        any |= on_histograms_(scratch.histograms, out);
      } else {
        scratch.histograms.clear();
      }
    }
    return any;
  }

 private:
  const SourcePtr inner_;
  const bool drops_name_;
  const F f_;
  const MapHistograms on_histograms_;
};

// f(value, step) gives the new value, or kAbsent to leave the sample out. Histograms are left out unless
// `on_histograms` says otherwise.
template <typename F>
base::Result<SourcePtr> map_source(Context& context, SourcePtr inner, const Grid& grid, bool drops_name, F f,
                                   MapHistograms on_histograms = {}) {
  SourcePtr source =
      std::make_unique<MapSource<F>>(std::move(inner), drops_name, std::move(f), std::move(on_histograms));
  if (!drops_name) return source;
  return settle_names(context, std::move(source), grid, false);
}

}  // namespace qd::query::promql
