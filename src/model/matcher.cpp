#include "model/matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "base/strings.h"

namespace qd::model {

using base::ErrorCode;

namespace {

// Compiled programs and their state caches, for one pattern.
constexpr std::int64_t kRegexMemoryBytes = 8 << 20;
constexpr std::size_t kPatternLimitBytes = 1 << 20;
// Past these a pattern is left to RE2.
constexpr std::size_t kLiteralsLimit = 16 << 10;
constexpr std::size_t kLiteralsLimitBytes = 2 << 20;
constexpr int kGroupDepthLimit = 16;

constexpr std::string_view kMeta = "\\.+*?()|[]{}^$";

bool is_meta(char c) {
  return kMeta.find(c) != std::string_view::npos;
}

// RE2 takes a backslash before any ASCII punctuation but '_' as the character itself.
bool is_plain_escape(char c) {
  return c >= '!' && c <= '~' && c != '_' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
         !(c >= 'A' && c <= 'Z');
}

// Reads a pattern made of literals, groups and alternations into the values that it matches; nothing when anything else
// stands in it.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view pattern) : pattern_(pattern) {}

  std::optional<std::vector<std::string>> read() {
    auto values = alternation(0);
    if (!values || at_ != pattern_.size()) return std::nullopt;
    std::ranges::sort(*values);
    const auto repeated = std::ranges::unique(*values);
    values->erase(repeated.begin(), repeated.end());
    return values;
  }

 private:
  using Values = std::vector<std::string>;

  std::optional<Values> alternation(int depth) {
    if (depth > kGroupDepthLimit) return std::nullopt;
    Values all;
    while (true) {
      auto some = sequence(depth);
      if (!some || all.size() + some->size() > kLiteralsLimit) return std::nullopt;
      std::ranges::move(*some, std::back_inserter(all));
      if (at_ == pattern_.size() || pattern_[at_] != '|') return all;
      ++at_;
    }
  }

  std::optional<Values> sequence(int depth) {
    Values values(1);
    while (at_ < pattern_.size() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      char c = pattern_[at_];
      if (c == '(') {
        ++at_;
        if (pattern_.substr(at_).starts_with("?:")) at_ += 2;
        const auto inner = alternation(depth + 1);
        if (!inner || at_ == pattern_.size() || pattern_[at_] != ')') return std::nullopt;
        ++at_;
        if (!multiply(values, *inner)) return std::nullopt;
        continue;
      }
      if (c == '\\') {
        if (++at_ == pattern_.size() || !is_plain_escape(pattern_[at_])) return std::nullopt;
        c = pattern_[at_];
      } else if (is_meta(c)) {
        return std::nullopt;
      }
      ++at_;
      for (std::string& value : values) value.push_back(c);
      if (!charge(values.size())) return std::nullopt;
    }
    return values;
  }

  bool multiply(Values& values, const Values& by) {
    if (values.size() * by.size() > kLiteralsLimit) return false;
    Values product;
    product.reserve(values.size() * by.size());
    for (const std::string& head : values) {
      for (const std::string& tail : by) {
        if (!charge(head.size() + tail.size())) return false;
        product.push_back(head + tail);
      }
    }
    values = std::move(product);
    return true;
  }

  bool charge(std::size_t bytes) {
    bytes_ += bytes;
    return bytes_ <= kLiteralsLimitBytes;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::size_t bytes_ = 0;
};

// The literal that every match begins with. Alternatives anywhere (or what could hide one from a reader that does not
// know classes and \Q) make it empty: then nothing is promised.
std::string read_prefix(std::string_view pattern) {
  if (pattern.find('|') != std::string_view::npos) return {};
  std::string prefix;
  std::size_t last = 0;  // where the last character begins
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    char c = pattern[at];
    if (c == '*' || c == '?' || c == '{' || c == '+') {
      prefix.resize(last);
      break;
    }
    if (c == '\\') {
      if (at + 1 == pattern.size() || !is_plain_escape(pattern[at + 1])) break;
      c = pattern[++at];
    } else if (is_meta(c)) {
      break;
    }
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) last = prefix.size();
    prefix.push_back(c);
  }
  return prefix;
}

// What stands before and after the literal of `.*literal.*` and its kin.
enum class Wild : std::uint8_t { kNone, kAny, kSome };

Wild take_wild_front(std::string_view& pattern) {
  const Wild wild = pattern.starts_with(".*") ? Wild::kAny : pattern.starts_with(".+") ? Wild::kSome : Wild::kNone;
  if (wild != Wild::kNone) pattern.remove_prefix(2);
  return wild;
}

Wild take_wild_back(std::string_view& pattern) {
  const Wild wild = pattern.ends_with(".*") ? Wild::kAny : pattern.ends_with(".+") ? Wild::kSome : Wild::kNone;
  if (wild == Wild::kNone) return wild;
  std::size_t backslashes = 0;
  while (backslashes < pattern.size() - 2 && pattern[pattern.size() - 3 - backslashes] == '\\') ++backslashes;
  if (backslashes % 2 == 1) return Wild::kNone;
  pattern.remove_suffix(2);
  return wild;
}

}  // namespace

struct Matcher::Pattern {
  enum class Kind { kLiterals, kAround, kRegex };

  Kind kind = Kind::kRegex;
  std::vector<std::string> literals;  // sorted
  std::string literal;                // of kAround
  Wild front = Wild::kNone;
  Wild back = Wild::kNone;
  std::string prefix;
  std::unique_ptr<RE2> regex;

  bool matches(std::string_view value) const {
    switch (kind) {
      case Kind::kLiterals:
        return literals.size() == 1 ? literals.front() == value
                                    : std::ranges::binary_search(literals, value, std::less<std::string_view>());
      case Kind::kAround:
        return matches_around(value);
      case Kind::kRegex:
        break;
    }
    return value.starts_with(prefix) && RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *regex);
  }

  bool matches_around(std::string_view value) const {
    const std::size_t before = front == Wild::kSome ? 1 : 0;
    const std::size_t after = back == Wild::kSome ? 1 : 0;
    if (literal.empty() && front != Wild::kNone && back != Wild::kNone) return value.size() >= before + after;
    if (value.size() < before + literal.size() + after) return false;
    if (front == Wild::kNone) return value.starts_with(literal);
    if (back == Wild::kNone) return value.ends_with(literal);
    return value.substr(before, value.size() - before - after).find(literal) != std::string_view::npos;
  }
};

Matcher::Matcher(Kind kind, std::string name, std::string value)
    : kind_(kind), name_(std::move(name)), value_(std::move(value)) {}

Matcher Matcher::equal(std::string name, std::string value) {
  Matcher matcher(Kind::kEqual, std::move(name), std::move(value));
  matcher.matches_empty_ = matcher.value_.empty();
  return matcher;
}

base::Result<Matcher> Matcher::create(Kind kind, std::string name, std::string value) {
  Matcher matcher(kind, std::move(name), std::move(value));
  if (kind == Kind::kRegex || kind == Kind::kNotRegex) {
    const std::string& text = matcher.value_;
    if (text.size() > kPatternLimitBytes) {
      return base::fail(ErrorCode::kLimit, "regular expression for label \"" + matcher.name_ + "\" is " +
                                               std::to_string(text.size()) + " bytes long; at most " +
                                               std::to_string(kPatternLimitBytes) + " are taken");
    }
    if (!base::valid_utf8(text)) {
      return base::fail(ErrorCode::kInvalid, "regular expression for label \"" + matcher.name_ + "\" is not UTF-8");
    }
    auto pattern = std::make_shared<Pattern>();
    std::string_view middle = text;
    const Wild front = take_wild_front(middle);
    const Wild back = take_wild_back(middle);
    if (auto literals = LiteralReader(text).read()) {
      pattern->kind = Pattern::Kind::kLiterals;
      pattern->literals = std::move(*literals);
      pattern->prefix = pattern->literals.size() == 1 ? pattern->literals.front() : std::string();
    } else if (auto around = LiteralReader(middle).read();
               around && around->size() == 1 && middle.find('|') == std::string_view::npos) {
      pattern->kind = Pattern::Kind::kAround;
      pattern->literal = std::move(around->front());
      pattern->front = front;
      pattern->back = back;
      if (front == Wild::kNone) pattern->prefix = pattern->literal;
    } else {
      RE2::Options options;
      options.set_dot_nl(true);
      options.set_log_errors(false);
      options.set_never_capture(true);
      options.set_max_mem(kRegexMemoryBytes);
      pattern->regex = std::make_unique<RE2>(text, options);
      if (!pattern->regex->ok()) {
        return base::fail(
            pattern->regex->error_code() == RE2::ErrorPatternTooLarge ? ErrorCode::kLimit : ErrorCode::kInvalid,
            "regular expression " + base::quote(text) + ": " + pattern->regex->error());
      }
      pattern->prefix = read_prefix(text);
    }
    matcher.pattern_ = std::move(pattern);
  }
  matcher.matches_empty_ = matcher.matches(std::string_view());
  return matcher;
}

bool Matcher::matches(std::string_view value) const {
  switch (kind_) {
    case Kind::kEqual:
      return value == value_;
    case Kind::kNotEqual:
      return value != value_;
    case Kind::kRegex:
      return pattern_->matches(value);
    case Kind::kNotRegex:
      return !pattern_->matches(value);
  }
  return false;
}

std::span<const std::string> Matcher::literal_values() const {
  if (kind_ == Kind::kEqual) return {&value_, 1};
  if (kind_ == Kind::kRegex && pattern_->kind == Pattern::Kind::kLiterals) return pattern_->literals;
  return {};
}

std::string_view Matcher::literal_prefix() const {
  return kind_ == Kind::kRegex ? std::string_view(pattern_->prefix) : std::string_view();
}

std::string Matcher::to_string() const {
  static constexpr std::string_view kOperators[] = {"=", "!=", "=~", "!~"};
  std::string out = valid_label_name(name_) ? name_ : base::quote(name_);
  out.append(kOperators[static_cast<std::size_t>(kind_)]);
  out.append(base::quote(value_));
  return out;
}

bool matches_all(std::span<const Matcher> matchers, const LabelSet& labels) {
  return std::ranges::all_of(matchers, [&](const Matcher& matcher) { return matcher.matches(labels); });
}

}  // namespace qd::model
