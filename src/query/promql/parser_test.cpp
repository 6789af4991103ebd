#include "query/promql/parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "query/promql/functions.h"

namespace qd::query::promql {
namespace {

std::string canonical(std::string_view text) {
  const auto expr = parse(text, {true});
  return expr ? to_string(**expr) : "error: " + expr.error().message();
}

std::string error_of(std::string_view text, bool experimental = true) {
  const auto expr = parse(text, {experimental});
  return expr ? "parsed: " + to_string(**expr) : expr.error().message();
}

TEST(parser, prints_what_it_read_in_one_canonical_form) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"1", "1"},
      {"0x1F + 010 + 1_000 + 1e3 + .5 + 1.", "31 + 8 + 1000 + 1000 + 0.5 + 1"},
      {"inf - NaN", "+Inf - NaN"},
      {"Inf ^ 3", "Inf ^ 3"},
      {R"({"NaN"} + {"ignoring"} + {"sum"})", R"({"NaN"} + {"ignoring"} + sum)"},
      {R"(label_replace(foo{a="\xff\x00"}, "b", "\x82é", "c", ""))",
       R"(label_replace(foo{a="\xff\x00"}, "b", "\x82é", "c", ""))"},
      {"-1^2", "-1 ^ 2"},
      {"5m + 1h30m", "5m + 1h30m"},
      {"foo{a='b',c!=`d`}", R"(foo{a="b",c!="d"})"},
      {R"({"a.b", "c.d"="e"})", R"({"a.b","c.d"="e"})"},
      {"{__name__=~'a|b'}", R"({__name__=~"a|b"})"},
      {"foo[5m] offset 1m", "foo[5m] offset 1m"},
      {"foo offset -1m @ 100", "foo @ 100.000 offset -1m"},
      {"foo @ start()", "foo @ start()"},
      {"rate(foo[1m])[1h:5m] @ end()", "rate(foo[1m])[1h:5m] @ end()"},
      {"foo[1h:]", "foo[1h:]"},
      {"SUM BY (a,) (foo)", "sum by (a) (foo)"},
      {"sum(foo) without (b, \"c.d\")", R"(sum without (b, "c.d") (foo))"},
      {"sum without () (foo)", "sum without () (foo)"},
      {"topk(3, foo)", "topk(3, foo)"},
      {"count_values('v', foo)", "count_values(\"v\", foo)"},
      {"a + on(x) group_left(y) b", "a + on (x) group_left (y) b"},
      {"a == bool ignoring(x) b", "a == bool ignoring (x) b"},
      {"a + on() b", "a + on () b"},
      {"a AND b Or c UNLESS d", "a and b or c unless d"},
      {"a + on(x) fill(0) b", "a + on (x) fill (0) b"},
      {"a + fill_left(1) fill_right(2) b", "a + fill_left (1) fill_right (2) b"},
      {"foo # comment\n + bar", "foo + bar"},
      {"count(sum)", "count(sum)"},
      {"sum{by=\"without\", on='bool'}", R"(sum{by="without",on="bool"})"},
      {"start + end", "start + end"},
      {"foo[2 * step() - 1s]", "foo[2 * step() - 1s]"},
      {"foo[5m] anchored", "foo[5m] anchored"},
      {"foo smoothed", "foo smoothed"},
      {R"("\x41\u00e9\n\101")", "\"AéA\""},
  };
  for (const auto& [text, expected] : cases) {
    if (text.find("\\x41") != std::string::npos) {
      EXPECT_EQ(canonical(text), "\"A\u00e9\\nA\"");
      continue;
    }
    EXPECT_EQ(canonical(text), expected) << text;
  }
}

TEST(parser, printing_and_parsing_again_changes_nothing) {
  for (const char* text :
       {"-(a + b) * c ^ d ^ e", "a - (b - c) - d", "sum by (x) (rate(a{b=~\"c.*\"}[5m])) / on (x) group_right () d",
        "max_over_time(rate(x[1m])[10m:30s] offset 5m)", "a == bool 1 != bool (2 > bool c)", "+a", "- -a",
        "label_replace(a, \"b\\\"c\", \"$1\", 'd', `e\\d`)", "quantile(0.9, a) by (b)", "a offset step() * 2"}) {
    const std::string once = canonical(text);
    EXPECT_EQ(canonical(once), once) << text;
  }
}

// Parentheses show what binds what: every binary node is printed inside a pair.
std::string grouped(const Expr& expr) {
  if (expr.kind == Expr::Kind::kParen) return grouped(*as<ParenExpr>(expr).inner);
  if (expr.kind == Expr::Kind::kUnary) {
    return (as<UnaryExpr>(expr).negative ? "-" : "+") + grouped(*as<UnaryExpr>(expr).inner);
  }
  if (expr.kind != Expr::Kind::kBinary) return to_string(expr);
  const auto& node = as<BinaryExpr>(expr);
  return "(" + grouped(*node.left) + " " + std::string(to_string(node.op)) + " " + grouped(*node.right) + ")";
}

TEST(parser, operators_bind_as_in_prometheus) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a + b * c", "(a + (b * c))"},
      {"a * b + c", "((a * b) + c)"},
      {"a ^ b ^ c", "(a ^ (b ^ c))"},
      {"-a ^ b", "-(a ^ b)"},
      {"-a * b", "(-a * b)"},
      {"a - b - c", "((a - b) - c)"},
      {"a or b and c unless d", "(a or ((b and c) unless d))"},
      {"a > b + c", "(a > (b + c))"},
      {"a == b > c", "((a == b) > c)"},
      {"a % b atan2 c", "((a % b) atan2 c)"},
      {"a and b == c or d", "((a and (b == c)) or d)"},
      {"a offset 5m + 2", "(a offset 5m + 2)"},
      {"a offset -2 ^ 2", "(a offset -2s ^ 2)"},
  };
  for (const auto& [text, expected] : cases) {
    const auto expr = parse(text, {true});
    ASSERT_TRUE(expr) << text << ": " << expr.error().message();
    EXPECT_EQ(grouped(**expr), expected) << text;
  }
}

TEST(parser, errors_point_at_line_and_column) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "1:1: parse error: no expression found in input"},
      {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
      {"foo\n  + )", "2:5: parse error: unexpected right parenthesis ')'"},
      {"sum(foo", "1:8: parse error: unclosed left parenthesis"},
      {"foo{", "1:5: parse error: unexpected end of input inside braces"},
      {"foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"},
      {"foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
      {"nosuch(foo)", "1:1: parse error: unknown function with name \"nosuch\""},
      {"rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"},
      {"abs(1)", "1:5: parse error: expected type instant vector in call to function \"abs\", got scalar"},
      {"abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0"},
      {"round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
      {"label_join(a, 'b')", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"},
      {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"(1)# one\n\t# and\n  >= 1", "3:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"-1 < 2 and a", "1:4: parse error: comparisons between scalars must use BOOL modifier"},
      {"a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"},
      {"a and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
      {"a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
      {"a and on(x) group_left b", "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"a + on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
      {"a + 'b'", "1:5: parse error: binary expression must contain only scalar and instant vector types"},
      {"-'a'",
       "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "
       "\"string\""},
      {"sum(foo[5m])", "1:5: parse error: expected type instant vector in aggregation expression, got range vector"},
      {"topk(foo)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
      {"foo[5m][5m]", "1:8: parse error: ranges only allowed for vector selectors"},
      {"foo[5m:1m][5m]", "1:11: parse error: ranges only allowed for vector selectors"},
      {"(foo offset 1m)[5m]", "1:16: parse error: ranges only allowed for vector selectors"},
      {"foo offset 1m [5m]", "1:15: parse error: no offset modifiers allowed before range"},
      {"foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"},
      {"foo offset 1m offset 2m", "1:15: parse error: offset may not be set multiple times"},
      {"foo @ 1 @ 2", "1:9: parse error: @ <timestamp> may not be set multiple times"},
      {"sum(foo) offset 1m",
       "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a "
       "subquery"},
      {"1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"},
      {"foo[0s]", "1:5: parse error: duration must be greater than 0"},
      {"foo[1m/0]", "1:7: parse error: division by zero"},
      {"foo @ NaN", "1:7: parse error: timestamp out of bounds for @ modifier: nan"},
      {"1x", "1:1: parse error: bad number or duration syntax: \"1x\""},
      {"\"abc", "1:1: parse error: unterminated quoted string"},
      {"'\\q'", "1:1: parse error: unknown escape sequence '\\q'"},
      {"foo ! bar", "1:5: parse error: unexpected character after '!'"},
      {"foo \x01", "1:5: parse error: unexpected character: '\\x01'"},
      {"sum by (a:b) (foo)", "1:9: parse error: unexpected \"a:b\" in grouping opts, expected label"},
      {"abs(foo,)", "1:9: parse error: trailing commas not allowed in function call args"},
      {"a and fill(1) b", "1:7: parse error: filling in missing series not allowed for set operators"},
      {"integral(foo[5m])", "1:1: parse error: unknown function with name \"integral\""},
      {"1 </ 2", "1:3: parse error: operator \"</\" not allowed between scalars: it trims native histograms"},
      {"a >/ bool 1", "1:3: parse error: bool modifier can only be used on comparison operators"},
      {"max_over_time(foo[5m] anchored)",
       "1:1: parse error: anchored modifier can only be used with: changes, delta, increase, rate, resets - not with "
       "max_over_time"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(error_of(text), expected) << text;
}

TEST(parser, a_bad_regular_expression_is_an_error_at_its_place) {
  EXPECT_TRUE(error_of("foo{a=~\"(\"}").starts_with("1:8: parse error: ")) << error_of("foo{a=~\"(\"}");
}

TEST(parser, experimental_features_need_the_option) {
  for (const char* text : {"limitk(1, a)", "sort_by_label(a, 'b')", "a + fill(1) b", "a smoothed", "a[5m + 1s]",
                           "rate(a[5m] anchored)", "a offset step()"}) {
    EXPECT_TRUE(parse(text, {true})) << text;
    const std::string error = error_of(text, false);
    EXPECT_NE(error.find("query.experimental"), std::string::npos) << text << ": " << error;
  }
}

TEST(parser, durations_are_milliseconds) {
  const auto expr = parse("foo[1d2h3m4s5ms] offset -90");
  ASSERT_TRUE(expr);
  const auto& matrix = as<MatrixSelector>(**expr);
  EXPECT_EQ(matrix.range.ms, ((26 * 60 + 3) * 60 + 4) * 1000 + 5);
  EXPECT_EQ(matrix.selector->offset.ms, -90'000);
}

TEST(parser, text_and_nesting_are_bounded) {
  const auto too_long = parse(std::string(kQueryBytesMax + 1, ' '));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code(), base::ErrorCode::kLimit);
  const auto repeat = [](std::string_view part, std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += part;
    return out;
  };
  const std::size_t n = 20'000;
  for (const std::string& text :
       {repeat("(", n) + "1" + repeat(")", n), repeat("-", n) + "a", "1" + repeat("+1", n), "1" + repeat("^1", n),
        repeat("abs(", n) + "a" + repeat(")", n), "a" + repeat("[1m:]", n),
        "a[" + repeat("(", n) + "1" + repeat(")", n) + "]", "a[" + repeat("-", n) + "1]", "a[1" + repeat("+1", n) + "]",
        "a offset " + repeat("-", n) + "1"}) {
    const auto deep = parse(text, {true});
    ASSERT_FALSE(deep) << text.substr(0, 20);
    EXPECT_EQ(deep.error().code(), base::ErrorCode::kLimit) << text.substr(0, 20) << deep.error().message();
  }
  EXPECT_TRUE(parse("1" + repeat("+1", 300)));
}

TEST(parser, survives_any_bytes) {
  std::mt19937 random(7);
  const std::string seed =
      R"(sum by (a, "b.c") (rate({"x.y",d=~"e|f",g!='h'}[5m:1m] @ 12.5 offset -1h)) / on(i) group_left(j) fill(-1) )"
      R"(topk(3, k anchored) > bool 0x1F and histogram_quantile(.9, l[step()*2]) # m)";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed;
    const int changes = 1 + static_cast<int>(random() % 6);
    for (int c = 0; c < changes && !text.empty(); ++c) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        case 2:
          text.insert(at, seed.substr(random() % seed.size(), 1 + random() % 6));
          break;
        default:
          text.resize(at);
          break;
      }
    }
    const auto expr = parse(text, {true});
    if (!expr) continue;
    const std::string once = to_string(**expr);
    const auto again = parse(once, {true});
    ASSERT_TRUE(again) << text << " printed as " << once << ": " << again.error().message();
    EXPECT_EQ(to_string(**again), once) << text;
  }
}

TEST(parser, match_parameters_are_plain_selectors) {
  const auto matchers = parse_matchers("up{job=\"node\"}");
  ASSERT_TRUE(matchers);
  EXPECT_EQ(matchers->size(), 2U);
  for (const char* text : {"up offset 5m", "up @ 1", "sum(up)", "up[5m]", "1"})
    EXPECT_FALSE(parse_matchers(text)) << text;
}

TEST(functions, are_found_by_name_in_a_sorted_table) {
  const auto functions = all_functions();
  for (std::size_t i = 0; i < functions.size(); ++i) {
    EXPECT_EQ(find_function(functions[i].name), &functions[i]) << functions[i].name;
    if (i > 0) {
      EXPECT_LT(functions[i - 1].name, functions[i].name);
    }
  }
  EXPECT_EQ(find_function("Rate"), nullptr);
}

}  // namespace
}  // namespace qd::query::promql
