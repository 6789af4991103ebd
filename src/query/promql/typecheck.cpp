#include "query/promql/typecheck.h"

#include <fmt/format.h>

#include <algorithm>

#include "query/promql/functions.h"
#include "query/promql/lexer.h"

namespace qd::query::promql {

namespace {

using base::Status;

constexpr std::string_view kSpaces = " \t\n\r";

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  Status check(const Expr& expr) const {
    switch (expr.kind) {
      case Expr::Kind::kNumber:
      case Expr::Kind::kString:
        return {};
      case Expr::Kind::kVectorSelector:
        return selector(as<VectorSelector>(expr));
      case Expr::Kind::kMatrixSelector:
        return selector(*as<MatrixSelector>(expr).selector);
      case Expr::Kind::kParen:
        return check(*as<ParenExpr>(expr).inner);
      case Expr::Kind::kSubquery:
        return subquery(as<Subquery>(expr));
      case Expr::Kind::kUnary:
        return unary(as<UnaryExpr>(expr));
      case Expr::Kind::kBinary:
        return binary(as<BinaryExpr>(expr));
      case Expr::Kind::kCall:
        return call(as<Call>(expr));
      case Expr::Kind::kAggregate:
        return aggregate(as<AggregateExpr>(expr));
    }
    return {};
  }

 private:
  std::unexpected<base::Error> fail(const Expr& expr, std::string_view message) const {
    return base::fail(parse_error(text_, expr.span.begin, message));
  }

  // Faults of the operator point at it: it is what comes behind the left side, spaces and comments.
  std::unexpected<base::Error> fail_operator(const BinaryExpr& expr, std::string_view message) const {
    std::size_t at = text_.find_first_not_of(kSpaces, expr.left->span.end);
    while (at < text_.size() && text_[at] == '#') at = text_.find_first_not_of(kSpaces, text_.find('\n', at));
    return base::fail(parse_error(text_, std::min(at, text_.size()), message));
  }

  Status expect(const Expr& expr, ValueType wanted, std::string_view where) const {
    QD_TRY(check(expr));
    if (expr.type == wanted) return {};
    return fail(expr, fmt::format("expected type {} in {}, got {}", to_string(wanted), where, to_string(expr.type)));
  }

  // A selector of everything is always a mistake.
  Status selector(const VectorSelector& expr) const {
    if (std::any_of(expr.matchers.begin(), expr.matchers.end(),
                    [](const model::Matcher& m) { return !m.matches_empty(); })) {
      return {};
    }
    return fail(expr, "vector selector must contain at least one non-empty matcher");
  }

  Status subquery(const Subquery& expr) const {
    QD_TRY(check(*expr.inner));
    if (expr.inner->type == ValueType::kVector) return {};
    return fail(expr,
                fmt::format("subquery is only allowed on instant vector, got {} instead", to_string(expr.inner->type)));
  }

  Status unary(const UnaryExpr& expr) const {
    QD_TRY(check(*expr.inner));
    if (expr.inner->type == ValueType::kScalar || expr.inner->type == ValueType::kVector) return {};
    return fail(expr, fmt::format("unary expression only allowed on expressions of type scalar or instant vector, "
                                  "got \"{}\"",
                                  to_string(expr.inner->type)));
  }

  Status binary(const BinaryExpr& expr) const {
    QD_TRY(check(*expr.left));
    QD_TRY(check(*expr.right));
    const ValueType left = expr.left->type;
    const ValueType right = expr.right->type;
    const bool scalars = left == ValueType::kScalar && right == ValueType::kScalar;
    const bool vectors = left == ValueType::kVector && right == ValueType::kVector;
    for (const Expr* side : {expr.left.get(), expr.right.get()}) {
      if (side->type != ValueType::kScalar && side->type != ValueType::kVector) {
        return fail(*side, "binary expression must contain only scalar and instant vector types");
      }
    }
    if (expr.return_bool && !is_comparison(expr.op)) {
      return fail_operator(expr, "bool modifier can only be used on comparison operators");
    }
    if (is_comparison(expr.op) && !expr.return_bool && scalars) {
      return fail_operator(expr, "comparisons between scalars must use BOOL modifier");
    }
    if (is_trim(expr.op) && scalars) {
      return fail_operator(expr, fmt::format("operator \"{}\" not allowed between scalars: it trims native histograms",
                                             to_string(expr.op)));
    }
    const VectorMatching& matching = expr.matching;
    const bool grouped = matching.cardinality == VectorMatching::Cardinality::kManyToOne ||
                         matching.cardinality == VectorMatching::Cardinality::kOneToMany;
    if (is_set_operator(expr.op)) {
      if (!vectors) {
        return fail(expr,
                    fmt::format("set operator \"{}\" not allowed in binary scalar expression", to_string(expr.op)));
      }
      if (grouped) return fail(expr, fmt::format("no grouping allowed for \"{}\" operation", to_string(expr.op)));
    }
    if (!vectors) {
      if (!matching.labels.empty() || matching.on || grouped) {
        return fail(expr, "vector matching only allowed between instant vectors");
      }
      if (matching.fill_left || matching.fill_right) {
        return fail(expr, "filling in missing series only allowed between instant vectors");
      }
    }
    if (matching.on) {
      for (const std::string& label : matching.labels) {
        if (std::find(matching.include.begin(), matching.include.end(), label) != matching.include.end()) {
          return fail_operator(expr, fmt::format("label \"{}\" must not occur in ON and GROUP clause at once", label));
        }
      }
    }
    return {};
  }

  Status call(const Call& expr) const {
    const Function& f = *expr.function;
    const std::size_t given = expr.args.size();
    const std::size_t wanted = f.args.size();
    if (f.variadic == 0) {
      if (given != wanted) {
        return fail(expr, fmt::format("expected {} argument(s) in call to \"{}\", got {}", wanted, f.name, given));
      }
    } else {
      if (given + 1 < wanted) {
        return fail(
            expr, fmt::format("expected at least {} argument(s) in call to \"{}\", got {}", wanted - 1, f.name, given));
      }
      const std::size_t most = wanted + static_cast<std::size_t>(std::max(f.variadic, 0)) - 1;
      if (f.variadic > 0 && given > most) {
        return fail(expr,
                    fmt::format("expected at most {} argument(s) in call to \"{}\", got {}", most, f.name, given));
      }
    }
    const std::string where = fmt::format("call to function \"{}\"", f.name);
    // The second argument of info() selects labels, not series: it may match everything.
    if (f.id == FunctionId::kInfo && given == 2) {
      const Expr& labels = *expr.args[1];
      if (labels.kind == Expr::Kind::kVectorSelector && as<VectorSelector>(labels).name.empty()) {
        return expect(*expr.args[0], ValueType::kVector, where);
      }
      return fail(labels, "expected label selectors only as the second argument of \"info\"");
    }
    for (std::size_t i = 0; i < given; ++i) {
      QD_TRY(expect(*expr.args[i], f.args[std::min(i, wanted - 1)], where));
    }
    return extended(expr);
  }

  // anchored and smoothed change what the edges of a window are, which only these functions know how to read.
  Status extended(const Call& expr) const {
    for (const ExprPtr& arg : expr.args) {
      const Expr& inner = without_parens(*arg);
      if (inner.kind != Expr::Kind::kMatrixSelector) continue;
      const VectorSelector& selector = *as<MatrixSelector>(inner).selector;
      const FunctionId id = expr.function->id;
      const bool rate = id == FunctionId::kRate || id == FunctionId::kIncrease || id == FunctionId::kDelta;
      if (selector.anchored && !rate && id != FunctionId::kChanges && id != FunctionId::kResets) {
        return fail(expr, fmt::format("anchored modifier can only be used with: changes, delta, increase, rate, "
                                      "resets - not with {}",
                                      expr.function->name));
      }
      if (selector.smoothed && !rate) {
        return fail(expr, fmt::format("smoothed modifier can only be used with: delta, increase, rate - not with {}",
                                      expr.function->name));
      }
    }
    return {};
  }

  Status aggregate(const AggregateExpr& expr) const {
    QD_TRY(expect(*expr.inner, ValueType::kVector, "aggregation expression"));
    if (expr.op == AggregateOp::kCountValues)
      return expect(*expr.parameter, ValueType::kString, "aggregation parameter");
    if (takes_parameter(expr.op)) return expect(*expr.parameter, ValueType::kScalar, "aggregation parameter");
    return {};
  }

  const std::string_view text_;
};

}  // namespace

Status check_types(const Expr& expr, std::string_view text) {
  return Checker(text).check(expr);
}

}  // namespace qd::query::promql
