#include "query/promql/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "query/promql/duration_parser.h"
#include "query/promql/functions.h"
#include "query/promql/typecheck.h"

namespace qd::query::promql {

namespace {

using base::ErrorCode;
using base::Result;
using base::Status;

// How far a timestamp in seconds may be from the epoch and still be milliseconds in an int64.
constexpr double kTimeSecondsMax = static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 1000.0;

std::optional<AggregateOp> aggregate_op(Keyword keyword) {
  if (keyword < Keyword::kSum || keyword > Keyword::kLimitRatio) return std::nullopt;
  switch (keyword) {
    case Keyword::kSum:
      return AggregateOp::kSum;
    case Keyword::kAvg:
      return AggregateOp::kAvg;
    case Keyword::kCount:
      return AggregateOp::kCount;
    case Keyword::kMin:
      return AggregateOp::kMin;
    case Keyword::kMax:
      return AggregateOp::kMax;
    case Keyword::kGroup:
      return AggregateOp::kGroup;
    case Keyword::kStddev:
      return AggregateOp::kStddev;
    case Keyword::kStdvar:
      return AggregateOp::kStdvar;
    case Keyword::kTopk:
      return AggregateOp::kTopk;
    case Keyword::kBottomk:
      return AggregateOp::kBottomk;
    case Keyword::kCountValues:
      return AggregateOp::kCountValues;
    case Keyword::kQuantile:
      return AggregateOp::kQuantile;
    case Keyword::kLimitk:
      return AggregateOp::kLimitk;
    default:
      return AggregateOp::kLimitRatio;
  }
}

class Parser : public DurationParser {
 public:
  using DurationParser::DurationParser;

  Result<ExprPtr> run() {
    if (peek().kind == TokenKind::kEnd) return fail(peek(), "no expression found in input");
    QD_ASSIGN(ExprPtr expr, expression(0));
    if (peek().kind != TokenKind::kEnd) return unexpected("");
    QD_TRY(check_types(*expr, text()));
    return expr;
  }

 private:
  // Every node passes here once its children stand.
  Status close(Expr& node, std::uint32_t begin, std::initializer_list<const Expr*> children) {
    node.span = {begin, last_end()};
    for (const Expr* child : children) {
      if (child != nullptr) node.depth = std::max(node.depth, child->depth + 1);
    }
    return check_depth(node.depth, begin);
  }
  // --- expressions

  Result<ExprPtr> expression(int min_precedence) {
    const Level level(depth_);
    QD_TRY(check_depth(depth_, peek().span.begin));
    const std::uint32_t begin = peek().span.begin;
    QD_ASSIGN(ExprPtr left, unary());
    while (true) {
      const Token token = peek();
      const auto op = binary_op(token);
      if (!op || precedence(*op) < min_precedence) return left;
      take();
      auto node = std::make_unique<BinaryExpr>();
      node->op = *op;
      QD_TRY(modifiers(*node));
      QD_ASSIGN(node->right, expression(*op == BinaryOp::kPow ? precedence(*op) : precedence(*op) + 1));
      node->left = std::move(left);
      node->type = node->left->type == ValueType::kScalar && node->right->type == ValueType::kScalar
                       ? ValueType::kScalar
                       : ValueType::kVector;
      QD_TRY(close(*node, begin, {node->left.get(), node->right.get()}));
      left = std::move(node);
    }
  }

  Result<ExprPtr> unary() {
    const Token token = peek();
    if (token.kind != TokenKind::kAdd && token.kind != TokenKind::kSub) return postfix();
    const Level level(depth_);
    QD_TRY(check_depth(depth_, token.span.begin));
    take();
    // -a^b is -(a^b): what binds tighter than the sign belongs to its operand.
    QD_ASSIGN(ExprPtr inner, expression(kUnaryPrecedence + 1));
    if (inner->kind == Expr::Kind::kNumber) {
      auto& number = static_cast<NumberLiteral&>(*inner);
      if (token.kind == TokenKind::kSub) number.value = -number.value;
      number.span.begin = token.span.begin;
      return inner;
    }
    auto node = std::make_unique<UnaryExpr>();
    node->negative = token.kind == TokenKind::kSub;
    node->type = inner->type;
    node->inner = std::move(inner);
    QD_TRY(close(*node, token.span.begin, {node->inner.get()}));
    return node;
  }

  // on(a), group_left(b), bool and fill(0) after an operator.
  Status modifiers(BinaryExpr& node) {
    using enum VectorMatching::Cardinality;
    VectorMatching& matching = node.matching;
    if (is_set_operator(node.op)) matching.cardinality = kManyToMany;
    if (accept(Keyword::kBool)) node.return_bool = true;
    if (peek().keyword == Keyword::kOn || peek().keyword == Keyword::kIgnoring) {
      matching.on = take().keyword == Keyword::kOn;
      QD_ASSIGN(matching.labels, label_list());
      if (peek().keyword == Keyword::kGroupLeft || peek().keyword == Keyword::kGroupRight) {
        matching.cardinality = take().keyword == Keyword::kGroupLeft ? kManyToOne : kOneToMany;
        if (peek().kind == TokenKind::kLeftParen) {
          QD_ASSIGN(matching.include, label_list());
        }
      }
    }
    while (peek().keyword == Keyword::kFill || peek().keyword == Keyword::kFillLeft ||
           peek().keyword == Keyword::kFillRight) {
      const Token token = peek();
      if (peek(1).kind != TokenKind::kLeftParen) break;  // a metric called fill
      take();
      QD_TRY(need_experimental(token, "binop fill modifier"));
      if (is_set_operator(node.op)) return fail(token, "filling in missing series not allowed for set operators");
      take();
      QD_ASSIGN(const double value, signed_number("fill modifier"));
      QD_TRY(expect(TokenKind::kRightParen, "fill modifier", "\")\""));
      if (token.keyword != Keyword::kFillRight) matching.fill_left = value;
      if (token.keyword != Keyword::kFillLeft) matching.fill_right = value;
    }
    return {};
  }

  // (a, b, "c.d")
  Result<std::vector<std::string>> label_list() {
    QD_TRY(expect(TokenKind::kLeftParen, "grouping opts", "\"(\""));
    std::vector<std::string> labels;
    while (!accept(TokenKind::kRightParen)) {
      const Token token = peek();
      if (token.kind == TokenKind::kString) {
        QD_ASSIGN(std::string label, string_of(token));
        if (label.empty() || !base::valid_utf8(label)) return fail(token, "invalid label name for grouping");
        labels.push_back(std::move(label));
      } else if (token.kind == TokenKind::kIdentifier) {
        labels.emplace_back(text_of(token));
      } else {
        return unexpected("grouping opts", "label");
      }
      take();
      if (peek().kind != TokenKind::kRightParen) {
        QD_TRY(expect(TokenKind::kComma, "grouping opts", "\",\" or \")\""));
      }
    }
    return labels;
  }

  Result<ExprPtr> postfix() {
    const std::uint32_t begin = peek().span.begin;
    QD_ASSIGN(ExprPtr expr, primary());
    while (true) {
      const Token token = peek();
      if (token.kind == TokenKind::kLeftBracket) {
        QD_ASSIGN(expr, brackets(std::move(expr), begin));
      } else if (token.keyword == Keyword::kOffset) {
        QD_TRY(offset(*expr));
      } else if (token.kind == TokenKind::kAt) {
        QD_TRY(at(*expr));
      } else if (token.keyword == Keyword::kAnchored || token.keyword == Keyword::kSmoothed) {
        QD_TRY(extended(*expr));
      } else {
        return expr;
      }
      expr->span.end = last_end();
    }
  }

  static VectorSelector* selector_of(Expr& expr) {
    if (expr.kind == Expr::Kind::kVectorSelector) return static_cast<VectorSelector*>(&expr);
    if (expr.kind == Expr::Kind::kMatrixSelector) return static_cast<MatrixSelector&>(expr).selector.get();
    return nullptr;
  }

  Status extended(Expr& expr) {
    const Token token = take();
    QD_TRY(need_experimental(token, fmt::format("the {} modifier", text_of(token))));
    VectorSelector* selector = selector_of(expr);
    const bool anchored = token.keyword == Keyword::kAnchored;
    if (selector == nullptr || (anchored && expr.kind != Expr::Kind::kMatrixSelector)) {
      return fail_at(expr.span.begin, anchored ? "anchored modifier must be preceded by a range vector selector"
                                               : "smoothed modifier must be preceded by an instant vector selector or "
                                                 "range vector selector");
    }
    if (selector->anchored || selector->smoothed) {
      return fail(token, "anchored and smoothed may be given once, and not together");
    }
    (anchored ? selector->anchored : selector->smoothed) = true;
    return {};
  }

  Status offset(Expr& expr) {
    const Token token = take();
    QD_ASSIGN(Duration duration, offset_duration());
    Duration* target = nullptr;
    if (VectorSelector* selector = selector_of(expr)) target = &selector->offset;
    if (expr.kind == Expr::Kind::kSubquery) target = &static_cast<Subquery&>(expr).offset;
    if (target == nullptr) {
      return fail_at(expr.span.begin,
                     "offset modifier must be preceded by an instant vector selector or range vector selector or a "
                     "subquery");
    }
    if (target->span.end != 0) return fail(token, "offset may not be set multiple times");
    *target = std::move(duration);
    return {};
  }

  Status at(Expr& expr) {
    const Token token = take();
    AtModifier modifier;
    if ((peek().keyword == Keyword::kStart || peek().keyword == Keyword::kEnd) &&
        peek(1).kind == TokenKind::kLeftParen) {
      modifier.kind = take().keyword == Keyword::kStart ? AtModifier::Kind::kStart : AtModifier::Kind::kEnd;
      take();
      QD_TRY(expect(TokenKind::kRightParen, "@", "\")\""));
    } else {
      const Token number = peek();
      QD_ASSIGN(const double seconds, signed_number("@"));
      if (!std::isfinite(seconds) || std::fabs(seconds) >= kTimeSecondsMax) {
        return fail(number, fmt::format("timestamp out of bounds for @ modifier: {}", seconds));
      }
      modifier.kind = AtModifier::Kind::kTime;
      modifier.time_ms = static_cast<std::int64_t>(std::round(seconds * 1000));
    }
    AtModifier* target = nullptr;
    if (VectorSelector* selector = selector_of(expr)) target = &selector->at;
    if (expr.kind == Expr::Kind::kSubquery) target = &static_cast<Subquery&>(expr).at;
    if (target == nullptr) {
      return fail_at(expr.span.begin,
                     "@ modifier must be preceded by an instant vector selector or range vector selector or a "
                     "subquery");
    }
    if (target->kind != AtModifier::Kind::kNone) return fail(token, "@ <timestamp> may not be set multiple times");
    *target = modifier;
    return {};
  }

  // foo[5m], foo[5m:1m], foo[5m:]
  Result<ExprPtr> brackets(ExprPtr inner, std::uint32_t begin) {
    const Token bracket = take();
    QD_ASSIGN(Duration range, bracket_duration());
    if (accept(TokenKind::kColon)) {
      auto node = std::make_unique<Subquery>();
      node->range = std::move(range);
      if (peek().kind != TokenKind::kRightBracket) {
        QD_ASSIGN(node->step, bracket_duration());
      }
      QD_TRY(expect(TokenKind::kRightBracket, "subquery selector", "\"]\""));
      node->inner = std::move(inner);
      QD_TRY(close(*node, begin, {node->inner.get()}));
      return node;
    }
    QD_TRY(expect(TokenKind::kRightBracket, "subquery or range selector", "\":\" or \"]\""));
    if (inner->kind != Expr::Kind::kVectorSelector) {
      return fail(bracket, "ranges only allowed for vector selectors");
    }
    auto node = std::make_unique<MatrixSelector>();
    node->selector.reset(static_cast<VectorSelector*>(inner.release()));
    const VectorSelector& selector = *node->selector;
    if (selector.offset.span.end != 0) return fail(bracket, "no offset modifiers allowed before range");
    if (selector.at.kind != AtModifier::Kind::kNone) return fail(bracket, "no @ modifiers allowed before range");
    if (selector.smoothed) return fail(bracket, "no smoothed modifier allowed before range");
    node->range = std::move(range);
    QD_TRY(close(*node, begin, {node->selector.get()}));
    return node;
  }

  // --- primaries

  Result<ExprPtr> primary() {
    const Token token = peek();
    switch (token.kind) {
      case TokenKind::kNumber:
      case TokenKind::kDuration: {
        take();
        auto node = std::make_unique<NumberLiteral>();
        QD_ASSIGN(node->value, number_of(token));
        node->duration = token.kind == TokenKind::kDuration;
        QD_TRY(close(*node, token.span.begin, {}));
        return node;
      }
      case TokenKind::kString: {
        take();
        auto node = std::make_unique<StringLiteral>();
        QD_ASSIGN(node->value, string_of(token));
        QD_TRY(close(*node, token.span.begin, {}));
        return node;
      }
      case TokenKind::kLeftParen: {
        take();
        auto node = std::make_unique<ParenExpr>();
        QD_ASSIGN(node->inner, expression(0));
        QD_TRY(expect(TokenKind::kRightParen, "paren expression", "\")\""));
        node->type = node->inner->type;
        QD_TRY(close(*node, token.span.begin, {node->inner.get()}));
        return node;
      }
      case TokenKind::kLeftBrace:
        return selector();
      case TokenKind::kMetricIdentifier:
        if (peek(1).kind == TokenKind::kLeftParen) {
          return fail(token, fmt::format("unknown function with name \"{}\"", text_of(token)));
        }
        return selector();
      case TokenKind::kIdentifier:
        return word();
      default:
        return unexpected("", "");
    }
  }

  Result<ExprPtr> word() {
    const Token token = peek();
    const Token next = peek(1);
    if (const auto op = aggregate_op(token.keyword)) {
      const bool modifier = next.keyword == Keyword::kBy || next.keyword == Keyword::kWithout;
      if (next.kind == TokenKind::kLeftParen || modifier) return aggregate(*op);
      return selector();
    }
    if (next.kind == TokenKind::kLeftParen) return call();
    switch (token.keyword) {
      case Keyword::kBool:
      case Keyword::kOn:
      case Keyword::kIgnoring:
      case Keyword::kGroupLeft:
      case Keyword::kGroupRight:
      case Keyword::kAtan2:
        return unexpected("", "");
      default:
        return selector();
    }
  }

  Result<std::vector<ExprPtr>> arguments(std::string_view context) {
    QD_TRY(expect(TokenKind::kLeftParen, context, "\"(\""));
    std::vector<ExprPtr> args;
    if (accept(TokenKind::kRightParen)) return args;
    while (true) {
      QD_ASSIGN(ExprPtr arg, expression(0));
      args.push_back(std::move(arg));
      if (accept(TokenKind::kRightParen)) return args;
      QD_TRY(expect(TokenKind::kComma, context, "\",\" or \")\""));
      if (peek().kind == TokenKind::kRightParen)
        return fail(peek(), "trailing commas not allowed in function call args");
    }
  }

  Result<ExprPtr> call() {
    const Token token = take();
    const std::string_view name = text_of(token);
    auto node = std::make_unique<Call>();
    node->function = find_function(name);
    if (node->function == nullptr) return fail(token, fmt::format("unknown function with name \"{}\"", name));
    if (node->function->experimental) {
      QD_TRY(need_experimental(token, fmt::format("function \"{}\"", name)));
    }
    QD_ASSIGN(node->args, arguments("function call args"));
    node->type = node->function->returns;
    QD_TRY(close(*node, token.span.begin, {}));
    for (const ExprPtr& arg : node->args) node->depth = std::max(node->depth, arg->depth + 1);
    QD_TRY(check_depth(node->depth, token.span.begin));
    return node;
  }

  Result<ExprPtr> aggregate(AggregateOp op) {
    const Token token = take();
    if (op == AggregateOp::kLimitk || op == AggregateOp::kLimitRatio) {
      QD_TRY(need_experimental(token, fmt::format("aggregation \"{}\"", to_string(op))));
    }
    auto node = std::make_unique<AggregateExpr>();
    node->op = op;
    bool grouped = false;
    const auto grouping = [&]() -> Status {
      if (peek().keyword != Keyword::kBy && peek().keyword != Keyword::kWithout) return {};
      node->without = take().keyword == Keyword::kWithout;
      grouped = true;
      QD_ASSIGN(node->grouping, label_list());
      return {};
    };
    QD_TRY(grouping());
    QD_ASSIGN(auto args, arguments("aggregation"));
    if (!grouped) {
      QD_TRY(grouping());
    }
    const std::size_t wanted = takes_parameter(op) ? 2 : 1;
    if (args.empty()) return fail(token, "no arguments for aggregate expression provided");
    if (args.size() != wanted) {
      return fail(token, fmt::format("wrong number of arguments for aggregate expression provided, expected {}, got {}",
                                     wanted, args.size()));
    }
    node->inner = std::move(args.back());
    if (wanted == 2) node->parameter = std::move(args.front());
    QD_TRY(close(*node, token.span.begin, {node->inner.get(), node->parameter.get()}));
    return node;
  }

  Result<ExprPtr> selector() {
    const std::uint32_t begin = peek().span.begin;
    auto node = std::make_unique<VectorSelector>();
    if (peek().kind != TokenKind::kLeftBrace) node->name = text_of(take());
    if (peek().kind == TokenKind::kLeftBrace) {
      QD_TRY(braces(*node, begin));
    }
    if (!node->name.empty()) {
      node->matchers.push_back(model::Matcher::equal(std::string(model::kMetricName), node->name));
    }
    QD_TRY(close(*node, begin, {}));
    return node;
  }

  Status braces(VectorSelector& node, std::uint32_t begin) {
    take();
    while (!accept(TokenKind::kRightBrace)) {
      const Token token = peek();
      std::string name;
      if (token.kind == TokenKind::kIdentifier) {
        name = text_of(token);
      } else if (token.kind == TokenKind::kString) {
        QD_ASSIGN(name, string_of(token));
        if (name.empty() || !base::valid_utf8(name)) return fail(token, "invalid label name");
      } else {
        return unexpected("label matching", "identifier or \"}\"");
      }
      take();
      QD_TRY(matcher(node, token, std::move(name), begin));
      if (peek().kind != TokenKind::kRightBrace) {
        QD_TRY(expect(TokenKind::kComma, "label matching", "\",\" or \"}\""));
      }
    }
    return {};
  }

  Status matcher(VectorSelector& node, const Token& token, std::string name, std::uint32_t begin) {
    using Kind = model::Matcher::Kind;
    Kind kind = Kind::kEqual;
    switch (peek().kind) {
      case TokenKind::kAssign:
        break;
      case TokenKind::kNotEqual:
        kind = Kind::kNotEqual;
        break;
      case TokenKind::kRegexMatch:
        kind = Kind::kRegex;
        break;
      case TokenKind::kRegexNotMatch:
        kind = Kind::kNotRegex;
        break;
      default:
        // {"a.b"}: a quoted metric name stands alone.
        if (token.kind != TokenKind::kString) return unexpected("label matching", "label matching operator");
        if (!node.name.empty()) {
          return fail_at(begin, fmt::format("metric name must not be set twice: \"{}\" or \"{}\"", node.name, name));
        }
        node.name = std::move(name);
        return {};
    }
    take();
    const Token value_token = peek();
    if (value_token.kind != TokenKind::kString) return unexpected("label matching", "string");
    QD_ASSIGN(std::string value, string_of(value_token));
    take();
    if (name == model::kMetricName && kind == Kind::kEqual && !node.name.empty()) {
      return fail_at(begin, fmt::format("metric name must not be set twice: \"{}\" or \"{}\"", node.name, value));
    }
    auto made = model::Matcher::create(kind, std::move(name), std::move(value));
    if (!made) return fail(value_token, made.error().message());
    node.matchers.push_back(*std::move(made));
    return {};
  }
};

}  // namespace

Result<ExprPtr> parse(std::string_view text, const ParseOptions& options) {
  if (text.size() > kQueryBytesMax) {
    return base::fail(ErrorCode::kLimit, fmt::format("query of {} bytes: a query may have at most {}; split it into "
                                                     "recording rules",
                                                     text.size(), kQueryBytesMax));
  }
  if (!base::valid_utf8(text)) {
    return base::fail(ErrorCode::kInvalid, "1:1: parse error: query is not valid UTF-8");
  }
  QD_ASSIGN(auto tokens, tokenize(text));
  return Parser(text, std::move(tokens), options).run();
}

Result<std::vector<model::Matcher>> parse_matchers(std::string_view text) {
  QD_ASSIGN(const ExprPtr expr, parse(text));
  if (expr->kind != Expr::Kind::kVectorSelector) {
    return base::fail(parse_error(text, 0, "expected a series selector like up{job=\"node\"}"));
  }
  const auto& selector = as<VectorSelector>(*expr);
  if (selector.at.kind != AtModifier::Kind::kNone || selector.offset.span.end != 0) {
    return base::fail(parse_error(text, 0, "a series selector takes no offset and no @"));
  }
  return selector.matchers;
}

}  // namespace qd::query::promql
