#include "query/promql/selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "query/promql/histogram_rates.h"
#include "query/promql/kernels.h"
#include "query/promql/lexer.h"
#include "query/promql/remarks.h"

namespace qd::query::promql {

namespace {

using model::TimestampMs;
using store::metrics::Columns;
using store::metrics::SeriesSet;

// Times near the ends of the int64 range come from @ and offset alone; no sample is there.
constexpr TimestampMs kFixedTimeMax = std::numeric_limits<TimestampMs>::max() / 4;

bool names_one_metric(const VectorSelector& selector) {
  return std::any_of(selector.matchers.begin(), selector.matchers.end(), [](const model::Matcher& m) {
    return m.kind() == model::Matcher::Kind::kEqual && m.name() == model::kMetricName;
  });
}

base::Result<std::unique_ptr<SeriesSet>> select(Context& context, const VectorSelector& selector, TimestampMs from_ms,
                                                TimestampMs to_ms) {
  QD_TRY(context.check());
  QD_ASSIGN(auto set, context.querier().select(selector.matchers, from_ms, to_ms, context.options().series_limit));
  context.count_series(set->size());
  return set;
}

base::Status read_columns(Context& context, const SeriesSet& set, std::size_t i, TimestampMs from_ms, TimestampMs to_ms,
                          Columns& out, Scratch& scratch) {
  QD_TRY(set.read(i, from_ms, to_ms, out));
  context.count_samples_read(out.size());
  return scratch.charge_columns();
}

void drop_stale(Columns& columns) {
  const auto is_stale = [](double v) { return is_absent(v); };
  // Most series have none.
  if (!kernels().any_absent(columns.values.data(), columns.size())) return;
  const auto first = std::find_if(columns.values.begin(), columns.values.end(), is_stale);
  auto kept = static_cast<std::size_t>(first - columns.values.begin());
  for (std::size_t i = kept; i < columns.size(); ++i) {
    if (is_stale(columns.values[i])) continue;
    columns.times[kept] = columns.times[i];
    columns.values[kept] = columns.values[i];
    if (!columns.histograms.empty()) columns.histograms[kept] = std::move(columns.histograms[i]);
    if (!columns.start_times.empty()) columns.start_times[kept] = columns.start_times[i];
    ++kept;
  }
  columns.times.resize(kept);
  columns.values.resize(kept);
  if (!columns.histograms.empty()) columns.histograms.resize(kept);
  if (!columns.start_times.empty()) columns.start_times.resize(kept);
}

class InstantSource : public Source {
 public:
  InstantSource(Context& context, std::unique_ptr<SeriesSet> set, const Grid& grid, const Moment& moment,
                bool one_metric)
      : context_(context),
        set_(std::move(set)),
        grid_(grid),
        moment_(moment),
        lookback_ms_(context.options().lookback_ms),
        one_metric_(one_metric) {}

  std::size_t size() const override { return set_->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return set_->labels(i); }
  bool drops_name(std::size_t) const override { return false; }
  bool unique_without_name() const override { return one_metric_; }

 protected:
  Context& context_;
  const std::unique_ptr<SeriesSet> set_;
  const Grid grid_;
  const Moment moment_;
  const std::int64_t lookback_ms_;
  const bool one_metric_;
};

class LatestSource final : public InstantSource {
 public:
  LatestSource(Context& context, std::unique_ptr<SeriesSet> set, const Grid& grid, const Moment& moment,
               bool one_metric, Reading reading)
      : InstantSource(context, std::move(set), grid, moment, one_metric), reading_(reading) {}

  bool drops_name(std::size_t) const override { return reading_ != Reading::kValue; }

  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    Columns& columns = scratch.columns;
    QD_TRY(read_columns(context_, *set_, i, moment_.first(grid_) - lookback_ms_ + 1, moment_.last(grid_), columns,
                        scratch));
    const std::size_t n = columns.size();
    const TimestampMs* times = columns.times.data();
    const double* values = columns.values.data();
    const bool has_histograms = !columns.histograms.empty() && reading_ == Reading::kValue;
    scratch.histograms.clear();
    if (reading_ == Reading::kStartTime && columns.start_times.empty()) return false;
    std::size_t next = 0;
    std::size_t stride = 0;
    bool any = false;
    for (std::size_t k = 0; k < grid_.count; ++k) {
      const TimestampMs now = moment_.at(grid_, k);
      const std::size_t before = next;
      next = first_after(times, next, n, now, stride);
      stride = next - before;
      if (next == 0 || times[next - 1] <= now - lookback_ms_ || is_absent(values[next - 1])) {
        out[k] = kAbsent;
        continue;
      }
      any = true;
      if (has_histograms && columns.histograms[next - 1] != nullptr) [[unlikely]] {
        if (scratch.histograms.empty()) scratch.histograms.resize(grid_.count);
        scratch.histograms[k] = columns.histograms[next - 1];
        out[k] = kAbsent;
        continue;
      }
      out[k] = reading_ == Reading::kValue ? values[next - 1] : seconds_of(columns, next - 1);
    }
    return any;
  }

 private:
  double seconds_of(const Columns& columns, std::size_t i) const {
    return static_cast<double>(reading_ == Reading::kTime ? columns.times[i] : columns.start_times[i]) / 1000;
  }

  const Reading reading_;
};

// foo smoothed: on the line between the sample before the step and the one after it.
class SmoothedSource final : public InstantSource {
 public:
  SmoothedSource(Context& context, std::unique_ptr<SeriesSet> set, const Grid& grid, const Moment& moment,
                 bool one_metric, Span span)
      : InstantSource(context, std::move(set), grid, moment, one_metric), span_(span) {}

  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    Columns& columns = scratch.columns;
    QD_TRY(read_columns(context_, *set_, i, moment_.first(grid_) - lookback_ms_ + 1, moment_.last(grid_) + lookback_ms_,
                        columns, scratch));
    drop_stale(columns);
    const std::size_t n = columns.size();
    scratch.histograms.clear();
    std::size_t next = 0;
    bool any = false;
    for (std::size_t k = 0; k < grid_.count; ++k) {
      const TimestampMs now = moment_.at(grid_, k);
      while (next < n && columns.times[next] <= now) ++next;
      const bool before = next > 0 && columns.times[next - 1] > now - lookback_ms_;
      const bool after = next < n && columns.times[next] <= now + lookback_ms_;
      if (!before) {
        out[k] = kAbsent;
        continue;
      }
      if (!columns.histograms.empty()) {
        if (const auto histogram = at_histogram(columns, next, now, after, labels(i))) {
          if (scratch.histograms.empty()) scratch.histograms.resize(grid_.count);
          scratch.histograms[k] = *histogram;
          any = any || *histogram != nullptr;
          out[k] = kAbsent;
          continue;
        }
      }
      any = true;
      const double left = columns.values[next - 1];
      if (!after || columns.times[next - 1] == now) {
        out[k] = left;
        continue;
      }
      const double right = columns.values[next];
      out[k] = left + (right - left) * static_cast<double>(now - columns.times[next - 1]) /
                          static_cast<double>(columns.times[next] - columns.times[next - 1]);
    }
    return any;
  }

 private:
  // What the step between samples `next` - 1 and `next` has where histograms are in it; null for nothing. Without a
  // histogram in the window, no answer: that is for the numbers.
  std::optional<model::HistogramPtr> at_histogram(const Columns& columns, std::size_t next, TimestampMs now, bool after,
                                                  const model::LabelSet& series) const {
    bool numbers = false;
    bool histograms = false;
    const auto look = [&](std::size_t i) { (columns.histograms[i] != nullptr ? histograms : numbers) = true; };
    for (std::size_t i = next; i > 0 && columns.times[i - 1] > now - lookback_ms_; --i) look(i - 1);
    for (std::size_t i = next; i < columns.size() && columns.times[i] <= now + lookback_ms_; ++i) look(i);
    if (!histograms) return std::nullopt;
    if (numbers) {
      context_.annotations().warn(remarks::mixed_floats_and_histograms(series.name()), span_);
      return nullptr;
    }
    const model::HistogramPtr& left = columns.histograms[next - 1];
    if (!after || columns.times[next - 1] == now) return left;
    const model::HistogramPtr& right = columns.histograms[next];
    return interpolate_histograms(
        {context_, span_, &series}, {left, columns.times[next - 1], right, columns.times[next]}, now,
        left->reset != model::CounterReset::kGauge && right->reset != model::CounterReset::kGauge);
  }

  const Span span_;
};

class SelectedWindows final : public WindowInput {
 public:
  SelectedWindows(Context& context, std::unique_ptr<SeriesSet> set, TimestampMs from_ms, TimestampMs to_ms,
                  bool one_metric)
      : context_(context), set_(std::move(set)), from_ms_(from_ms), to_ms_(to_ms), one_metric_(one_metric) {}

  std::size_t size() const override { return set_->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return set_->labels(i); }
  bool drops_name(std::size_t) const override { return false; }
  bool unique_without_name() const override { return one_metric_; }
  base::Status read(std::size_t i, Columns& out, Scratch& scratch) const override {
    QD_TRY(read_columns(context_, *set_, i, from_ms_, to_ms_, out, scratch));
    drop_stale(out);
    return {};
  }

 private:
  Context& context_;
  const std::unique_ptr<SeriesSet> set_;
  const TimestampMs from_ms_;
  const TimestampMs to_ms_;
  const bool one_metric_;
};

// Steps pass over samples and come to some twice, so what a sample knew of the one before it is not so of the steps.
model::HistogramPtr of_unknown_reset(model::HistogramPtr histogram) {
  if (histogram == nullptr || histogram->reset == model::CounterReset::kUnknown ||
      histogram->reset == model::CounterReset::kGauge) {
    return histogram;
  }
  auto out = std::make_shared<model::Histogram>(*histogram);
  out->reset = model::CounterReset::kUnknown;
  return out;
}

class SubqueryWindows final : public WindowInput {
 public:
  SubqueryWindows(SourcePtr inner, const Grid& grid) : inner_(std::move(inner)), grid_(grid) {}

  std::size_t size() const override { return inner_->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return inner_->labels(i); }
  bool drops_name(std::size_t i) const override { return inner_->drops_name(i); }
  bool unique_without_name() const override { return inner_->unique_without_name(); }
  base::Status read(std::size_t i, Columns& out, Scratch& scratch) const override {
    out.clear();
    if (grid_.count == 0) return {};
    Scratch& inner = scratch.inner();
    inner.row.resize(grid_.count);
    QD_ASSIGN(const bool any, inner_->compute(i, inner.row, inner));
    if (!any) return {};
    for (std::size_t k = 0; k < grid_.count; ++k) {
      const bool histogram = has_histogram(inner.histograms, k);
      if (is_absent(inner.row[k]) && !histogram) continue;
      out.times.push_back(grid_.at(k));
      out.values.push_back(histogram ? std::numeric_limits<double>::quiet_NaN() : inner.row[k]);
      if (!inner.histograms.empty()) out.histograms.push_back(of_unknown_reset(inner.histograms[k]));
    }
    return scratch.charge_columns();
  }

 private:
  const SourcePtr inner_;
  const Grid grid_;
};

}  // namespace

base::Result<std::int64_t> resolve(const Context& context, const Duration& duration, bool positive) {
  if (duration.expr == nullptr) return duration.ms;
  const double seconds = duration.expr->evaluate(context.durations());
  if (!std::isfinite(seconds) || std::fabs(seconds) > 9.2e9) {
    return base::fail(parse_error(context.text(), duration.span.begin, "duration out of range"));
  }
  const auto ms = static_cast<std::int64_t>(std::round(seconds * 1000));
  if (positive && ms <= 0) {
    return base::fail(parse_error(context.text(), duration.span.begin, "duration must be greater than 0"));
  }
  return ms;
}

base::Result<Moment> resolve(const Context& context, const AtModifier& at, const Duration& offset) {
  Moment moment;
  QD_ASSIGN(moment.offset_ms, resolve(context, offset, false));
  switch (at.kind) {
    case AtModifier::Kind::kNone:
      break;
    case AtModifier::Kind::kTime:
      moment.fixed_ms = std::clamp(at.time_ms, -kFixedTimeMax, kFixedTimeMax);
      break;
    case AtModifier::Kind::kStart:
      moment.fixed_ms = context.start_ms();
      break;
    case AtModifier::Kind::kEnd:
      moment.fixed_ms = context.end_ms();
      break;
  }
  return moment;
}

base::Result<SourcePtr> select_instant(Context& context, const VectorSelector& selector, const Grid& grid,
                                       Reading reading) {
  QD_ASSIGN(const Moment moment, resolve(context, selector.at, selector.offset));
  const std::int64_t lookback = context.options().lookback_ms;
  const bool smoothed = selector.smoothed && reading == Reading::kValue;
  QD_ASSIGN(auto set, select(context, selector, moment.first(grid) - lookback + 1,
                             moment.last(grid) + (smoothed ? lookback : 0)));
  const bool one_metric = names_one_metric(selector);
  if (smoothed) {
    return std::make_unique<SmoothedSource>(context, std::move(set), grid, moment, one_metric, selector.span);
  }
  return std::make_unique<LatestSource>(context, std::move(set), grid, moment, one_metric, reading);
}

base::Result<Windows> select_windows(Context& context, const MatrixSelector& selector, const Grid& grid) {
  const VectorSelector& series = *selector.selector;
  Windows windows;
  QD_ASSIGN(windows.moment, resolve(context, series.at, series.offset));
  QD_ASSIGN(windows.range_ms, resolve(context, selector.range, true));
  windows.anchored = series.anchored;
  windows.smoothed = series.smoothed;
  // A window is open on the left. anchored looks for a sample before it, smoothed for one on either side.
  const std::int64_t lookback = context.options().lookback_ms;
  TimestampMs from = windows.moment.first(grid) - windows.range_ms + 1;
  TimestampMs to = windows.moment.last(grid);
  if (series.anchored || series.smoothed) from -= lookback;
  if (series.smoothed) to += lookback;
  QD_ASSIGN(auto set, select(context, series, from, to));
  windows.input = std::make_unique<SelectedWindows>(context, std::move(set), from, to, names_one_metric(series));
  return windows;
}

std::unique_ptr<WindowInput> subquery_input(SourcePtr inner, const Grid& inner_grid) {
  return std::make_unique<SubqueryWindows>(std::move(inner), inner_grid);
}

}  // namespace qd::query::promql
