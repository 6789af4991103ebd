// A test script, read: what script.cpp runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/promql/series_notation.h"

namespace qd::query::promql {

// `expect warn`, `expect warn msg: text`, `expect no_warn`, and so on for info and fail.
struct RemarkExpectation {
  bool some = false;
  bool none = false;
  std::vector<std::string> messages;  // exact
  std::vector<std::string> patterns;  // regular expressions
};

struct LoadCommand {
  std::int64_t gap_ms = 0;
  bool with_histograms = false;  // load_with_nhcb
  std::vector<NotatedSeries> series;
};

struct EvalCommand {
  bool range = false;
  std::int64_t start_ms = 0;  // the time of an instant query
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
  std::string expression;
  bool ordered = false;
  RemarkExpectation warn;
  RemarkExpectation info;
  RemarkExpectation fail;
  std::optional<std::string> string;
  std::optional<double> scalar;
  // expect range vector from A to B step C: the series lines hold the samples of an instant query.
  bool range_vector = false;
  std::int64_t vector_start_ms = 0;
  std::int64_t vector_step_ms = 0;
  std::vector<NotatedSeries> series;
  std::string expected;  // the lines, for the report
};

struct ScriptCommand {
  enum class Kind { kClear, kLoad, kEval };
  Kind kind = Kind::kClear;
  std::size_t line = 0;  // from 1
  LoadCommand load;
  EvalCommand eval;
};

// What could not be read stands among the commands as an error with its line.
struct ScriptLine {
  std::size_t line = 0;
  base::Result<ScriptCommand> command;
};
std::vector<ScriptLine> read_script(std::string_view text);

}  // namespace qd::query::promql
