#include "serve/prometheus/parse_tree.h"

#include <optional>
#include <string>
#include <vector>

#include "base/strings.h"
#include "query/promql/functions.h"

namespace qd::serve::prometheus {

namespace {

using query::promql::as;
using query::promql::AtModifier;
using query::promql::Expr;
using query::promql::ValueType;

std::string_view type_name(ValueType type) {
  switch (type) {
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kString:
      return "string";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
  }
  return "none";
}

std::string_view operator_of(model::Matcher::Kind kind) {
  switch (kind) {
    case model::Matcher::Kind::kEqual:
      return "=";
    case model::Matcher::Kind::kNotEqual:
      return "!=";
    case model::Matcher::Kind::kRegex:
      return "=~";
    case model::Matcher::Kind::kNotRegex:
      return "!~";
  }
  return "";
}

std::string_view cardinality_name(query::promql::VectorMatching::Cardinality cardinality) {
  using enum query::promql::VectorMatching::Cardinality;
  switch (cardinality) {
    case kOneToOne:
      return "one-to-one";
    case kManyToOne:
      return "many-to-one";
    case kOneToMany:
      return "one-to-many";
    case kManyToMany:
      return "many-to-many";
  }
  return "";
}

void write_list(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
  json.key(key).begin_array();
  for (const auto& text : texts) json.text(text);
  json.end_array();
}

void write_at(JsonWriter& json, const AtModifier& at) {
  json.key("timestamp");
  at.kind == AtModifier::Kind::kTime ? json.integer(at.time_ms) : json.null();
  json.key("startOrEnd");
  at.kind == AtModifier::Kind::kStart ? json.text("start")
  : at.kind == AtModifier::Kind::kEnd ? json.text("end")
                                      : json.null();
}

void write_selector(JsonWriter& json, const query::promql::VectorSelector& selector) {
  json.field("name", selector.name).key("offset").integer(selector.offset.ms);
  json.key("matchers").begin_array();
  for (const auto& matcher : selector.matchers) {
    json.begin_object().field("name", matcher.name()).field("value", matcher.value());
    json.field("type", operator_of(matcher.kind())).end_object();
  }
  json.end_array();
  write_at(json, selector.at);
  json.field("anchored", selector.anchored).field("smoothed", selector.smoothed);
}

void write_fill(JsonWriter& json, std::string_view key, const std::optional<double>& value) {
  json.key(key);
  value ? json.number(*value) : json.null();
}

void write_binary(JsonWriter& json, const query::promql::BinaryExpr& expr) {
  json.field("type", "binaryExpr").field("op", to_string(expr.op));
  write_tree(json.key("lhs"), *expr.left);
  write_tree(json.key("rhs"), *expr.right);
  json.field("bool", expr.return_bool).key("matching");
  if (expr.left->type != ValueType::kVector || expr.right->type != ValueType::kVector) {
    json.null();
    return;
  }
  const auto& matching = expr.matching;
  json.begin_object().field("card", cardinality_name(matching.cardinality)).field("on", matching.on);
  write_list(json, "labels", matching.labels);
  write_list(json, "include", matching.include);
  json.key("fillValues").begin_object();
  write_fill(json, "lhs", matching.fill_left);
  write_fill(json, "rhs", matching.fill_right);
  json.end_object().end_object();
}

void write_call(JsonWriter& json, const query::promql::Call& call) {
  const auto& function = *call.function;
  json.field("type", "call").key("func").begin_object().field("name", function.name);
  json.key("argTypes").begin_array();
  for (const auto type : function.args) json.text(type_name(type));
  json.end_array().key("variadic").integer(function.variadic);
  json.field("returnType", type_name(function.returns)).end_object();
  json.key("args").begin_array();
  for (const auto& arg : call.args) write_tree(json, *arg);
  json.end_array();
}

void write_aggregation(JsonWriter& json, const query::promql::AggregateExpr& expr) {
  json.field("type", "aggregation").field("op", to_string(expr.op)).key("expr");
  write_tree(json, *expr.inner);
  json.key("param");
  if (expr.parameter == nullptr) {
    json.null();
  } else {
    write_tree(json, *expr.parameter);
  }
  write_list(json, "grouping", expr.grouping);
  json.field("without", expr.without);
}

void write_subquery(JsonWriter& json, const query::promql::Subquery& subquery) {
  json.field("type", "subquery").key("expr");
  write_tree(json, *subquery.inner);
  json.key("range").integer(subquery.range.ms).key("offset").integer(subquery.offset.ms);
  json.key("step").integer(subquery.step ? subquery.step->ms : 0);
  write_at(json, subquery.at);
}

}  // namespace

void write_tree(JsonWriter& json, const Expr& expr) {
  json.begin_object();
  switch (expr.kind) {
    case Expr::Kind::kNumber:
      json.field("type", "numberLiteral");
      json.field("val", base::format_float(as<query::promql::NumberLiteral>(expr).value));
      break;
    case Expr::Kind::kString:
      json.field("type", "stringLiteral").field("val", as<query::promql::StringLiteral>(expr).value);
      break;
    case Expr::Kind::kVectorSelector:
      json.field("type", "vectorSelector");
      write_selector(json, as<query::promql::VectorSelector>(expr));
      break;
    case Expr::Kind::kMatrixSelector:
      json.field("type", "matrixSelector");
      json.key("range").integer(as<query::promql::MatrixSelector>(expr).range.ms);
      write_selector(json, *as<query::promql::MatrixSelector>(expr).selector);
      break;
    case Expr::Kind::kSubquery:
      write_subquery(json, as<query::promql::Subquery>(expr));
      break;
    case Expr::Kind::kParen:
      json.field("type", "parenExpr").key("expr");
      write_tree(json, *as<query::promql::ParenExpr>(expr).inner);
      break;
    case Expr::Kind::kUnary:
      json.field("type", "unaryExpr").field("op", as<query::promql::UnaryExpr>(expr).negative ? "-" : "+").key("expr");
      write_tree(json, *as<query::promql::UnaryExpr>(expr).inner);
      break;
    case Expr::Kind::kBinary:
      write_binary(json, as<query::promql::BinaryExpr>(expr));
      break;
    case Expr::Kind::kCall:
      write_call(json, as<query::promql::Call>(expr));
      break;
    case Expr::Kind::kAggregate:
      write_aggregation(json, as<query::promql::AggregateExpr>(expr));
      break;
  }
  json.end_object();
}

}  // namespace qd::serve::prometheus
