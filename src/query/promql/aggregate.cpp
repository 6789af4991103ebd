#include "query/promql/aggregate.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "query/promql/histogram_fold.h"
#include "query/promql/kahan.h"
#include "query/promql/kernels.h"
#include "query/promql/remarks.h"

namespace qd::query::promql {

namespace {

// Up to this many groups each block of series folds into rows of its own, which are added up in block order at the end:
// the same result whatever the number of threads. With more groups, whole groups are dealt out instead.
constexpr std::size_t kGroupsAddedUp = 16;
constexpr std::size_t kFoldBlocksMax = 16;
constexpr std::uint64_t kSeriesNs = 500;
constexpr std::uint64_t kStepNs = 6;

// A group's row while series are folded into it.
struct Fold {
  RowValues count;
  RowValues a;  // sum, least, largest, mean
  RowValues b;  // compensation of the sum, sum of squared differences from the mean
  bool drop_name = false;
  HistogramFold histograms;  // of sum and avg; the others count them

  explicit Fold(std::size_t steps) : count(steps, 0), a(steps, 0), b(steps, 0) {}
};

void fold_extreme(Fold& fold, const double* row, std::size_t steps, double sign) {
  for (std::size_t k = 0; k < steps; ++k) {
    const double value = row[k];
    if (is_absent(value)) continue;
    if (fold.count[k] == 0 || fold.a[k] * sign < value * sign || std::isnan(fold.a[k])) fold.a[k] = value;
    fold.count[k] += 1;
  }
}

void fold_count(Fold& fold, const double* row, std::size_t steps) {
  for (std::size_t k = 0; k < steps; ++k) fold.count[k] += is_absent(row[k]) ? 0 : 1;
}

// Welford's running variance.
void fold_variance(Fold& fold, const double* row, std::size_t steps) {
  for (std::size_t k = 0; k < steps; ++k) {
    const double value = row[k];
    if (is_absent(value)) continue;
    fold.count[k] += 1;
    const double delta = value - fold.a[k];
    fold.a[k] += delta / fold.count[k];
    fold.b[k] += delta * (value - fold.a[k]);
    // One infinite or missing number has no variance, although there is no second one to differ from.
    if (!std::isfinite(value)) fold.b[k] = std::numeric_limits<double>::quiet_NaN();
  }
}

bool fold_row(AggregateOp op, Fold& fold, const double* row, std::size_t steps) {
  switch (op) {
    case AggregateOp::kSum:
    case AggregateOp::kAvg:
      return kernels().fold_sum(row, steps, fold.count.data(), fold.a.data(), fold.b.data());
    case AggregateOp::kMin:
      fold_extreme(fold, row, steps, -1);
      return false;
    case AggregateOp::kMax:
      fold_extreme(fold, row, steps, 1);
      return false;
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      fold_variance(fold, row, steps);
      return false;
    default:
      fold_count(fold, row, steps);
      return false;
  }
}

bool add_up(AggregateOp op, Fold& into, const Fold& from, std::size_t steps) {
  bool overflow = false;
  for (std::size_t k = 0; k < steps; ++k) {
    if (from.count[k] == 0) continue;
    switch (op) {
      case AggregateOp::kSum:
      case AggregateOp::kAvg: {
        KahanSum total{into.a[k], into.b[k]};
        const bool finite = std::isfinite(total.sum) && std::isfinite(from.a[k]);
        total.add(from.a[k]);
        if (!std::isinf(total.sum)) total.compensation += from.b[k];
        overflow |= finite && std::isinf(total.sum);
        into.a[k] = total.sum;
        into.b[k] = total.compensation;
        break;
      }
      case AggregateOp::kMin:
      case AggregateOp::kMax: {
        const double sign = op == AggregateOp::kMax ? 1 : -1;
        if (into.count[k] == 0 || into.a[k] * sign < from.a[k] * sign || std::isnan(into.a[k])) into.a[k] = from.a[k];
        break;
      }
      case AggregateOp::kStddev:
      case AggregateOp::kStdvar: {
        // Chan, Golub and LeVeque: variances of two sets make that of their union.
        const double n = into.count[k] + from.count[k];
        const double delta = from.a[k] - into.a[k];
        into.b[k] += from.b[k] + (into.count[k] == 0 ? 0 : delta * delta * into.count[k] * from.count[k] / n);
        into.a[k] = into.count[k] == 0 ? from.a[k] : into.a[k] + delta * from.count[k] / n;
        break;
      }
      default:
        break;
    }
    into.count[k] += from.count[k];
  }
  into.drop_name = into.drop_name || from.drop_name;
  return overflow;
}

double finished(AggregateOp op, const Fold& fold, std::size_t k) {
  const double count = fold.count[k];
  if (count == 0) return kAbsent;
  switch (op) {
    case AggregateOp::kSum:
      return std::isinf(fold.a[k]) ? fold.a[k] : fold.a[k] + fold.b[k];
    case AggregateOp::kAvg:
      return fold.a[k] / count + fold.b[k] / count;
    case AggregateOp::kMin:
    case AggregateOp::kMax:
      return fold.a[k];
    case AggregateOp::kStddev:
      return std::sqrt(fold.b[k] / count);
    case AggregateOp::kStdvar:
      return fold.b[k] / count;
    case AggregateOp::kGroup:
      return 1;
    default:
      return count;
  }
}

class Folder {
 public:
  Folder(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid)
      : context_(context),
        op_(expr.op),
        span_(expr.inner == nullptr ? Span() : expr.inner->span),
        source_(source),
        steps_(grid.count),
        grouping_(group_series(context, expr, source)),
        groups_(grouping_.labels.size()) {}

  base::Result<Rows> run() {
    if (source_.size() == 0) return Rows{};
    QD_TRY(groups_ <= kGroupsAddedUp ? fold_blocks() : fold_whole_groups());
    if (op_ == AggregateOp::kAvg && (overflow_.load() || histograms_overflowed())) QD_TRY(running_means());
    Rows out;
    for (std::size_t g = 0; g < groups_; ++g) {
      Row row{std::move(grouping_.labels[g]), folds_[g].drop_name, RowValues(steps_)};
      bool any = false;
      for (std::size_t k = 0; k < steps_; ++k) {
        if (folds_[g].histograms.has(k)) {
          finish_histogram(g, k, row);
        } else {
          row.values[k] = finished(op_, folds_[g], k);
        }
        any = any || row.has(k);
      }
      if (any) out.rows.push_back(std::move(row));
    }
    out.charge = std::move(charge_);
    return out;
  }

 private:
  base::Status fold_series(std::size_t i, Fold& fold, Scratch& scratch, std::vector<double>& row) {
    QD_TRY(context_.check());
    row.resize(steps_);
    QD_ASSIGN(const bool any, source_.compute(i, row, scratch));
    if (!any) return {};
    if (fold_row(op_, fold, row.data(), steps_)) overflow_.store(true);
    if (!scratch.histograms.empty()) QD_TRY(fold_histograms(i, fold, scratch.histograms));
    if (source_.drops_name(i) && context_.options().delayed_name_removal) fold.drop_name = true;
    return {};
  }

  base::Status fold_histograms(std::size_t i, Fold& fold, const HistogramColumn& column) {
    if (op_ == AggregateOp::kSum || op_ == AggregateOp::kAvg) {
      const bool nameless = source_.drops_name(i) && !context_.options().delayed_name_removal;
      return fold.histograms.add(context_, column, nameless ? std::string_view() : source_.labels(i).name(), span_);
    }
    const bool counts = op_ == AggregateOp::kCount || op_ == AggregateOp::kGroup;
    for (std::size_t k = 0; k < steps_; ++k) {
      if (column[k] == nullptr) continue;
      if (!counts) {
        context_.annotations().info(remarks::ignored_in_aggregation(op_), span_);
        return {};
      }
      fold.count[k] += 1;
    }
    return {};
  }

  // Numbers and histograms do not add up.
  void finish_histogram(std::size_t g, std::size_t k, Row& row) {
    const Fold& fold = folds_[g];
    row.values[k] = kAbsent;
    if (fold.count[k] > 0) {
      context_.annotations().warn(remarks::mixed_floats_and_histograms_in_aggregation(), span_);
      return;
    }
    const bool average = op_ == AggregateOp::kAvg;
    model::HistogramPtr result =
        fold.histograms.divided(context_, k, average ? static_cast<double>(fold.histograms.size(k)) : 1, span_);
    if (result != nullptr && average && !means_.empty()) result = means_[g].value(k);
    if (result == nullptr) return;
    if (row.histograms.empty()) row.histograms.resize(steps_);
    row.histograms[k] = std::move(result);
  }

  bool histograms_overflowed() const {
    return std::any_of(folds_.begin(), folds_.end(), [](const Fold& fold) { return fold.histograms.overflowed(); });
  }

  base::Status charge(std::size_t rows) {
    QD_ASSIGN(Charge charge, context_.charge(rows * 3 * steps_));
    charge_.absorb(std::move(charge));
    return {};
  }

  base::Status fold_blocks() {
    const std::size_t blocks = std::min(kFoldBlocksMax, Context::block_count(source_.size()));
    QD_TRY(charge(blocks * groups_));
    std::vector<std::vector<Fold>> partial(blocks);
    const std::size_t n = source_.size();
    const auto fold = [&](std::size_t block) -> base::Status {
      std::vector<Fold>& folds = partial[block];
      folds.assign(groups_, Fold(steps_));
      Scratch scratch(context_);
      std::vector<double> row;
      for (std::size_t i = n * block / blocks; i < n * (block + 1) / blocks; ++i) {
        QD_TRY(fold_series(i, folds[grouping_.group_of[i]], scratch, row));
      }
      return {};
    };
    QD_TRY(context_.for_items(blocks, (kSeriesNs + kStepNs * steps_) * (n / blocks + 1), fold));
    folds_ = std::move(partial[0]);
    for (std::size_t block = 1; block < blocks; ++block) {
      for (std::size_t g = 0; g < groups_; ++g) {
        if (add_up(op_, folds_[g], partial[block][g], steps_)) overflow_.store(true);
        folds_[g].histograms.absorb(context_, std::move(partial[block][g].histograms), span_);
      }
    }
    return {};
  }

  base::Status fold_whole_groups() {
    QD_TRY(charge(groups_));
    folds_.assign(groups_, Fold(steps_));
    const std::vector<std::size_t> first = sort_by_group();
    const std::uint64_t cost = (kSeriesNs + kStepNs * steps_) * (source_.size() / groups_ + 1);
    return context_.for_blocks(groups_, cost, [&](std::size_t, std::size_t begin, std::size_t end) -> base::Status {
      Scratch scratch(context_);
      std::vector<double> row;
      for (std::size_t g = begin; g < end; ++g) {
        for (std::size_t at = first[g]; at < first[g + 1]; ++at) {
          QD_TRY(fold_series(by_group_[at], folds_[g], scratch, row));
        }
      }
      return {};
    });
  }

  // Series of group g, in their order: by_group_[first[g]] up to by_group_[first[g + 1]].
  std::vector<std::size_t> sort_by_group() {
    std::vector<std::size_t> first(groups_ + 1, 0);
    for (const std::uint32_t g : grouping_.group_of) ++first[g + 1];
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<std::size_t> next = first;
    by_group_.resize(source_.size());
    for (std::size_t i = 0; i < source_.size(); ++i) by_group_[next[grouping_.group_of[i]]++] = i;
    return first;
  }

  // Once more for averages whose sum passed the largest double.
  base::Status running_means() {
    QD_TRY(charge(groups_ * 2));
    std::vector<std::vector<KahanMean>> means(groups_, std::vector<KahanMean>(steps_));
    means_.resize(groups_);
    Scratch scratch(context_);
    std::vector<double> row(steps_);
    for (std::size_t i = 0; i < source_.size(); ++i) {
      QD_TRY(context_.check());
      QD_ASSIGN(const bool any, source_.compute(i, row, scratch));
      if (!any) continue;
      if (!scratch.histograms.empty()) means_[grouping_.group_of[i]].add(scratch.histograms);
      std::vector<KahanMean>& group = means[grouping_.group_of[i]];
      for (std::size_t k = 0; k < steps_; ++k) {
        if (!is_absent(row[k])) group[k].add(row[k]);
      }
    }
    for (std::size_t g = 0; g < groups_; ++g) {
      for (std::size_t k = 0; k < steps_; ++k) {
        // finished() divides by the count again.
        if (folds_[g].count[k] == 0) continue;
        folds_[g].a[k] = means[g][k].value();
        folds_[g].b[k] = 0;
        folds_[g].count[k] = 1;
      }
    }
    return {};
  }

  Context& context_;
  const AggregateOp op_;
  const Span span_;  // of what is aggregated
  const Source& source_;
  const std::size_t steps_;
  Grouping grouping_;
  const std::size_t groups_;
  std::vector<Fold> folds_;
  std::vector<std::size_t> by_group_;
  std::atomic<bool> overflow_{false};
  std::vector<HistogramMeans> means_;  // one a group, if a sum of histograms overflowed
  Charge charge_;
};

}  // namespace

base::Result<Rows> fold_groups(Context& context, const AggregateExpr& expr, const Source& source, const Grid& grid) {
  return Folder(context, expr, source, grid).run();
}

}  // namespace qd::query::promql
