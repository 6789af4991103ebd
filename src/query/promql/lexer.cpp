#include "query/promql/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace qd::query::promql {

namespace {

using base::ErrorCode;

constexpr std::array<std::pair<std::string_view, Keyword>, 35> kKeywords = {{
    {"and", Keyword::kAnd},
    {"or", Keyword::kOr},
    {"unless", Keyword::kUnless},
    {"atan2", Keyword::kAtan2},
    {"sum", Keyword::kSum},
    {"avg", Keyword::kAvg},
    {"count", Keyword::kCount},
    {"min", Keyword::kMin},
    {"max", Keyword::kMax},
    {"group", Keyword::kGroup},
    {"stddev", Keyword::kStddev},
    {"stdvar", Keyword::kStdvar},
    {"topk", Keyword::kTopk},
    {"bottomk", Keyword::kBottomk},
    {"count_values", Keyword::kCountValues},
    {"quantile", Keyword::kQuantile},
    {"limitk", Keyword::kLimitk},
    {"limit_ratio", Keyword::kLimitRatio},
    {"offset", Keyword::kOffset},
    {"smoothed", Keyword::kSmoothed},
    {"anchored", Keyword::kAnchored},
    {"by", Keyword::kBy},
    {"without", Keyword::kWithout},
    {"on", Keyword::kOn},
    {"ignoring", Keyword::kIgnoring},
    {"group_left", Keyword::kGroupLeft},
    {"group_right", Keyword::kGroupRight},
    {"fill", Keyword::kFill},
    {"fill_left", Keyword::kFillLeft},
    {"fill_right", Keyword::kFillRight},
    {"bool", Keyword::kBool},
    {"start", Keyword::kStart},
    {"end", Keyword::kEnd},
    {"step", Keyword::kStep},
    {"range", Keyword::kRange},
}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  base::Result<std::vector<Token>> run() {
    while (true) {
      skip_blank();
      begin_ = at_;
      if (at_ >= text_.size()) break;
      QD_TRY(next());
    }
    if (in_braces_) return fail("unexpected end of input inside braces");
    if (in_brackets_) return fail("unclosed left bracket");
    if (parens_ > 0) return fail("unclosed left parenthesis");
    emit(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  std::unexpected<base::Error> fail(std::string_view message) const {
    return base::fail(parse_error(text_, begin_, message));
  }

  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skip_blank() {
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  void emit(TokenKind kind, Keyword keyword = Keyword::kNone) {
    tokens_.push_back({kind, keyword, {static_cast<std::uint32_t>(begin_), static_cast<std::uint32_t>(at_)}});
  }
  void take(TokenKind kind, std::size_t length) {
    at_ += length;
    emit(kind);
  }

  base::Status next() {
    const char c = peek();
    if (c == '"' || c == '\'' || c == '`') return string();
    if (in_braces_) return inside_braces(c);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (is_alpha(c) || (c == ':' && !in_brackets_)) return word();
    switch (c) {
      case '(':
        ++parens_;
        take(TokenKind::kLeftParen, 1);
        return {};
      case ')':
        if (parens_ == 0) return fail("unexpected right parenthesis ')'");
        --parens_;
        take(TokenKind::kRightParen, 1);
        return {};
      case '{':
        in_braces_ = true;
        take(TokenKind::kLeftBrace, 1);
        return {};
      case '}':
        return fail("unexpected right brace '}'");
      case '[':
        if (in_brackets_) return fail("unexpected left bracket '['");
        in_brackets_ = true;
        take(TokenKind::kLeftBracket, 1);
        return {};
      case ']':
        if (!in_brackets_) return fail("unexpected right bracket ']'");
        in_brackets_ = false;
        take(TokenKind::kRightBracket, 1);
        return {};
      case ':':
        take(TokenKind::kColon, 1);
        return {};
      case ',':
        take(TokenKind::kComma, 1);
        return {};
      case '+':
        take(TokenKind::kAdd, 1);
        return {};
      case '-':
        take(TokenKind::kSub, 1);
        return {};
      case '*':
        take(TokenKind::kMul, 1);
        return {};
      case '/':
        take(TokenKind::kDiv, 1);
        return {};
      case '%':
        take(TokenKind::kMod, 1);
        return {};
      case '^':
        take(TokenKind::kPow, 1);
        return {};
      case '@':
        take(TokenKind::kAt, 1);
        return {};
      case '=':
        if (peek(1) == '=') {
          take(TokenKind::kEqual, 2);
        } else if (peek(1) == '~') {
          return fail("unexpected character after '=': '~'");
        } else {
          take(TokenKind::kAssign, 1);
        }
        return {};
      case '!':
        if (peek(1) != '=') return fail("unexpected character after '!'");
        take(TokenKind::kNotEqual, 2);
        return {};
      case '>':
        if (peek(1) == '/') {
          take(TokenKind::kTrimLower, 2);
        } else {
          take(peek(1) == '=' ? TokenKind::kGreaterEqual : TokenKind::kGreater, peek(1) == '=' ? 2 : 1);
        }
        return {};
      case '<':
        if (peek(1) == '/') {
          take(TokenKind::kTrimUpper, 2);
        } else {
          take(peek(1) == '=' ? TokenKind::kLessEqual : TokenKind::kLess, peek(1) == '=' ? 2 : 1);
        }
        return {};
      default:
        return unexpected(c, "");
    }
  }

  base::Status inside_braces(char c) {
    switch (c) {
      case '{':
        return fail("unexpected left brace '{'");
      case '}':
        in_braces_ = false;
        take(TokenKind::kRightBrace, 1);
        return {};
      case ',':
        take(TokenKind::kComma, 1);
        return {};
      case '=':
        if (peek(1) == '~') {
          take(TokenKind::kRegexMatch, 2);
        } else {
          take(TokenKind::kAssign, 1);
        }
        return {};
      case '!':
        if (peek(1) == '~') {
          take(TokenKind::kRegexNotMatch, 2);
        } else if (peek(1) == '=') {
          take(TokenKind::kNotEqual, 2);
        } else {
          return fail("unexpected character after '!' inside braces");
        }
        return {};
      default:
        break;
    }
    if (!is_alpha(c)) return unexpected(c, " inside braces");
    while (is_alpha(peek()) || is_digit(peek())) ++at_;
    emit(TokenKind::kIdentifier);
    return {};
  }

  base::Status unexpected(char c, std::string_view where) const {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code >= 0x7f) return fail(fmt::format("unexpected character{}: '\\x{:02x}'", where, code));
    return fail(fmt::format("unexpected character{}: '{}'", where, c));
  }

  base::Status string() {
    const char quote = peek();
    ++at_;
    while (true) {
      if (at_ >= text_.size()) return fail(quote == '`' ? "unterminated raw string" : "unterminated quoted string");
      const char c = text_[at_++];
      if (c == quote) break;
      if (quote == '`') continue;
      if (c == '\n') return fail("unterminated quoted string");
      if (c == '\\') {
        if (at_ >= text_.size()) return fail("escape sequence not terminated");
        ++at_;
      }
    }
    emit(TokenKind::kString);
    return {};
  }

  void digits(bool hex) {
    // A separator stands between two digits only.
    while (true) {
      const char c = peek();
      const auto good = [hex](char d) { return hex ? is_hex_digit(d) : is_digit(d); };
      if (good(c)) {
        ++at_;
      } else if (c == '_' && at_ > begin_ && good(text_[at_ - 1]) && good(peek(1))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  // A unit at the cursor: its length.
  std::size_t unit() const {
    const char c = peek();
    if (c == 'm' && peek(1) == 's') return 2;
    if (c == 's' || c == 'm' || c == 'h' || c == 'd' || c == 'w' || c == 'y') return 1;
    return 0;
  }

  base::Status number() {
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
      at_ += 2;
      digits(true);
      return finish_number(TokenKind::kNumber);
    }
    digits(false);
    if (unit() > 0) {
      while (unit() > 0) {
        at_ += unit();
        if (!is_digit(peek())) break;
        while (is_digit(peek())) ++at_;
        if (unit() == 0) return bad_number();
      }
      return finish_number(TokenKind::kDuration);
    }
    if (peek() == '.') {
      ++at_;
      digits(false);
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      digits(false);
    }
    return finish_number(TokenKind::kNumber);
  }

  base::Status finish_number(TokenKind kind) {
    if (is_alpha(peek()) || is_digit(peek()) || peek() == '.') return bad_number();
    emit(kind);
    return {};
  }
  base::Status bad_number() {
    while (is_alpha(peek()) || is_digit(peek()) || peek() == '.') ++at_;
    return fail(fmt::format("bad number or duration syntax: \"{}\"", text_.substr(begin_, at_ - begin_)));
  }

  base::Status word() {
    bool colon = false;
    while (is_alpha(peek()) || is_digit(peek()) || (peek() == ':' && !in_brackets_)) {
      colon = colon || peek() == ':';
      ++at_;
    }
    if (colon) {
      emit(TokenKind::kMetricIdentifier);
      return {};
    }
    const std::string name = lower(text_.substr(begin_, at_ - begin_));
    if (name == "inf" || name == "nan") {
      emit(TokenKind::kNumber);
      return {};
    }
    const auto found = std::find_if(kKeywords.begin(), kKeywords.end(), [&](const auto& k) { return k.first == name; });
    emit(TokenKind::kIdentifier, found == kKeywords.end() ? Keyword::kNone : found->second);
    return {};
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;
  std::size_t parens_ = 0;
  bool in_braces_ = false;
  bool in_brackets_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

base::Result<std::vector<Token>> tokenize(std::string_view text) {
  return Lexer(text).run();
}

std::string position(std::string_view text, std::size_t byte) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < byte && i < text.size(); ++i) {
    ++column;
    if (text[i] == '\n') {
      ++line;
      column = 1;
    }
  }
  return fmt::format("{}:{}", line, column);
}

base::Error parse_error(std::string_view text, std::size_t byte, std::string_view message) {
  return {ErrorCode::kInvalid, fmt::format("{}: parse error: {}", position(text, byte), message)};
}

}  // namespace qd::query::promql
