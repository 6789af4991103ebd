#include "query/promql/script_command.h"

#include <fmt/format.h>

#include <utility>

#include "base/strings.h"
#include "query/promql/lexer.h"
#include "query/promql/unquote.h"

namespace qd::query::promql {

namespace {

using base::ErrorCode;
using base::Result;
using base::Status;

std::unexpected<base::Error> bad(std::string message) {
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

// The next word, taken off the front.
std::string_view next_word(std::string_view& text) {
  text = base::trim(text);
  std::size_t end = 0;
  while (end < text.size() && text[end] != ' ' && text[end] != '\t') ++end;
  const std::string_view word = text.substr(0, end);
  text = base::trim(text.substr(end));
  return word;
}

bool accept_word(std::string_view& text, std::string_view wanted) {
  std::string_view rest = text;
  if (next_word(rest) != wanted) return false;
  text = rest;
  return true;
}

// A duration, or plain seconds.
Result<std::int64_t> time_of(std::string_view word) {
  if (const auto ms = base::parse_duration_ms(word)) return *ms;
  if (const auto seconds = base::parse_float(word); seconds && *seconds > -1e12 && *seconds < 1e12) {
    return static_cast<std::int64_t>(*seconds * 1000);
  }
  return bad(fmt::format("bad time \"{}\"", word));
}

Status keyword_and_time(std::string_view& text, std::string_view keyword, std::int64_t& out) {
  if (!accept_word(text, keyword)) return bad(fmt::format("expected \"{}\" before \"{}\"", keyword, text));
  QD_ASSIGN(out, time_of(next_word(text)));
  return {};
}

class CommandReader {
 public:
  explicit CommandReader(std::string_view text) {
    for (std::string_view line : base::split(text, '\n')) {
      line = base::trim(line);
      lines_.push_back(line.starts_with('#') ? std::string_view() : line);
    }
  }

  std::vector<ScriptLine> run() {
    std::vector<ScriptLine> out;
    while (at_ < lines_.size()) {
      if (lines_[at_].empty()) {
        ++at_;
        continue;
      }
      const std::size_t line = at_ + 1;
      auto read = command();
      if (read) {
        read->line = line;
      } else {
        while (at_ < lines_.size() && !lines_[at_].empty()) ++at_;
      }
      out.push_back({line, std::move(read)});
    }
    return out;
  }

 private:
  Result<ScriptCommand> command() {
    std::string_view rest = lines_[at_++];
    const std::string_view word = next_word(rest);
    ScriptCommand out;
    if (word == "clear") return out;
    if (word == "load" || word == "load_with_nhcb") {
      out.kind = ScriptCommand::Kind::kLoad;
      out.load.with_histograms = word == "load_with_nhcb";
      QD_TRY(load(rest, out.load));
      return out;
    }
    if (word == "eval" || word.starts_with("eval_")) {
      out.kind = ScriptCommand::Kind::kEval;
      QD_TRY(eval(word, rest, out.eval));
      return out;
    }
    return bad(fmt::format("unknown command \"{}\"", word));
  }

  Status load(std::string_view rest, LoadCommand& out) {
    QD_ASSIGN(out.gap_ms, time_of(rest));
    for (; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      QD_ASSIGN(NotatedSeries series, parse_series(lines_[at_]));
      out.series.push_back(std::move(series));
    }
    return {};
  }

  Status eval(std::string_view word, std::string_view rest, EvalCommand& out) {
    if (word == "eval_ordered") {
      out.ordered = true;
    } else if (word == "eval_fail") {
      out.fail.some = true;
    } else if (word == "eval_warn") {
      out.warn.some = true;
    } else if (word == "eval_info") {
      out.info.some = true;
    } else if (word != "eval") {
      return bad(fmt::format("unknown command \"{}\"", word));
    }
    if (accept_word(rest, "instant")) {
      QD_TRY(keyword_and_time(rest, "at", out.start_ms));
    } else if (accept_word(rest, "range")) {
      out.range = true;
      QD_TRY(keyword_and_time(rest, "from", out.start_ms));
      QD_TRY(keyword_and_time(rest, "to", out.end_ms));
      QD_TRY(keyword_and_time(rest, "step", out.step_ms));
    } else {
      return bad("expected \"instant at\" or \"range from\" after eval");
    }
    out.expression = rest;
    for (; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      if (!out.expected.empty()) out.expected += "\n";
      out.expected += lines_[at_];
      QD_TRY(expectation(lines_[at_], out));
    }
    return {};
  }

  Status expectation(std::string_view line, EvalCommand& out) {
    std::string_view rest = line;
    if (accept_word(rest, "expect")) return expect(rest, out);
    if (line.starts_with("expected_fail_message ")) {
      out.fail.messages.emplace_back(base::trim(line.substr(22)));
      return {};
    }
    if (line.starts_with("expected_fail_regexp ")) {
      out.fail.patterns.emplace_back(base::trim(line.substr(21)));
      return {};
    }
    if (const auto value = base::parse_float(line)) {
      out.scalar = value;
      return {};
    }
    QD_ASSIGN(NotatedSeries series, parse_series(line));
    out.series.push_back(std::move(series));
    return {};
  }

  Status expect(std::string_view rest, EvalCommand& out) {
    const std::string_view what = next_word(rest);
    if (what == "ordered") {
      out.ordered = true;
      return {};
    }
    if (what == "string") {
      QD_ASSIGN(out.string, unquote(rest));
      return {};
    }
    if (what == "range" && accept_word(rest, "vector")) {
      out.range_vector = true;
      std::int64_t end = 0;
      QD_TRY(keyword_and_time(rest, "from", out.vector_start_ms));
      QD_TRY(keyword_and_time(rest, "to", end));
      return keyword_and_time(rest, "step", out.vector_step_ms);
    }
    if (what == "no_warn" || what == "no_info") {
      (what == "no_warn" ? out.warn : out.info).none = true;
      return {};
    }
    RemarkExpectation* remark = what == "warn"   ? &out.warn
                                : what == "info" ? &out.info
                                : what == "fail" ? &out.fail
                                                 : nullptr;
    if (remark == nullptr) return bad(fmt::format("unknown expectation \"{}\"", what));
    remark->some = true;
    if (rest.empty()) return {};
    if (rest.starts_with("msg:")) {
      remark->messages.emplace_back(base::trim(rest.substr(4)));
    } else if (rest.starts_with("regex:")) {
      remark->patterns.emplace_back(base::trim(rest.substr(6)));
    } else {
      return bad(fmt::format("expected msg: or regex: before \"{}\"", rest));
    }
    return {};
  }

  std::vector<std::string_view> lines_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<ScriptLine> read_script(std::string_view text) {
  return CommandReader(text).run();
}

}  // namespace qd::query::promql
