#include "query/promql/token_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "query/promql/unquote.h"

namespace qd::query::promql {

using base::ErrorCode;
using base::Result;
using base::Status;

std::optional<BinaryOp> binary_op(const Token& token) {
  switch (token.kind) {
    case TokenKind::kAdd:
      return BinaryOp::kAdd;
    case TokenKind::kSub:
      return BinaryOp::kSub;
    case TokenKind::kMul:
      return BinaryOp::kMul;
    case TokenKind::kDiv:
      return BinaryOp::kDiv;
    case TokenKind::kMod:
      return BinaryOp::kMod;
    case TokenKind::kPow:
      return BinaryOp::kPow;
    case TokenKind::kEqual:
      return BinaryOp::kEql;
    case TokenKind::kNotEqual:
      return BinaryOp::kNeq;
    case TokenKind::kGreater:
      return BinaryOp::kGtr;
    case TokenKind::kLess:
      return BinaryOp::kLss;
    case TokenKind::kGreaterEqual:
      return BinaryOp::kGte;
    case TokenKind::kLessEqual:
      return BinaryOp::kLte;
    case TokenKind::kTrimUpper:
      return BinaryOp::kTrimUpper;
    case TokenKind::kTrimLower:
      return BinaryOp::kTrimLower;
    default:
      break;
  }
  switch (token.keyword) {
    case Keyword::kAnd:
      return BinaryOp::kAnd;
    case Keyword::kOr:
      return BinaryOp::kOr;
    case Keyword::kUnless:
      return BinaryOp::kUnless;
    case Keyword::kAtan2:
      return BinaryOp::kAtan2;
    default:
      return std::nullopt;
  }
}

int precedence(BinaryOp op) {
  switch (op) {
    case BinaryOp::kOr:
      return 1;
    case BinaryOp::kAnd:
    case BinaryOp::kUnless:
      return 2;
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      return 4;
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kAtan2:
      return 5;
    case BinaryOp::kPow:
      return 6;
    default:
      return 3;  // comparisons and </ >/
  }
}

const Token& TokenStream::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}
Token TokenStream::take() {
  const Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::accept(TokenKind kind) {
  if (peek().kind != kind) return false;
  take();
  return true;
}

bool TokenStream::accept(Keyword keyword) {
  if (peek().keyword != keyword) return false;
  take();
  return true;
}

std::unexpected<base::Error> TokenStream::fail_at(std::size_t byte, std::string_view message) const {
  return base::fail(parse_error(text_, byte, message));
}

std::unexpected<base::Error> TokenStream::fail(const Token& token, std::string_view message) const {
  return fail_at(token.span.begin, message);
}

std::unexpected<base::Error> TokenStream::unexpected(std::string_view context, std::string_view expected) const {
  const Token& token = peek();
  std::string message = "unexpected ";
  switch (token.kind) {
    case TokenKind::kEnd:
      message += "end of input";
      break;
    case TokenKind::kIdentifier:
      message += token.keyword == Keyword::kNone ? fmt::format("identifier \"{}\"", text_of(token))
                                                 : fmt::format("<{}>", text_of(token));
      break;
    case TokenKind::kNumber:
    case TokenKind::kDuration:
      message += fmt::format("number \"{}\"", text_of(token));
      break;
    case TokenKind::kString:
      message += fmt::format("string {}", text_of(token));
      break;
    default:
      message += fmt::format("\"{}\"", text_of(token));
      break;
  }
  if (!context.empty()) message += fmt::format(" in {}", context);
  if (!expected.empty()) message += fmt::format(", expected {}", expected);
  return fail(token, message);
}

Status TokenStream::expect(TokenKind kind, std::string_view context, std::string_view what) {
  if (!accept(kind)) return unexpected(context, what);
  return {};
}

Status TokenStream::need_experimental(const Token& token, std::string_view what) const {
  if (options_.experimental) return {};
  return fail(token, fmt::format("{} is experimental and must be enabled with query.experimental", what));
}

Status TokenStream::check_depth(int depth, std::size_t byte) const {
  if (depth <= kQueryDepthMax) return {};
  return base::fail(ErrorCode::kLimit, parse_error(text_, byte,
                                                   fmt::format("expression is nested deeper than {} levels; "
                                                               "split it into recording rules",
                                                               kQueryDepthMax))
                                           .message());
}

Result<double> TokenStream::signed_number(std::string_view context) {
  double sign = 1;
  if (peek().kind == TokenKind::kAdd || peek().kind == TokenKind::kSub) {
    sign = take().kind == TokenKind::kSub ? -1 : 1;
  }
  if (peek().kind != TokenKind::kNumber && peek().kind != TokenKind::kDuration) {
    return unexpected(context, "number");
  }
  const Token token = take();
  QD_ASSIGN(const double value, number_of(token));
  return sign * value;
}

Result<std::string> TokenStream::string_of(const Token& token) const {
  auto value = unquote(text_of(token));
  if (!value) return fail(token, value.error().message());
  return *std::move(value);
}

Result<double> TokenStream::number_of(const Token& token) const {
  std::string text(text_of(token));
  if (token.kind == TokenKind::kDuration) {
    const auto ms = base::parse_duration_ms(text);
    if (!ms) return fail(token, ms.error().message());
    return static_cast<double>(*ms) / 1000;
  }
  std::erase(text, '_');
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  const bool octal = !hex && text.size() > 1 && text[0] == '0' &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (hex || octal) {
    std::int64_t value = 0;
    const char* first = text.data() + (hex ? 2 : 1);
    const char* last = text.data() + text.size();
    const auto result = std::from_chars(first, last, value, hex ? 16 : 8);
    if (result.ec == std::errc{} && result.ptr == last) return static_cast<double>(value);
    return fail(token, fmt::format("error parsing number: \"{}\"", text));
  }
  const auto value = base::parse_float(text);
  if (!value) return fail(token, fmt::format("error parsing number: \"{}\"", text));
  return *value;
}

}  // namespace qd::query::promql
