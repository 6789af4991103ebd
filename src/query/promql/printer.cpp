#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/strings.h"
#include "query/promql/ast.h"
#include "query/promql/functions.h"
#include "query/promql/lexer.h"

namespace qd::query::promql {

namespace {

// Not a number (NaN, Inf), nor a word with which no expression can begin.
bool can_stand_bare(const std::string& name) {
  if (!model::valid_metric_name(name)) return false;
  const auto tokens = tokenize(name);
  if (!tokens || tokens->front().kind == TokenKind::kNumber) return false;
  switch (tokens->front().keyword) {
    case Keyword::kBool:
    case Keyword::kOn:
    case Keyword::kIgnoring:
    case Keyword::kGroupLeft:
    case Keyword::kGroupRight:
    case Keyword::kAtan2:
      return false;
    default:
      return true;
  }
}

std::string number(double value) {
  return base::format_float(value);
}

std::string label_list(const std::vector<std::string>& labels) {
  std::string out;
  for (const std::string& label : labels) {
    if (!out.empty()) out += ", ";
    out += model::valid_label_name(label) ? label : base::quote(label);
  }
  return out;
}

std::string duration_text(double seconds, bool duration) {
  if (!duration) return number(seconds);
  const auto ms = static_cast<std::int64_t>(std::round(std::fabs(seconds) * 1000));
  return (seconds < 0 ? "-" : "") + base::format_duration_ms(ms);
}

std::string print(const DurationExpr& expr) {
  using Kind = DurationExpr::Kind;
  switch (expr.kind) {
    case Kind::kNumber:
      return duration_text(expr.seconds, false);
    case Kind::kDuration:
      return duration_text(expr.seconds, true);
    case Kind::kStep:
      return "step()";
    case Kind::kRange:
      return "range()";
    case Kind::kMin:
      return fmt::format("min_of({}, {})", print(*expr.left), print(*expr.right));
    case Kind::kMax:
      return fmt::format("max_of({}, {})", print(*expr.left), print(*expr.right));
    case Kind::kNegate:
      return "-" + print(*expr.left);
    case Kind::kPlus:
      return "+" + print(*expr.left);
    case Kind::kBinary:
      return fmt::format("{} {} {}", print(*expr.left), to_string(expr.op), print(*expr.right));
    case Kind::kParen:
      return fmt::format("({})", print(*expr.left));
  }
  return {};
}

std::string print(const Duration& duration) {
  if (duration.expr != nullptr) return print(*duration.expr);
  return base::format_duration_ms(duration.ms);
}

std::string print_at(const AtModifier& at) {
  switch (at.kind) {
    case AtModifier::Kind::kNone:
      return {};
    case AtModifier::Kind::kTime:
      return fmt::format(" @ {:.3f}", static_cast<double>(at.time_ms) / 1000);
    case AtModifier::Kind::kStart:
      return " @ start()";
    case AtModifier::Kind::kEnd:
      return " @ end()";
  }
  return {};
}

// What stands before an operator. Not +Inf before ^, which binds closer than a sign.
std::string print_left(const BinaryExpr& expr) {
  std::string out = to_string(*expr.left);
  if (expr.op == BinaryOp::kPow && out == "+Inf") out.erase(0, 1);
  return out;
}

std::string print_offset(const Duration& offset) {
  if (offset.expr != nullptr) return " offset " + print(*offset.expr);
  if (offset.ms > 0) return " offset " + base::format_duration_ms(offset.ms);
  if (offset.ms < 0) return " offset -" + base::format_duration_ms(-offset.ms);
  return {};
}

// The selector without its offset and @, which stand behind the range of a range selector.
std::string print_series(const VectorSelector& expr) {
  const bool plain = can_stand_bare(expr.name);
  std::string out = plain ? expr.name : "";
  std::string inside;
  if (!plain && !expr.name.empty()) inside = base::quote(expr.name);
  for (const model::Matcher& matcher : expr.matchers) {
    if (!expr.name.empty() && matcher.name() == model::kMetricName && matcher.kind() == model::Matcher::Kind::kEqual &&
        matcher.value() == expr.name) {
      continue;
    }
    if (!inside.empty()) inside += ",";
    inside += matcher.to_string();
  }
  if (!inside.empty() || out.empty()) out += "{" + inside + "}";
  return out;
}

std::string print_extended(const VectorSelector& expr) {
  return expr.anchored ? " anchored" : expr.smoothed ? " smoothed" : "";
}

std::string print_matching(const BinaryExpr& expr) {
  const VectorMatching& matching = expr.matching;
  std::string out;
  if (expr.return_bool) out += " bool";
  if (!matching.labels.empty() || matching.on) {
    out += fmt::format(" {} ({})", matching.on ? "on" : "ignoring", label_list(matching.labels));
  }
  if (matching.cardinality == VectorMatching::Cardinality::kManyToOne) {
    out += fmt::format(" group_left ({})", label_list(matching.include));
  } else if (matching.cardinality == VectorMatching::Cardinality::kOneToMany) {
    out += fmt::format(" group_right ({})", label_list(matching.include));
  }
  const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  if (matching.fill_left && matching.fill_right && same(*matching.fill_left, *matching.fill_right)) {
    out += fmt::format(" fill ({})", number(*matching.fill_left));
  } else {
    if (matching.fill_left) out += fmt::format(" fill_left ({})", number(*matching.fill_left));
    if (matching.fill_right) out += fmt::format(" fill_right ({})", number(*matching.fill_right));
  }
  return out;
}

std::string print_aggregate(const AggregateExpr& expr) {
  std::string out(to_string(expr.op));
  if (expr.without) {
    out += fmt::format(" without ({}) ", label_list(expr.grouping));
  } else if (!expr.grouping.empty()) {
    out += fmt::format(" by ({}) ", label_list(expr.grouping));
  }
  out += "(";
  if (expr.parameter != nullptr) out += to_string(*expr.parameter) + ", ";
  return out + to_string(*expr.inner) + ")";
}

}  // namespace

std::string_view to_string(ValueType type) {
  switch (type) {
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kString:
      return "string";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
  }
  return {};
}

std::string_view to_string(BinaryOp op) {
  constexpr std::string_view kNames[] = {"+",  "-",  "*", "/", "%",  "^",  "atan2", "</", ">/",
                                         "==", "!=", ">", "<", ">=", "<=", "and",   "or", "unless"};
  return kNames[static_cast<std::size_t>(op)];
}

std::string_view to_string(AggregateOp op) {
  constexpr std::string_view kNames[] = {"sum",          "avg",      "count",  "min",        "max",
                                         "group",        "stddev",   "stdvar", "topk",       "bottomk",
                                         "count_values", "quantile", "limitk", "limit_ratio"};
  return kNames[static_cast<std::size_t>(op)];
}

const Expr& without_parens(const Expr& expr) {
  const Expr* at = &expr;
  while (at->kind == Expr::Kind::kParen) at = as<ParenExpr>(*at).inner.get();
  return *at;
}

double DurationExpr::evaluate(const DurationContext& context) const {
  switch (kind) {
    case Kind::kNumber:
    case Kind::kDuration:
      return seconds;
    case Kind::kStep:
      return static_cast<double>(context.step_ms) / 1000;
    case Kind::kRange:
      return static_cast<double>(context.range_ms) / 1000;
    case Kind::kMin:
      return std::min(left->evaluate(context), right->evaluate(context));
    case Kind::kMax:
      return std::max(left->evaluate(context), right->evaluate(context));
    case Kind::kNegate:
      return -left->evaluate(context);
    case Kind::kPlus:
    case Kind::kParen:
      return left->evaluate(context);
    case Kind::kBinary:
      break;
  }
  const double a = left->evaluate(context);
  const double b = right->evaluate(context);
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMod:
      return std::fmod(a, b);
    case BinaryOp::kPow:
      return std::pow(a, b);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

std::string to_string(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kNumber: {
      const auto& node = as<NumberLiteral>(expr);
      return duration_text(node.value, node.duration);
    }
    case Expr::Kind::kString:
      return base::quote(as<StringLiteral>(expr).value);
    case Expr::Kind::kVectorSelector: {
      const auto& node = as<VectorSelector>(expr);
      return print_series(node) + print_at(node.at) + print_offset(node.offset) + print_extended(node);
    }
    case Expr::Kind::kMatrixSelector: {
      const auto& node = as<MatrixSelector>(expr);
      return fmt::format("{}[{}]{}{}{}", print_series(*node.selector), print(node.range),
                         print_extended(*node.selector), print_at(node.selector->at),
                         print_offset(node.selector->offset));
    }
    case Expr::Kind::kSubquery: {
      const auto& node = as<Subquery>(expr);
      return fmt::format("{}[{}:{}]{}{}", to_string(*node.inner), print(node.range),
                         node.step ? print(*node.step) : std::string(), print_at(node.at), print_offset(node.offset));
    }
    case Expr::Kind::kParen:
      return "(" + to_string(*as<ParenExpr>(expr).inner) + ")";
    case Expr::Kind::kUnary: {
      const auto& node = as<UnaryExpr>(expr);
      return (node.negative ? "-" : "+") + to_string(*node.inner);
    }
    case Expr::Kind::kBinary: {
      const auto& node = as<BinaryExpr>(expr);
      return fmt::format("{} {}{} {}", print_left(node), to_string(node.op), print_matching(node),
                         to_string(*node.right));
    }
    case Expr::Kind::kCall: {
      const auto& node = as<Call>(expr);
      std::string args;
      for (const ExprPtr& arg : node.args) {
        if (!args.empty()) args += ", ";
        args += to_string(*arg);
      }
      return fmt::format("{}({})", node.function->name, args);
    }
    case Expr::Kind::kAggregate:
      return print_aggregate(as<AggregateExpr>(expr));
  }
  return {};
}

}  // namespace qd::query::promql
