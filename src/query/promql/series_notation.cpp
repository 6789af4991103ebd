#include "query/promql/series_notation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/strings.h"
#include "model/histogram_arithmetic.h"
#include "query/promql/grid.h"
#include "query/promql/histogram_notation.h"
#include "query/promql/lexer.h"
#include "query/promql/unquote.h"

namespace qd::query::promql {

namespace {

using base::ErrorCode;

std::unexpected<base::Error> bad_series(std::string_view what, std::string_view text) {
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

// The sign of the step in 1+2 or -1m-30s: the last one that is neither first nor of an exponent.
std::size_t step_begin(std::string_view value) {
  for (std::size_t i = value.size(); i-- > 1;) {
    if ((value[i] == '+' || value[i] == '-') && value[i - 1] != 'e' && value[i - 1] != 'E') return i;
  }
  return value.size();
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
      const auto value = number(word);
      if (!value) return bad_series(fmt::format("bad value \"{}\"", word), line_);
      return push(*value, false, 1);
    }
    const auto count = count_of(word.substr(times + 1));
    if (!count) return bad_series(fmt::format("bad repetition \"{}\"", word), line_);
    return repeated(word.substr(0, times), *count);
  }

 private:
  std::optional<double> number(std::string_view text) const {
    if (!out_.start_times) return base::parse_float(text);
    if (text == "0") return 0;
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    const auto ms = base::parse_duration_ms(text);
    if (!ms) return std::nullopt;
    return static_cast<double>(negative ? -*ms : *ms);
  }

  base::Status make_room(std::size_t count) const {
    // The sum cannot wrap: the count is one size_t, the rest is small.
    if (count <= kNotationValuesMax && out_.values.size() + count <= kNotationValuesMax) return {};
    return base::fail(ErrorCode::kLimit, fmt::format("more than {} values in one series", kNotationValuesMax));
  }

  base::Status push(double value, bool stale, std::size_t count) {
    QD_TRY(make_room(count));
    out_.values.insert(out_.values.end(), count, value);
    out_.stale.insert(out_.stale.end(), count, stale);
    if (!out_.histograms.empty()) {
      out_.histograms.resize(out_.values.size());
      out_.hints.resize(out_.values.size());
    }
    return {};
  }

  base::Status push(model::HistogramPtr histogram, bool hint) {
    QD_TRY(push(kAbsent, false, 1));
    out_.histograms.resize(out_.values.size());
    out_.hints.resize(out_.values.size());
    out_.histograms.back() = std::move(histogram);
    out_.hints.back() = hint;
    return {};
  }

  base::Status repeated(std::string_view value, std::size_t count) {
    if (value == "_") return push(kAbsent, false, count);
    QD_TRY(make_room(count));
    if (value == "stale") return push(kAbsent, true, count + 1);
    const std::size_t split = step_begin(value);
    const auto first = number(value.substr(0, split));
    const auto step = split == value.size() ? std::optional<double>(0) : number(value.substr(split));
    if (!first || !step) return bad_series(fmt::format("bad value \"{}\"", value), line_);
    double at = *first;
    for (std::size_t i = 0; i <= count; ++i) {
      QD_TRY(push(at, false, 1));
      at += *step;
    }
    return {};
  }

  // {{a}}, {{a}}x3, {{a}}+{{b}}x3, {{a}}-{{b}}x3
  base::Status histograms(std::string_view word) {
    const std::string_view whole = word;
    QD_ASSIGN(NotatedHistogram at, take_histogram(word));
    std::optional<NotatedHistogram> step;
    const bool adds = word.starts_with('+');
    if (adds || word.starts_with('-')) {
      word.remove_prefix(1);
      QD_ASSIGN(step, take_histogram(word));
    }
    std::size_t count = 0;
    if (word.starts_with('x')) {
      const auto given = count_of(word.substr(1));
      if (!given) return bad_series(fmt::format("bad repetition \"{}\"", whole), line_);
      count = *given;
    } else if (!word.empty() || step) {
      return bad_series(fmt::format("bad histogram \"{}\"", whole), line_);
    }
    QD_TRY(make_room(count));
    for (std::size_t i = 0; i <= count; ++i) {
      QD_TRY(push(std::make_shared<const model::Histogram>(at.histogram), at.hint_given));
      if (!step) continue;
      const model::CounterReset hint = at.histogram.reset;
      const model::Joined joined =
          adds ? model::add(at.histogram, step->histogram) : model::subtract(at.histogram, step->histogram);
      if (!joined.compatible) return bad_series("exponential and custom buckets do not add up", line_);
      at.histogram.reset = hint;
    }
    return {};
  }

  base::Result<NotatedHistogram> take_histogram(std::string_view& word) const {
    const std::size_t end = word.find("}}");
    if (!word.starts_with("{{") || end == std::string_view::npos) {
      return bad_series(fmt::format("expected {{{{...}}}} instead of \"{}\"", word), line_);
    }
    const std::string_view inside = word.substr(2, end - 2);
    word.remove_prefix(end + 2);
    return parse_histogram(inside);
  }

  NotatedSeries& out_;
  const std::string_view line_;
};

}  // namespace

base::Result<model::LabelSet> parse_metric(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return bad_series(tokens.error().message(), text);
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
      if (!is(TokenKind::kIdentifier) && !is(TokenKind::kString)) return bad_series("expected a label", text);
      std::string name(text_of((*tokens)[at]));
      const bool quoted = is(TokenKind::kString);
      if (quoted) {
        QD_ASSIGN(name, unquote(name));
      }
      ++at;
      if (is(TokenKind::kAssign)) {
        ++at;
        if (!is(TokenKind::kString)) return bad_series("expected a quoted label value", text);
        QD_ASSIGN(const std::string value, unquote(text_of((*tokens)[at++])));
        builder.set(name, value);
      } else if (quoted) {
        builder.set(model::kMetricName, name);
      } else {
        return bad_series("expected '=' after a label name", text);
      }
      if (is(TokenKind::kComma)) {
        ++at;
      } else if (!is(TokenKind::kRightBrace)) {
        return bad_series("expected ',' or '}'", text);
      }
    }
    ++at;
  }
  if (!is(TokenKind::kEnd)) return bad_series("unexpected text after the metric", text);
  return builder.build();
}

base::Result<NotatedSeries> parse_series(std::string_view line) {
  NotatedSeries out;
  line = base::trim(line);
  const std::size_t length = metric_length(line);
  QD_ASSIGN(out.labels, parse_metric(line.substr(0, length)));
  std::string_view rest = line.substr(length);
  if (rest.starts_with("@st")) {
    out.start_times = true;
    rest.remove_prefix(3);
  }
  Values values(out, line);
  for (const std::string_view word : words(rest)) QD_TRY(values.add(word));
  return out;
}

}  // namespace qd::query::promql
