#include "query/promql/series_notation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/strings.h"
#include "query/promql/grid.h"
#include "query/promql/lexer.h"
#include "query/promql/unquote.h"

namespace qd::query::promql {

namespace {

using base::ErrorCode;

std::unexpected<base::Error> bad(std::string_view what, std::string_view text) {
  return base::fail(ErrorCode::kInvalid, fmt::format("{} in \"{}\"", what, text));
}

// The length of the metric at the front: a name, braces, or both, with quotes inside.
std::size_t metric_length(std::string_view line) {
  std::size_t i = 0;
  while (i < line.size() && line[i] != '{' && line[i] != ' ' && line[i] != '\t' && line[i] != '@') ++i;
  if (i == line.size() || line[i] != '{') return i;
  char quote = 0;
  for (; i < line.size(); ++i) {
    if (quote != 0) {
      if (line[i] == '\\' && quote != '`') {
        ++i;
      } else if (line[i] == quote) {
        quote = 0;
      }
    } else if (line[i] == '"' || line[i] == '\'' || line[i] == '`') {
      quote = line[i];
    } else if (line[i] == '}') {
      return i + 1;
    }
  }
  return line.size();
}

// Words between blanks; what stands in {{ }} is one word.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && (text[i] == ' ' || text[i] == '\t')) ++i;
    const std::size_t begin = i;
    bool inside = false;
    while (i < text.size() && (inside || (text[i] != ' ' && text[i] != '\t'))) {
      if (text.substr(i, 2) == "{{") inside = true;
      if (text.substr(i, 2) == "}}") inside = false;
      ++i;
    }
    if (i > begin) out.push_back(text.substr(begin, i - begin));
  }
  return out;
}

std::optional<std::size_t> count_of(std::string_view text) {
  std::size_t count = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), count);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  return count;
}

class Values {
 public:
  Values(NotatedSeries& out, std::string_view line) : out_(out), line_(line) {}

  base::Status add(std::string_view word) {
    if (word.find("{{") != std::string_view::npos) return histograms(word);
    if (word == "stale") return push(kAbsent, true, 1);
    if (word == "_") return push(kAbsent, false, 1);
    const std::size_t times = word.rfind('x');
    // 0x10 is a number repeated, not one in hexadecimal.
    if (times == std::string_view::npos) {
      const auto value = base::parse_float(word);
      if (!value) return bad(fmt::format("bad value \"{}\"", word), line_);
      return push(*value, false, 1);
    }
    const auto count = count_of(word.substr(times + 1));
    if (!count) return bad(fmt::format("bad repetition \"{}\"", word), line_);
    return repeated(word.substr(0, times), *count);
  }

 private:
  base::Status push(double value, bool stale, std::size_t count) {
    if (out_.values.size() + count > kNotationValuesMax) {
      return base::fail(ErrorCode::kLimit, fmt::format("more than {} values in one series", kNotationValuesMax));
    }
    out_.values.insert(out_.values.end(), count, value);
    out_.stale.insert(out_.stale.end(), count, stale);
    return {};
  }

  base::Status repeated(std::string_view value, std::size_t count) {
    if (value == "_") return push(kAbsent, false, count);
    if (value == "stale") return push(kAbsent, true, count + 1);
    // The sign of the step is the last one that is neither first nor of an exponent.
    std::size_t split = value.size();
    for (std::size_t i = value.size(); i-- > 1;) {
      if ((value[i] == '+' || value[i] == '-') && value[i - 1] != 'e' && value[i - 1] != 'E') {
        split = i;
        break;
      }
    }
    const auto first = base::parse_float(value.substr(0, split));
    const auto step = split == value.size() ? std::optional<double>(0) : base::parse_float(value.substr(split));
    if (!first || !step) return bad(fmt::format("bad value \"{}\"", value), line_);
    double at = *first;
    for (std::size_t i = 0; i <= count; ++i) {
      QD_TRY(push(at, false, 1));
      at += *step;
    }
    return {};
  }

  base::Status histograms(std::string_view word) {
    out_.has_histograms = true;
    const std::size_t end = word.rfind("}}");
    std::size_t count = 1;
    if (end != std::string_view::npos && word.substr(end + 2).starts_with("x")) {
      const auto given = count_of(word.substr(end + 3));
      if (!given) return bad(fmt::format("bad repetition \"{}\"", word), line_);
      count = *given + 1;
    }
    return push(kAbsent, false, count);
  }

  NotatedSeries& out_;
  const std::string_view line_;
};

}  // namespace

base::Result<model::LabelSet> parse_metric(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return bad(tokens.error().message(), text);
  const auto text_of = [&](const Token& token) {
    return text.substr(token.span.begin, token.span.end - token.span.begin);
  };
  model::LabelBuilder builder;
  std::size_t at = 0;
  const auto is = [&](TokenKind kind) { return (*tokens)[at].kind == kind; };
  if (is(TokenKind::kIdentifier) || is(TokenKind::kMetricIdentifier)) {
    builder.set(model::kMetricName, text_of((*tokens)[at++]));
  }
  if (is(TokenKind::kLeftBrace)) {
    ++at;
    while (!is(TokenKind::kRightBrace)) {
      if (!is(TokenKind::kIdentifier) && !is(TokenKind::kString)) return bad("expected a label", text);
      std::string name(text_of((*tokens)[at]));
      const bool quoted = is(TokenKind::kString);
      if (quoted) {
        QD_ASSIGN(name, unquote(name));
      }
      ++at;
      if (is(TokenKind::kAssign)) {
        ++at;
        if (!is(TokenKind::kString)) return bad("expected a quoted label value", text);
        QD_ASSIGN(const std::string value, unquote(text_of((*tokens)[at++])));
        builder.set(name, value);
      } else if (quoted) {
        builder.set(model::kMetricName, name);
      } else {
        return bad("expected '=' after a label name", text);
      }
      if (is(TokenKind::kComma)) {
        ++at;
      } else if (!is(TokenKind::kRightBrace)) {
        return bad("expected ',' or '}'", text);
      }
    }
    ++at;
  }
  if (!is(TokenKind::kEnd)) return bad("unexpected text after the metric", text);
  return builder.build();
}

base::Result<NotatedSeries> parse_series(std::string_view line) {
  NotatedSeries out;
  line = base::trim(line);
  const std::size_t length = metric_length(line);
  QD_ASSIGN(out.labels, parse_metric(line.substr(0, length)));
  std::string_view rest = line.substr(length);
  if (rest.starts_with("@st")) {
    out.start_timestamps = true;
    return out;
  }
  Values values(out, line);
  for (const std::string_view word : words(rest)) QD_TRY(values.add(word));
  return out;
}

}  // namespace qd::query::promql
