#include "query/promql/duration_parser.h"

#include <cmath>
#include <utility>

namespace qd::query::promql {

using base::Result;

namespace {

// A duration that any clock of ours can hold: 290 years.
constexpr double kDurationSecondsMax = 9.2e9;

bool constant(const DurationExpr& expr) {
  if (expr.kind == DurationExpr::Kind::kStep || expr.kind == DurationExpr::Kind::kRange) return false;
  return (expr.left == nullptr || constant(*expr.left)) && (expr.right == nullptr || constant(*expr.right));
}
bool literal(const DurationExpr& expr) {
  return expr.kind == DurationExpr::Kind::kNumber || expr.kind == DurationExpr::Kind::kDuration;
}

}  // namespace

Result<Duration> DurationParser::bracket_duration() {
  const Token token = peek();
  QD_ASSIGN(auto expr, duration_expression(0));
  return finish_duration(token, std::move(expr), true);
}

Result<Duration> DurationParser::offset_duration() {
  const Token token = peek();
  QD_ASSIGN(auto expr, duration_operand("offset"));
  return finish_duration(token, std::move(expr), false);
}

Result<Duration> DurationParser::finish_duration(const Token& token, std::unique_ptr<DurationExpr> expr,
                                                 bool positive) {
  Duration duration;
  duration.span = {token.span.begin, last_end()};
  // A sign before a literal is part of the literal.
  if (expr->kind == DurationExpr::Kind::kNegate && literal(*expr->left)) {
    expr = std::move(expr->left);
    expr->seconds = -expr->seconds;
  } else if (expr->kind == DurationExpr::Kind::kPlus && literal(*expr->left)) {
    expr = std::move(expr->left);
  }
  if (!literal(*expr)) {
    QD_TRY(need_experimental(token, "arithmetic in durations"));
  }
  if (constant(*expr)) {
    const double seconds = expr->evaluate({});
    if (!std::isfinite(seconds) || std::fabs(seconds) > kDurationSecondsMax) {
      return fail(token, "duration out of range");
    }
    if (positive && seconds <= 0) return fail(token, "duration must be greater than 0");
    duration.ms = static_cast<std::int64_t>(std::round(seconds * 1000));
    if (positive && duration.ms == 0) return fail(token, "duration must be greater than 0");
  }
  if (!literal(*expr)) duration.expr = std::move(expr);
  return duration;
}

Result<std::unique_ptr<DurationExpr>> DurationParser::duration_expression(int min_precedence) {
  const Level level(depth_);
  QD_TRY(check_depth(depth_, peek().span.begin));
  QD_ASSIGN(auto left, duration_operand("duration expression"));
  int length = 0;
  while (true) {
    const Token token = peek();
    const auto op = binary_op(token);
    if (!op || *op > BinaryOp::kPow || precedence(*op) < min_precedence) return left;
    QD_TRY(check_depth(++length, token.span.begin));
    take();
    auto node = std::make_unique<DurationExpr>();
    node->kind = DurationExpr::Kind::kBinary;
    node->op = *op;
    QD_ASSIGN(node->right, duration_expression(*op == BinaryOp::kPow ? precedence(*op) : precedence(*op) + 1));
    node->left = std::move(left);
    if ((*op == BinaryOp::kDiv || *op == BinaryOp::kMod) && constant(*node->right) && node->right->evaluate({}) == 0) {
      return fail(token, *op == BinaryOp::kDiv ? "division by zero" : "modulo by zero");
    }
    left = std::move(node);
  }
}

Result<std::unique_ptr<DurationExpr>> DurationParser::duration_operand(std::string_view context) {
  const Level level(depth_);
  QD_TRY(check_depth(depth_, peek().span.begin));
  auto node = std::make_unique<DurationExpr>();
  const Token token = peek();
  switch (token.kind) {
    case TokenKind::kNumber:
    case TokenKind::kDuration: {
      take();
      node->kind = token.kind == TokenKind::kNumber ? DurationExpr::Kind::kNumber : DurationExpr::Kind::kDuration;
      QD_ASSIGN(node->seconds, number_of(token));
      return node;
    }
    case TokenKind::kAdd:
    case TokenKind::kSub: {
      take();
      node->kind = token.kind == TokenKind::kSub ? DurationExpr::Kind::kNegate : DurationExpr::Kind::kPlus;
      QD_ASSIGN(node->left,
                context == "offset" ? duration_operand(context) : duration_expression(kUnaryPrecedence + 1));
      return node;
    }
    case TokenKind::kLeftParen: {
      take();
      node->kind = DurationExpr::Kind::kParen;
      QD_ASSIGN(node->left, duration_expression(0));
      QD_TRY(expect(TokenKind::kRightParen, "duration expression", "\")\""));
      return node;
    }
    default:
      break;
  }
  const std::string_view word = text_of(token);
  if (token.kind == TokenKind::kIdentifier && peek(1).kind == TokenKind::kLeftParen) {
    if (token.keyword == Keyword::kStep || token.keyword == Keyword::kRange) {
      take();
      take();
      QD_TRY(expect(TokenKind::kRightParen, "duration expression", "\")\""));
      node->kind = token.keyword == Keyword::kStep ? DurationExpr::Kind::kStep : DurationExpr::Kind::kRange;
      return node;
    }
    if (word == "min_of" || word == "max_of") {
      take();
      take();
      node->kind = word == "min_of" ? DurationExpr::Kind::kMin : DurationExpr::Kind::kMax;
      QD_ASSIGN(node->left, duration_expression(0));
      QD_TRY(expect(TokenKind::kComma, "duration expression", "\",\""));
      QD_ASSIGN(node->right, duration_expression(0));
      QD_TRY(expect(TokenKind::kRightParen, "duration expression", "\")\""));
      return node;
    }
  }
  return unexpected(context, "number, duration, step(), or range()");
}

}  // namespace qd::query::promql
