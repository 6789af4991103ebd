#include "query/promql/matchers_of.h"

namespace qd::query::promql {
namespace {

void gather(const Expr* expr, std::vector<std::vector<model::Matcher>>& found) {
  if (expr == nullptr) return;
  switch (expr->kind) {
    case Expr::Kind::kNumber:
    case Expr::Kind::kString:
      return;
    case Expr::Kind::kVectorSelector:
      found.push_back(as<VectorSelector>(*expr).matchers);
      return;
    case Expr::Kind::kMatrixSelector:
      return gather(as<MatrixSelector>(*expr).selector.get(), found);
    case Expr::Kind::kSubquery:
      return gather(as<Subquery>(*expr).inner.get(), found);
    case Expr::Kind::kParen:
      return gather(as<ParenExpr>(*expr).inner.get(), found);
    case Expr::Kind::kUnary:
      return gather(as<UnaryExpr>(*expr).inner.get(), found);
    case Expr::Kind::kBinary:
      gather(as<BinaryExpr>(*expr).left.get(), found);
      return gather(as<BinaryExpr>(*expr).right.get(), found);
    case Expr::Kind::kCall:
      for (const ExprPtr& argument : as<Call>(*expr).args) gather(argument.get(), found);
      return;
    case Expr::Kind::kAggregate:
      gather(as<AggregateExpr>(*expr).parameter.get(), found);
      return gather(as<AggregateExpr>(*expr).inner.get(), found);
  }
}

}  // namespace

std::vector<std::vector<model::Matcher>> matchers_of(const Expr& expr) {
  std::vector<std::vector<model::Matcher>> found;
  gather(&expr, found);
  return found;
}

}  // namespace qd::query::promql
