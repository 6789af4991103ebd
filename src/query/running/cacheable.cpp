#include "query/running/cacheable.h"

#include <algorithm>

#include "query/promql/functions.h"

namespace qd::query::running {

namespace {

using promql::as;
using promql::Duration;
using promql::Expr;
using promql::FunctionId;

class Walk {
 public:
  bool run(const Expr& expr) { return visit(expr) && (one_metric_ || !drops_names_); }

 private:
  static bool plain(const Duration& duration) { return duration.expr == nullptr; }
  static bool plain(const promql::AtModifier& at) { return at.kind == promql::AtModifier::Kind::kNone; }
  static bool backwards(const Duration& offset) { return plain(offset) && offset.ms >= 0; }

  bool visit(const promql::VectorSelector& selector) {
    one_metric_ = one_metric_ && std::any_of(selector.matchers.begin(), selector.matchers.end(), [](const auto& m) {
                    return m.kind() == model::Matcher::Kind::kEqual && m.name() == model::kMetricName;
                  });
    return backwards(selector.offset) && plain(selector.at) && !selector.anchored && !selector.smoothed;
  }

  bool visit(const promql::Subquery& subquery) {
    // Several metrics in a window, as by `or`, may look the same once their names are gone.
    one_metric_ = one_metric_ && promql::without_parens(*subquery.inner).kind != Expr::Kind::kBinary;
    return plain(subquery.range) && (!subquery.step || plain(*subquery.step)) && backwards(subquery.offset) &&
           plain(subquery.at) && visit(*subquery.inner);
  }

  bool visit(const promql::Call& call) {
    const promql::Function& function = *call.function;
    switch (function.id) {
      case FunctionId::kLabelReplace:
      case FunctionId::kLabelJoin:
      case FunctionId::kInfo:
        return false;
      default:
        break;
    }
    if (function.experimental) return false;
    drops_names_ = drops_names_ || (promql::takes_window(function.id) && !promql::keeps_name(function.id));
    return std::all_of(call.args.begin(), call.args.end(), [this](const auto& arg) { return visit(*arg); });
  }

  bool visit(const promql::BinaryExpr& binary) {
    return !binary.matching.fill_left && !binary.matching.fill_right && visit(*binary.left) && visit(*binary.right);
  }

  bool visit(const promql::AggregateExpr& aggregate) {
    if (aggregate.op == promql::AggregateOp::kLimitk || aggregate.op == promql::AggregateOp::kLimitRatio) return false;
    return (aggregate.parameter == nullptr || visit(*aggregate.parameter)) && visit(*aggregate.inner);
  }

  bool visit(const Expr& expr) {
    switch (expr.kind) {
      case Expr::Kind::kNumber:
      case Expr::Kind::kString:
        return true;
      case Expr::Kind::kVectorSelector:
        return visit(as<promql::VectorSelector>(expr));
      case Expr::Kind::kMatrixSelector:
        return plain(as<promql::MatrixSelector>(expr).range) && visit(*as<promql::MatrixSelector>(expr).selector);
      case Expr::Kind::kSubquery:
        return visit(as<promql::Subquery>(expr));
      case Expr::Kind::kParen:
        return visit(*as<promql::ParenExpr>(expr).inner);
      case Expr::Kind::kUnary:
        return visit(*as<promql::UnaryExpr>(expr).inner);
      case Expr::Kind::kBinary:
        return visit(as<promql::BinaryExpr>(expr));
      case Expr::Kind::kCall:
        return visit(as<promql::Call>(expr));
      case Expr::Kind::kAggregate:
        return visit(as<promql::AggregateExpr>(expr));
    }
    return false;
  }

  bool one_metric_ = true;    // each selector and subquery is of one
  bool drops_names_ = false;  // some window function does
};

}  // namespace

bool cacheable(const Expr& expr) {
  return Walk().run(expr);
}

}  // namespace qd::query::running
