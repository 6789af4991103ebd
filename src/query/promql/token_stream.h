// The tokens of a query as the parsers of its parts walk them: look ahead, take, complain at the right place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/lexer.h"
#include "query/promql/parser.h"

namespace qd::query::promql {

// The operator that a token is, where it can be one; what binds tighter has the larger precedence.
std::optional<BinaryOp> binary_op(const Token& token);
int precedence(BinaryOp op);
inline constexpr int kUnaryPrecedence = 5;

class TokenStream {
 public:
  // `tokens` are those of `text`, which outlives the stream, and end with a kEnd.
  TokenStream(std::string_view text, std::vector<Token> tokens, const ParseOptions& options)
      : text_(text), tokens_(std::move(tokens)), options_(options) {}

 protected:
  const Token& peek(std::size_t ahead = 0) const;
  Token take();
  bool accept(TokenKind kind);
  bool accept(Keyword keyword);
  base::Status expect(TokenKind kind, std::string_view context, std::string_view what);

  std::string_view text() const { return text_; }
  std::string_view text_of(const Token& token) const {
    return text_.substr(token.span.begin, token.span.end - token.span.begin);
  }
  // Where the last token that was taken ends.
  std::uint32_t last_end() const { return at_ == 0 ? 0 : tokens_[at_ - 1].span.end; }

  std::unexpected<base::Error> fail_at(std::size_t byte, std::string_view message) const;
  std::unexpected<base::Error> fail(const Token& token, std::string_view message) const;
  // `unexpected "x" in grouping opts, expected ...` at the current token.
  std::unexpected<base::Error> unexpected(std::string_view context, std::string_view expected = {}) const;
  base::Status need_experimental(const Token& token, std::string_view what) const;
  base::Status check_depth(int depth, std::size_t byte) const;

  // Counts how deep the parsers have called themselves.
  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    int& depth;
  };
  int depth_ = 0;

  // Literals. A duration is a number of seconds.
  base::Result<std::string> string_of(const Token& token) const;
  base::Result<double> number_of(const Token& token) const;
  base::Result<double> signed_number(std::string_view context);

 private:
  const std::string_view text_;
  const std::vector<Token> tokens_;
  const ParseOptions options_;
  std::size_t at_ = 0;
};

}  // namespace qd::query::promql
