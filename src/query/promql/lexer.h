// PromQL as tokens.
//
// Any bytes are safe input: what is no token becomes an error that names its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"

namespace qd::query::promql {

enum class TokenKind : std::uint8_t {
  kEnd,
  kIdentifier,        // also every keyword; Token::keyword says which
  kMetricIdentifier,  // an identifier with a colon in it
  kNumber,
  kDuration,
  kString,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kColon,
  kAssign,
  kRegexMatch,
  kRegexNotMatch,
  kNotEqual,
  kEqual,
  kGreaterEqual,
  kGreater,
  kLessEqual,
  kLess,
  kTrimUpper,
  kTrimLower,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAt,
};

enum class Keyword : std::uint8_t {
  kNone,
  kAnd,
  kOr,
  kUnless,
  kAtan2,
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
  kOffset,
  kSmoothed,
  kAnchored,
  kBy,
  kWithout,
  kOn,
  kIgnoring,
  kGroupLeft,
  kGroupRight,
  kFill,
  kFillLeft,
  kFillRight,
  kBool,
  kStart,
  kEnd,
  kStep,
  kRange,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Keyword keyword = Keyword::kNone;
  Span span;
};

// Ends with a kEnd token. kInvalid: "1:5: parse error: ...".
base::Result<std::vector<Token>> tokenize(std::string_view text);

// "line:column" of a byte, both from 1.
std::string position(std::string_view text, std::size_t byte);
base::Error parse_error(std::string_view text, std::size_t byte, std::string_view message);

}  // namespace qd::query::promql
