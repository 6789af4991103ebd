#include "query/promql/window_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace qd::query::promql {

namespace {

class WindowSource final : public Source {
 public:
  WindowSource(Context& context, FunctionId id, Windows windows, const Grid& grid, Parameters parameters, Span span)
      : context_(context),
        id_(id),
        windows_(std::move(windows)),
        grid_(grid),
        parameters_(std::move(parameters)),
        span_(span) {}

  std::size_t size() const override { return windows_.input->size(); }
  const model::LabelSet& labels(std::size_t i) const override { return windows_.input->labels(i); }
  bool drops_name(std::size_t i) const override { return !keeps_name(id_) || windows_.input->drops_name(i); }
  bool unique_without_name() const override { return windows_.input->unique_without_name(); }

  base::Result<bool> compute(std::size_t i, std::span<double> out, Scratch& scratch) const override {
    store::metrics::Columns& columns = scratch.columns;
    QD_TRY(windows_.input->read(i, columns, scratch));
    scratch.histograms.clear();
    if (columns.size() == 0) return false;
    // They sort a window, which may hold all of it.
    if (id_ == FunctionId::kQuantileOverTime || id_ == FunctionId::kMadOverTime)
      QD_TRY(scratch.charge_columns(columns.size()));
    const WindowView view{.times = columns.times.data(),
                          .values = columns.values.data(),
                          .n = columns.size(),
                          .grid = grid_,
                          .moment = windows_.moment,
                          .range_ms = windows_.range_ms,
                          .histograms = columns.histograms.empty() ? nullptr : columns.histograms.data(),
                          .starts = columns.start_times.empty() ? nullptr : columns.start_times.data()};
    std::optional<Extension> extension;
    if (windows_.anchored || windows_.smoothed) {
      extension = Extension{windows_.smoothed, context_.options().lookback_ms};
    }
    const bool nameless = windows_.input->drops_name(i) && !context_.options().delayed_name_removal;
    const Remarker remarker{context_, span_, nameless ? nullptr : &labels(i)};
    if (view.histograms == nullptr) {
      number_windows(id_, extension, view, parameters_, out, scratch, remarker);
    } else {
      mixed_windows(id_, extension, view, parameters_, out, scratch, remarker);
    }
    const bool any = std::any_of(out.begin(), out.end(), [](double v) { return !is_absent(v); });
    if (any && (id_ == FunctionId::kRate || id_ == FunctionId::kIncrease)) check_counter(labels(i));
    return any || std::any_of(scratch.histograms.begin(), scratch.histograms.end(),
                              [](const model::HistogramPtr& h) { return h != nullptr; });
  }

 private:
  void check_counter(const model::LabelSet& labels) const {
    const std::string_view name = labels.name();
    if (name.empty()) return;
    constexpr std::array<std::string_view, 4> kSuffixes = {"_total", "_sum", "_count", "_bucket"};
    for (const std::string_view suffix : kSuffixes) {
      if (name.ends_with(suffix)) return;
    }
    const std::string_view type = labels.get("__type__");
    if (type == "counter" || type == "histogram") return;
    context_.annotations().info(fmt::format("metric might not be a counter, name does not end in "
                                            "_total/_sum/_count/_bucket: \"{}\"",
                                            name),
                                span_);
  }

  Context& context_;
  const FunctionId id_;
  const Windows windows_;
  const Grid grid_;
  const Parameters parameters_;
  const Span span_;
};

base::Status check_factor(const RowValues& factors, std::string_view what, std::string_view symbol) {
  for (const double factor : factors) {
    if (factor > 0 && factor < 1) continue;
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("invalid {} factor. Expected: 0 < {} < 1, got: {}", what, symbol, factor));
  }
  return {};
}

}  // namespace

void number_windows(FunctionId id, const std::optional<Extension>& extension, const WindowView& view,
                    const Parameters& parameters, std::span<double> out, Scratch& scratch, const Remarker& remarker) {
  if (extension) {
    extended_windows(id, *extension, view, out);
    return;
  }
  switch (id) {
    case FunctionId::kRate:
    case FunctionId::kIncrease:
    case FunctionId::kDelta:
    case FunctionId::kIrate:
    case FunctionId::kIdelta:
    case FunctionId::kChanges:
    case FunctionId::kResets:
      rate_windows(id, view, out, remarker);
      return;
    case FunctionId::kDeriv:
    case FunctionId::kPredictLinear:
    case FunctionId::kDoubleExponentialSmoothing:
      trend_windows(id, view, parameters, out);
      return;
    default:
      over_time_windows(id, view, parameters, out, scratch);
      return;
  }
}

base::Result<SourcePtr> make_window_source(Context& context, FunctionId id, Windows windows, const Grid& grid,
                                           Parameters parameters, Span span) {
  if (id == FunctionId::kDoubleExponentialSmoothing && windows.input->size() > 0) {
    QD_TRY(check_factor(parameters[0], "smoothing", "sf"));
    QD_TRY(check_factor(parameters[1], "trend", "tf"));
  }
  if (id == FunctionId::kQuantileOverTime) {
    for (const double q : parameters[0]) {
      if (std::isnan(q) || q < 0 || q > 1) {
        context.annotations().warn(fmt::format("quantile value should be between 0 and 1, got {}",
                                               std::isnan(q) ? "NaN" : fmt::format("{:g}", q)),
                                   span);
      }
    }
  }
  SourcePtr source = std::make_unique<WindowSource>(context, id, std::move(windows), grid, std::move(parameters), span);
  if (keeps_name(id)) return source;
  return settle_names(context, std::move(source), grid, true);
}

}  // namespace qd::query::promql
