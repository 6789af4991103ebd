#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/strings.h"
#include "model/template/syntax.h"

namespace qd::model::tmpl {

namespace {

using base::ErrorCode;
using base::Result;

constexpr std::size_t kNestingMax = 100;

bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_word(char c) {
  return is_word_start(c) || (c >= '0' && c <= '9');
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

struct Token {
  enum class Kind { kEnd, kWord, kField, kVariable, kString, kCharacter, kNumber, kPunctuation };
  Kind kind = Kind::kEnd;
  std::string text;           // without the dot or dollar; unescaped for strings
  bool space_before = false;  // ".A .B" is two operands, ".A.B" one
};

}  // namespace

// Splits the text into pieces and the inside of {{ }} into tokens, and builds the tree by recursive descent.
class Parser {
 public:
  Parser(std::string_view name, std::string_view text, Template::Program& program)
      : name_(name), text_(text), program_(program) {}

  Result<bool> run() {
    auto ended_by = body(program_.body, 0);
    if (!ended_by) return base::fail(ended_by.error());
    if (*ended_by != "") return error(fmt::format("unexpected {{{{{}}}}}", *ended_by));
    return true;
  }

 private:
  std::unexpected<base::Error> error(std::string_view what) const {
    return base::fail(ErrorCode::kInvalid, fmt::format("template {}:{}: {}", name_, line_, what));
  }

  // Reads nodes until {{end}}, {{else …}} or the end of the text; says which.
  Result<std::string> body(std::vector<Node>& nodes, std::size_t depth) {
    if (depth > kNestingMax) return error("blocks are nested too deeply");
    while (at_ < text_.size()) {
      QD_TRY(literal(nodes));
      if (at_ >= text_.size()) break;
      bool comment = false;
      QD_TRY(open_action(comment));
      if (comment) continue;
      auto ended_by = action(nodes, depth);
      if (!ended_by) return base::fail(ended_by.error());
      if (!ended_by->empty()) return *ended_by;
    }
    return std::string();
  }

  // The text up to the next "{{"; a "{{-" takes the white space before it away.
  Result<bool> literal(std::vector<Node>& nodes) {
    const auto open = text_.find("{{", at_);
    auto piece = text_.substr(at_, open == std::string_view::npos ? std::string_view::npos : open - at_);
    const auto lines = static_cast<int>(std::count(piece.begin(), piece.end(), '\n'));
    if (trim_next_) {
      while (!piece.empty() && is_space(piece.front())) piece.remove_prefix(1);
      trim_next_ = false;
    }
    if (open == std::string_view::npos) {
      at_ = text_.size();
    } else {
      at_ = open + 2;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && is_space(text_[at_ + 1])) {
        ++at_;
        while (!piece.empty() && is_space(piece.back())) piece.remove_suffix(1);
      }
      in_action_ = true;
    }
    if (!piece.empty()) {
      Node node;
      node.line = line_;
      node.text = std::string(piece);
      nodes.push_back(std::move(node));
    }
    line_ += lines;
    return true;
  }

  // Behind "{{": a comment is passed over whole, anything else becomes tokens up to "}}".
  Result<bool> open_action(bool& comment) {
    if (!in_action_) return true;
    in_action_ = false;
    tokens_.clear();
    next_ = 0;
    std::size_t look = at_;
    while (look < text_.size() && is_space(text_[look])) ++look;
    if (text_.substr(look, 2) == "/*") {
      const auto close = text_.find("*/", look);
      if (close == std::string_view::npos) return error("unclosed comment");
      const auto inside = text_.substr(at_, close - at_);
      line_ += static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
      at_ = close + 2;
      comment = true;
      return close_action(true);
    }
    while (true) {
      bool space = false;
      while (at_ < text_.size() && is_space(text_[at_])) {
        if (text_[at_] == '\n') ++line_;
        ++at_;
        space = true;
      }
      if (at_ >= text_.size()) return error("unclosed action: }} is missing");
      if (text_.substr(at_, 2) == "}}" || (space && text_.substr(at_, 3) == "-}}")) return close_action(false);
      QD_TRY(token(space));
    }
  }

  Result<bool> close_action(bool comment) {
    if (comment && at_ < text_.size() && is_space(text_[at_])) {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }
    if (text_.substr(at_, 3) == "-}}") {
      trim_next_ = true;
      at_ += 3;
    } else if (text_.substr(at_, 2) == "}}") {
      at_ += 2;
    } else {
      return error("a comment must end right before }}");
    }
    return true;
  }

  Result<bool> token(bool space_before) {
    Token token;
    token.space_before = space_before;
    const char c = text_[at_];
    const auto word_from = [&](std::size_t from) {
      std::size_t end = from;
      while (end < text_.size() && is_word(text_[end])) ++end;
      token.text = std::string(text_.substr(from, end - from));
      at_ = end;
    };
    const char following = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (c == '"' || c == '`' || c == '\'') {
      token.kind = c == '\'' ? Token::Kind::kCharacter : Token::Kind::kString;
      QD_TRY(quoted(c, token.text));
    } else if ((c >= '0' && c <= '9') || ((c == '-' || c == '+' || c == '.') && following >= '0' && following <= '9')) {
      token.kind = Token::Kind::kNumber;
      std::size_t end = at_ + 1;
      while (end < text_.size() &&
             (is_word(text_[end]) || text_[end] == '.' ||
              ((text_[end] == '-' || text_[end] == '+') && (text_[end - 1] == 'e' || text_[end - 1] == 'E'))))
        ++end;
      token.text = std::string(text_.substr(at_, end - at_));
      at_ = end;
    } else if (c == '.') {
      token.kind = Token::Kind::kField;
      word_from(at_ + 1);
    } else if (c == '$') {
      token.kind = Token::Kind::kVariable;
      word_from(at_ + 1);
    } else if (is_word_start(c)) {
      token.kind = Token::Kind::kWord;
      word_from(at_);
    } else {
      token.kind = Token::Kind::kPunctuation;
      const bool declare = c == ':' && following == '=';
      if (!declare && std::string_view("()|,=").find(c) == std::string_view::npos)
        return error(fmt::format("unexpected character '{}'", c));
      token.text = declare ? ":=" : std::string(1, c);
      at_ += token.text.size();
    }
    tokens_.push_back(std::move(token));
    return true;
  }

  Result<bool> quoted(char quote, std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return true;
      }
      if (c == '\n') {
        if (quote != '`') return error("a string in \" must end on its line");
        ++line_;
      }
      if (c != '\\' || quote == '`') {
        out += c;
        continue;
      }
      if (++at_ >= text_.size()) break;
      c = text_[at_];
      static constexpr std::string_view kNames = "abfnrtv\\\"'";
      static constexpr std::string_view kMeans = "\a\b\f\n\r\t\v\\\"'";
      if (const auto known = kNames.find(c); known != std::string_view::npos) {
        out += kMeans[known];
        continue;
      }
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      std::uint32_t code = 0;
      const auto hex = text_.substr(at_ + 1, digits);
      const auto parsed = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
      if (digits == 0 || hex.size() != digits || parsed.ptr != hex.data() + digits || code > 0x10ffff)
        return error(fmt::format("unknown escape \\{}", c));
      if (c == 'x')
        out += static_cast<char>(code);
      else
        append_utf8(out, code);
      at_ += digits;
    }
    return error("unterminated string");
  }

  const Token& peek() const {
    static const Token kEnd;
    return next_ < tokens_.size() ? tokens_[next_] : kEnd;
  }
  bool take(Token::Kind kind, std::string_view text) {
    if (peek().kind != kind || peek().text != text) return false;
    ++next_;
    return true;
  }
  bool take_word(std::string_view text) { return take(Token::Kind::kWord, text); }
  bool take_punctuation(std::string_view text) { return take(Token::Kind::kPunctuation, text); }
  Result<bool> no_more(std::string_view after) {
    if (peek().kind == Token::Kind::kEnd) return true;
    return error(fmt::format("unexpected \"{}\" in {}", peek().text, after));
  }

  // One {{…}}. Returns "end" or "else" when it closes the block that is being read, else nothing.
  Result<std::string> action(std::vector<Node>& nodes, std::size_t depth) {
    Node node;
    node.line = line_;
    if (take_word("end")) {
      QD_TRY(no_more("end"));
      return std::string("end");
    }
    if (take_word("else")) return std::string("else");  // what follows stays for block()
    if (take_word("break") || take_word("continue")) {
      const bool is_break = tokens_[next_ - 1].text == "break";
      if (range_depth_ == 0) return error(fmt::format("{{{{{}}}}} outside of range", tokens_[next_ - 1].text));
      QD_TRY(no_more("break or continue"));
      node.kind = is_break ? Node::Kind::kBreak : Node::Kind::kContinue;
      nodes.push_back(std::move(node));
      return std::string();
    }
    for (const auto& [word, kind] :
         {std::pair{"if", Node::Kind::kIf}, {"range", Node::Kind::kRange}, {"with", Node::Kind::kWith}}) {
      if (!take_word(word)) continue;
      node.kind = kind;
      QD_TRY(block(node, depth));
      nodes.push_back(std::move(node));
      return std::string();
    }
    if (take_word("define")) {
      if (depth != 0) return error("define must stand at the top");
      QD_TRY(definition(depth));
      return std::string();
    }
    const bool is_block = peek().kind == Token::Kind::kWord && peek().text == "block";
    if (is_block || (peek().kind == Token::Kind::kWord && peek().text == "template")) {
      ++next_;
      node.kind = Node::Kind::kTemplate;
      if (peek().kind != Token::Kind::kString) return error("template needs a name in quotes");
      node.text = tokens_[next_++].text;
      node.has_pipeline = peek().kind != Token::Kind::kEnd;
      if (node.has_pipeline) QD_TRY(pipeline(node.pipeline, depth));
      QD_TRY(no_more("template"));
      if (is_block) {
        auto& inside = program_.definitions[node.text];
        inside.clear();
        QD_TRY(until_end(inside, depth));
      }
      nodes.push_back(std::move(node));
      return std::string();
    }
    node.kind = Node::Kind::kAction;
    QD_TRY(pipeline(node.pipeline, depth));
    QD_TRY(no_more("a pipeline"));
    nodes.push_back(std::move(node));
    return std::string();
  }

  Result<bool> block(Node& node, std::size_t depth) {
    if (depth > kNestingMax) return error("blocks are nested too deeply");
    const auto variables = variables_.size();
    QD_TRY(pipeline(node.pipeline, depth, node.kind == Node::Kind::kRange));
    QD_TRY(no_more("a block's condition"));
    range_depth_ += node.kind == Node::Kind::kRange;
    auto ended_by = body(node.body, depth + 1);
    range_depth_ -= node.kind == Node::Kind::kRange;
    if (!ended_by) return base::fail(ended_by.error());
    if (*ended_by == "else") {
      // {{else if x}} is an if inside the else, closed by the same {{end}}.
      const bool chained =
          peek().kind == Token::Kind::kWord && ((peek().text == "if" && node.kind == Node::Kind::kIf) ||
                                                (peek().text == "with" && node.kind == Node::Kind::kWith));
      if (chained) {
        ++next_;
        Node inner;
        inner.line = line_;
        inner.kind = node.kind;
        QD_TRY(block(inner, depth + 1));
        node.otherwise.push_back(std::move(inner));
        variables_.resize(variables);
        return true;
      }
      QD_TRY(no_more("else"));
      ended_by = body(node.otherwise, depth + 1);
      if (!ended_by) return base::fail(ended_by.error());
    }
    variables_.resize(variables);
    if (*ended_by != "end") return error("a block is not closed: {{end}} is missing");
    return true;
  }

  Result<bool> until_end(std::vector<Node>& nodes, std::size_t depth) {
    const auto ended_by = body(nodes, depth + 1);
    if (!ended_by) return base::fail(ended_by.error());
    if (*ended_by != "end") return error("a block is not closed: {{end}} is missing");
    return true;
  }

  Result<bool> definition(std::size_t depth) {
    if (peek().kind != Token::Kind::kString) return error("define needs a name in quotes");
    const auto name = tokens_[next_++].text;
    QD_TRY(no_more("define"));
    std::vector<Node> nodes;
    const auto outer = std::exchange(variables_, {""});
    QD_TRY(until_end(nodes, depth));
    variables_ = outer;
    program_.definitions[name] = std::move(nodes);
    return true;
  }

  Result<bool> pipeline(Pipeline& out, std::size_t depth, bool range = false) {
    if (depth > kNestingMax) return error("parentheses are nested too deeply");
    out.line = line_;
    const auto kind_at = [&](std::size_t i) { return i < tokens_.size() ? tokens_[i].kind : Token::Kind::kEnd; };
    const auto text_at = [&](std::size_t i) { return i < tokens_.size() ? std::string_view(tokens_[i].text) : ""; };
    // `$x :=`, `$x =`, and for range `$k, $v :=`.
    if (kind_at(next_) == Token::Kind::kVariable && kind_at(next_ + 1) == Token::Kind::kPunctuation) {
      std::size_t ahead = next_;
      std::vector<std::string> names{tokens_[ahead++].text};
      if (range && text_at(ahead) == "," && kind_at(ahead + 1) == Token::Kind::kVariable) {
        names.push_back(tokens_[ahead + 1].text);
        ahead += 2;
      }
      if (kind_at(ahead) == Token::Kind::kPunctuation && (text_at(ahead) == ":=" || text_at(ahead) == "=")) {
        out.variables = std::move(names);
        out.declares = text_at(ahead) == ":=";
        next_ = ahead + 1;
      }
    }
    do {
      Command command;
      command.line = line_;
      while (true) {
        const auto& token = peek();
        if (token.kind == Token::Kind::kEnd) break;
        if (token.kind == Token::Kind::kPunctuation && token.text != "(") break;
        Operand argument;
        QD_TRY(operand(argument, depth));
        command.arguments.push_back(std::move(argument));
      }
      if (command.arguments.empty()) return error("a value is missing");
      out.commands.push_back(std::move(command));
    } while (take_punctuation("|"));
    for (const auto& name : out.variables) {
      if (out.declares)
        variables_.push_back(name);
      else if (std::find(variables_.begin(), variables_.end(), name) == variables_.end())
        return error(fmt::format("undefined variable ${}", name));
    }
    return true;
  }

  Result<bool> operand(Operand& out, std::size_t depth) {
    const Token token = tokens_[next_++];
    switch (token.kind) {
      case Token::Kind::kWord:
        QD_TRY(word(token.text, out));
        break;
      case Token::Kind::kField:
        out.kind = token.text.empty() ? Operand::Kind::kDot : Operand::Kind::kField;
        if (!token.text.empty()) out.fields.push_back(token.text);
        break;
      case Token::Kind::kVariable:
        if (std::find(variables_.begin(), variables_.end(), token.text) == variables_.end())
          return error(fmt::format("undefined variable ${}", token.text));
        out.kind = Operand::Kind::kVariable;
        out.name = token.text;
        break;
      case Token::Kind::kString:
        out.kind = Operand::Kind::kConstant;
        out.constant = token.text;
        break;
      case Token::Kind::kCharacter:
        out.kind = Operand::Kind::kConstant;
        if (token.text.size() != 1) return error("a character in ' must be one ASCII character");
        out.constant = static_cast<std::int64_t>(token.text[0]);
        break;
      case Token::Kind::kNumber:
        QD_TRY(number(token.text, out));
        break;
      case Token::Kind::kPunctuation:
        out.kind = Operand::Kind::kPipeline;
        out.pipeline = std::make_shared<Pipeline>();
        QD_TRY(pipeline(*out.pipeline, depth + 1));
        if (!take_punctuation(")")) return error("unclosed parenthesis");
        break;
      case Token::Kind::kEnd:
        return error("a value is missing");
    }
    while (peek().kind == Token::Kind::kField && !peek().space_before && !peek().text.empty())
      out.fields.push_back(tokens_[next_++].text);
    return true;
  }

  Result<bool> word(const std::string& text, Operand& out) {
    out.kind = Operand::Kind::kConstant;
    if (text == "true" || text == "false") {
      out.constant = text == "true";
    } else if (text == "nil") {
      out.constant = Value();
    } else if (builtin_functions().contains(text) || program_.functions.contains(text)) {
      out.kind = Operand::Kind::kFunction;
      out.name = text;
    } else {
      return error(fmt::format("function \"{}\" is not known here", text));
    }
    return true;
  }

  // 0x1F, 0o17, 0b101, also with a sign.
  static std::optional<std::int64_t> based_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    if (text.size() < 3 || text[0] != '0') return std::nullopt;
    const char mark = static_cast<char>(text[1] | 0x20);
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    std::int64_t value = 0;
    if (base == 0) return std::nullopt;
    const auto parsed = std::from_chars(text.data() + 2, text.data() + text.size(), value, base);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return negative ? -value : value;
  }

  Result<bool> number(std::string_view text, Operand& out) {
    out.kind = Operand::Kind::kConstant;
    if (const auto based = based_integer(text)) {
      out.constant = *based;
      return true;
    }
    const auto digits = text.front() == '+' ? text.substr(1) : text;
    std::int64_t integer = 0;
    const auto whole = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
    if (whole.ec == std::errc() && whole.ptr == digits.data() + digits.size()) {
      out.constant = integer;
      return true;
    }
    const auto value = base::parse_float(text);
    if (!value) return error(fmt::format("bad number \"{}\"", text));
    out.constant = *value;
    return true;
  }

  std::string_view name_;
  std::string_view text_;
  Template::Program& program_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool trim_next_ = false;
  bool in_action_ = false;
  int range_depth_ = 0;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  std::vector<std::string> variables_{""};  // "$" itself
};

base::Result<Template> Template::parse(std::string_view name, std::string_view text, Functions functions) {
  auto program = std::make_shared<Program>();
  program->name = std::string(name);
  program->functions = std::move(functions);
  QD_TRY(Parser(name, text, *program).run());
  return Template(std::move(program));
}

}  // namespace qd::model::tmpl
