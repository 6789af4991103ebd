// PromQL as a tree.
//
// Built by parse() and never changed afterwards: any number of threads may evaluate one tree at once. Types are checked
// already, so whoever walks the tree can rely on them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/matcher.h"
#include "model/sample.h"

namespace qd::query::promql {

struct Function;

enum class ValueType : std::uint8_t { kScalar, kString, kVector, kMatrix };
// "instant vector", "range vector", "scalar", "string": as messages name them.
std::string_view to_string(ValueType type);

// Bytes of the query text, the end exclusive.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

enum class BinaryOp : std::uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kTrimUpper,  // </
  kTrimLower,  // >/
  kEql,
  kNeq,
  kGtr,
  kLss,
  kGte,
  kLte,
  kAnd,
  kOr,
  kUnless,
};
std::string_view to_string(BinaryOp op);
inline bool is_comparison(BinaryOp op) {
  return op >= BinaryOp::kEql && op <= BinaryOp::kLte;
}
inline bool is_trim(BinaryOp op) {
  return op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower;
}
inline bool is_set_operator(BinaryOp op) {
  return op >= BinaryOp::kAnd;
}

enum class AggregateOp : std::uint8_t {
  kSum,
  kAvg,
  kCount,
  kMin,
  kMax,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kCountValues,
  kQuantile,
  kLimitk,
  kLimitRatio,
};
std::string_view to_string(AggregateOp op);
// topk(k, ...), quantile(0.9, ...), count_values("label", ...)
inline bool takes_parameter(AggregateOp op) {
  return op >= AggregateOp::kTopk;
}

// What step() and range() in a duration stand for.
struct DurationContext {
  std::int64_t step_ms = 0;
  std::int64_t range_ms = 0;
};

// Arithmetic between durations, as in foo[2 * step()]. In seconds.
struct DurationExpr {
  enum class Kind : std::uint8_t { kNumber, kDuration, kStep, kRange, kMin, kMax, kNegate, kPlus, kBinary, kParen };
  Kind kind = Kind::kNumber;
  BinaryOp op = BinaryOp::kAdd;
  double seconds = 0;
  std::unique_ptr<DurationExpr> left;
  std::unique_ptr<DurationExpr> right;

  double evaluate(const DurationContext& context) const;
};

// A range, resolution or offset: milliseconds known when parsed, or an expression when the text has more than a
// literal.
struct Duration {
  std::int64_t ms = 0;
  Span span;
  std::unique_ptr<DurationExpr> expr;
};

struct AtModifier {
  enum class Kind : std::uint8_t { kNone, kTime, kStart, kEnd };
  Kind kind = Kind::kNone;
  model::TimestampMs time_ms = 0;
};

struct Expr {
  enum class Kind : std::uint8_t {
    kNumber,
    kString,
    kVectorSelector,
    kMatrixSelector,
    kSubquery,
    kParen,
    kUnary,
    kBinary,
    kCall,
    kAggregate,
  };

  Expr(Kind k, ValueType t) : kind(k), type(t) {}
  virtual ~Expr() = default;

  const Kind kind;
  ValueType type;
  int depth = 1;  // levels below and including this one
  Span span;
};
using ExprPtr = std::unique_ptr<Expr>;

struct NumberLiteral : Expr {
  NumberLiteral() : Expr(Kind::kNumber, ValueType::kScalar) {}
  double value = 0;
  bool duration = false;  // written as 5m
};

struct StringLiteral : Expr {
  StringLiteral() : Expr(Kind::kString, ValueType::kString) {}
  std::string value;
};

struct VectorSelector : Expr {
  VectorSelector() : Expr(Kind::kVectorSelector, ValueType::kVector) {}
  std::string name;                      // empty when the selector names none
  std::vector<model::Matcher> matchers;  // the one for the name included
  Duration offset;
  AtModifier at;
  bool anchored = false;
  bool smoothed = false;
};

struct MatrixSelector : Expr {
  MatrixSelector() : Expr(Kind::kMatrixSelector, ValueType::kMatrix) {}
  std::unique_ptr<VectorSelector> selector;  // offset, @, anchored and smoothed stand there
  Duration range;
};

struct Subquery : Expr {
  Subquery() : Expr(Kind::kSubquery, ValueType::kMatrix) {}
  ExprPtr inner;
  Duration range;
  std::optional<Duration> step;
  Duration offset;
  AtModifier at;
};

struct ParenExpr : Expr {
  ParenExpr() : Expr(Kind::kParen, ValueType::kScalar) {}
  ExprPtr inner;
};

struct UnaryExpr : Expr {
  UnaryExpr() : Expr(Kind::kUnary, ValueType::kScalar) {}
  bool negative = false;
  ExprPtr inner;
};

struct VectorMatching {
  enum class Cardinality : std::uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany };
  Cardinality cardinality = Cardinality::kOneToOne;
  bool on = false;                  // else ignoring
  std::vector<std::string> labels;  // of on or ignoring
  std::vector<std::string> include;
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct BinaryExpr : Expr {
  BinaryExpr() : Expr(Kind::kBinary, ValueType::kScalar) {}
  BinaryOp op = BinaryOp::kAdd;
  bool return_bool = false;
  VectorMatching matching;
  ExprPtr left;
  ExprPtr right;
};

struct Call : Expr {
  Call() : Expr(Kind::kCall, ValueType::kScalar) {}
  const Function* function = nullptr;
  std::vector<ExprPtr> args;
};

struct AggregateExpr : Expr {
  AggregateExpr() : Expr(Kind::kAggregate, ValueType::kVector) {}
  AggregateOp op = AggregateOp::kSum;
  bool without = false;
  std::vector<std::string> grouping;
  ExprPtr parameter;  // null unless takes_parameter(op)
  ExprPtr inner;
};

template <typename T>
const T& as(const Expr& expr) {
  return static_cast<const T&>(expr);
}

// The expression inside any number of parentheses.
const Expr& without_parens(const Expr& expr);

// One canonical text for trees that mean the same: spaces, quotes and keywords as Prometheus prints them.
std::string to_string(const Expr& expr);

}  // namespace qd::query::promql
