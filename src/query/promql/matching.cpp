#include "query/promql/matching.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "query/promql/elementwise.h"
#include "query/promql/histogram_operators.h"

namespace qd::query::promql {

namespace {

using model::LabelSet;
using Cardinality = VectorMatching::Cardinality;

// What two series must have in common.
LabelSet signature(const LabelSet& labels, const VectorMatching& matching) {
  if (matching.on) {
    model::LabelBuilder builder;
    for (const std::string& name : matching.labels) builder.set(name, labels.get(name));
    return builder.build();
  }
  model::LabelBuilder builder(labels);
  for (const std::string& name : matching.labels) builder.remove(name);
  builder.remove(model::kMetricName);
  return builder.build();
}

using Present = std::vector<bool>;

void mark(Present& present, const Row& row) {
  for (std::size_t k = 0; k < row.values.size(); ++k) {
    if (row.has(k)) present[k] = true;
  }
}

bool any_value(const Row& row) {
  return std::any_of(row.values.begin(), row.values.end(), [](double v) { return !is_absent(v); }) ||
         std::any_of(row.histograms.begin(), row.histograms.end(), [](const auto& h) { return h != nullptr; });
}

using PresentBySignature = std::unordered_map<LabelSet, Present>;

PresentBySignature present_by_signature(const Rows& rows, const VectorMatching& matching, std::size_t steps) {
  PresentBySignature out;
  for (const Row& row : rows.rows) {
    mark(out.try_emplace(signature(row.labels, matching), Present(steps)).first->second, row);
  }
  return out;
}

// Keeps the values of `rows` where the other side has (`wanted`) or has not a series of the same signature.
void keep_where(Rows& rows, const VectorMatching& matching, const PresentBySignature& other, bool wanted) {
  for (Row& row : rows.rows) {
    const auto found = other.find(signature(row.labels, matching));
    for (std::size_t k = 0; k < row.values.size(); ++k) {
      const bool there = found != other.end() && found->second[k];
      if (there != wanted) row.drop(k);
    }
  }
  std::erase_if(rows.rows, [](const Row& row) { return !any_value(row); });
}

// The series of one signature on both sides. `many` may have several matches a step, `one` must not.
struct Group {
  LabelSet signature;
  std::vector<const Row*> many;
  std::vector<const Row*> one;
};

class RowMatcher {
 public:
  RowMatcher(Context& context, const BinaryExpr& expr, const Rows& left, const Rows& right, const Grid& grid)
      : context_(context),
        expr_(expr),
        operator_(context, expr.op, expr.return_bool, expr.span),
        matching_(expr.matching),
        swapped_(matching_.cardinality == Cardinality::kOneToMany),
        many_(swapped_ ? right : left),
        one_(swapped_ ? left : right),
        fill_many_(swapped_ ? matching_.fill_right : matching_.fill_left),
        fill_one_(swapped_ ? matching_.fill_left : matching_.fill_right),
        steps_(grid.count),
        many_any_(steps_) {}

  base::Result<Rows> run() {
    for (const Row& row : many_.rows) mark(many_any_, row);
    for (const Row& row : one_.rows) group(row).one.push_back(&row);
    for (const Row& row : many_.rows) group(row).many.push_back(&row);
    for (const Group& g : groups_) {
      QD_TRY(context_.check());
      QD_TRY(match(g));
    }
    QD_TRY(join_same_labels(out_, false));
    return std::move(out_);
  }

 private:
  Group& group(const Row& row) {
    LabelSet key = signature(row.labels, matching_);
    const auto [found, fresh] = index_.try_emplace(key, groups_.size());
    if (fresh) groups_.push_back({std::move(key), {}, {}});
    return groups_[found->second];
  }

  base::Status match(const Group& g) {
    QD_TRY(check_one_side(g));
    Present matched(steps_);
    std::unordered_map<LabelSet, Present> results;
    const auto pair = [&](const Row* many, const Row* one) { return combine(g, many, one, matched, results); };
    for (const Row* many : g.many) {
      for (const Row* one : g.one) QD_TRY(pair(many, one));
      if (fill_one_) QD_TRY(pair(many, nullptr));
    }
    if (fill_many_) {
      for (const Row* one : g.one) QD_TRY(pair(nullptr, one));
    }
    return {};
  }

  // At every step at most one series of the group on the "one" side.
  base::Status check_one_side(const Group& g) const {
    if (g.one.size() < 2) return {};
    std::vector<const Row*> holder(steps_, nullptr);
    for (const Row* row : g.one) {
      for (std::size_t k = 0; k < steps_; ++k) {
        if (!row->has(k) || (!many_any_[k] && !fill_many_)) continue;
        if (holder[k] != nullptr) {
          return base::fail(
              base::ErrorCode::kInvalid,
              fmt::format("found duplicate series for the match group {} on the {} hand-side of the operation: "
                          "[{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                          g.signature.to_string(), swapped_ ? "left" : "right", row->labels.to_string(),
                          holder[k]->labels.to_string()));
        }
        holder[k] = row;
      }
    }
    return {};
  }

  static bool any_at(const std::vector<const Row*>& rows, std::size_t k) {
    return std::any_of(rows.begin(), rows.end(), [k](const Row* row) { return row->has(k); });
  }

  // The values of one pair; null stands for a side that is filled in where the whole group has nothing there.
  base::Status combine(const Group& g, const Row* many, const Row* one, Present& matched,
                       std::unordered_map<LabelSet, Present>& results) {
    Row row;
    row.values.assign(steps_, kAbsent);
    Present* taken = nullptr;
    bool any = false;
    for (std::size_t k = 0; k < steps_; ++k) {
      if (many == nullptr ? any_at(g.many, k) : !many->has(k)) continue;
      if (one == nullptr ? any_at(g.one, k) : !one->has(k)) continue;
      if (taken == nullptr) {
        result_labels(g, many, one, row);
        taken = matching_.cardinality == Cardinality::kOneToOne
                    ? &matched
                    : &results.try_emplace(row.labels, Present(steps_)).first->second;
      }
      if ((*taken)[k]) {
        return base::fail(base::ErrorCode::kInvalid,
                          fmt::format("multiple matches for labels: {} (match group {})",
                                      matching_.cardinality == Cardinality::kOneToOne
                                          ? "many-to-one matching must be explicit (group_left/group_right)"
                                          : "grouping labels must ensure unique matches",
                                      g.signature.to_string()));
      }
      (*taken)[k] = true;
      if ((many != nullptr && has_histogram(many->histograms, k)) ||
          (one != nullptr && has_histogram(one->histograms, k))) {
        with_histograms(many, one, k, row);
      } else {
        const double a = many == nullptr ? *fill_many_ : many->values[k];
        const double b = one == nullptr ? *fill_one_ : one->values[k];
        row.values[k] = value(swapped_ ? b : a, swapped_ ? a : b);
      }
      any = any || row.has(k);
    }
    if (!any) return {};
    QD_ASSIGN(Charge charge, context_.charge(steps_ + samples_of(row.histograms), row.labels.bytes().size()));
    out_.charge.absorb(std::move(charge));
    out_.rows.push_back(std::move(row));
    return {};
  }

  void with_histograms(const Row* many, const Row* one, std::size_t k, Row& out) const {
    const auto sample = [k](const Row* row, const std::optional<double>& fill) -> SampleValue {
      if (row == nullptr) return {*fill};
      if (has_histogram(row->histograms, k)) return {kAbsent, row->histograms[k]};
      return {row->values[k]};
    };
    const SampleValue a = sample(many, fill_many_);
    const SampleValue b = sample(one, fill_one_);
    SampleValue result = operator_.apply(swapped_ ? b : a, swapped_ ? a : b);
    out.values[k] = result.number;
    if (result.histogram == nullptr) return;
    if (out.histograms.empty()) out.histograms.resize(steps_);
    out.histograms[k] = std::move(result.histogram);
  }

  double value(double left, double right) const {
    if (is_trim(expr_.op)) {
      operator_.refuse(false, false);
      return kAbsent;
    }
    if (is_comparison(expr_.op) && !expr_.return_bool) return compare(expr_.op, left, right) ? left : kAbsent;
    return arithmetic(expr_.op, left, right);
  }

  void result_labels(const Group& g, const Row* many, const Row* one, Row& out) const {
    const LabelSet& base = many == nullptr ? g.signature : many->labels;
    const bool drops = (!is_comparison(expr_.op) && !is_trim(expr_.op)) || expr_.return_bool;
    const bool delayed = context_.options().delayed_name_removal;
    model::LabelBuilder builder(base);
    if (drops && !delayed) builder.reset(without_name(base));
    if (matching_.cardinality == Cardinality::kOneToOne) {
      if (matching_.on) {
        const LabelSet before = builder.build();
        builder.clear();
        for (const std::string& name : matching_.labels) builder.set(name, before.get(name));
      } else {
        for (const std::string& name : matching_.labels) builder.remove(name);
      }
    }
    if (one != nullptr) {
      for (const std::string& name : matching_.include) builder.set(name, one->labels.get(name));
    }
    out.labels = builder.build();
    out.drop_name = delayed && (drops || (many != nullptr && many->drop_name));
  }

  Context& context_;
  const BinaryExpr& expr_;
  const HistogramOperator operator_;
  const VectorMatching& matching_;
  const bool swapped_;
  const Rows& many_;
  const Rows& one_;
  const std::optional<double> fill_many_;
  const std::optional<double> fill_one_;
  const std::size_t steps_;
  Present many_any_;  // steps where the "many" side has anything: elsewhere nothing is matched at all
  std::unordered_map<LabelSet, std::size_t> index_;
  std::vector<Group> groups_;
  Rows out_;
};

}  // namespace

base::Result<Rows> set_operation(Context& context, const BinaryExpr& expr, Rows left, Rows right, const Grid& grid) {
  QD_TRY(context.check());
  if (expr.op == BinaryOp::kOr) {
    keep_where(right, expr.matching, present_by_signature(left, expr.matching, grid.count), false);
    std::move(right.rows.begin(), right.rows.end(), std::back_inserter(left.rows));
    left.charge.absorb(std::move(right.charge));
    QD_TRY(join_same_labels(left, false));
    return left;
  }
  keep_where(left, expr.matching, present_by_signature(right, expr.matching, grid.count), expr.op == BinaryOp::kAnd);
  return left;
}

base::Result<Rows> match_vectors(Context& context, const BinaryExpr& expr, Rows left, Rows right, const Grid& grid) {
  return RowMatcher(context, expr, left, right, grid).run();
}

}  // namespace qd::query::promql
