#include "query/promql/script.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <variant>

#include "base/clock.h"
#include "base/strings.h"
#include "model/histogram_arithmetic.h"
#include "model/histogram_estimates.h"
#include "query/promql/classic_conversion.h"
#include "query/promql/engine.h"
#include "query/promql/grid.h"
#include "query/promql/memory_querier.h"
#include "query/promql/parser.h"
#include "query/promql/script_command.h"

namespace qd::query::promql {

namespace {

// Results may differ by this much, relatively.
constexpr double kTolerance = 1e-6;
// An instant query is also run as a range over these steps around it.
constexpr std::int64_t kAroundMs = 60'000;

bool nearly(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  constexpr double kSmallest = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kSmallest) return difference < kTolerance * kSmallest;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kTolerance;
}

bool nearly(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return nearly(x, y); });
}

bool nearly(model::Histogram a, model::Histogram b) {
  model::compact(a);
  model::compact(b);
  return a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.custom_bounds == b.custom_bounds &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans && nearly(a.count, b.count) &&
         nearly(a.sum, b.sum) && nearly(a.zero_count, b.zero_count) && nearly(a.positive, b.positive) &&
         nearly(a.negative, b.negative);
}

// Whether value i of `series` is the number, or the histogram if that is not null.
bool nearly(const NotatedSeries& series, std::size_t i, double number, const model::Histogram* histogram) {
  const model::Histogram* expected = series.histogram(i);
  if ((expected == nullptr) != (histogram == nullptr)) return false;
  if (expected == nullptr) return nearly(series.values[i], number);
  return nearly(*expected, *histogram) && (!series.hints[i] || expected->reset == histogram->reset);
}

template <typename Sample>
const Sample* at_time(const std::vector<Sample>& samples, std::int64_t time_ms) {
  const auto found = std::lower_bound(samples.begin(), samples.end(), time_ms,
                                      [](const Sample& sample, std::int64_t time) { return sample.time_ms < time; });
  return found != samples.end() && found->time_ms == time_ms ? &*found : nullptr;
}

QueryOptions script_options() {
  QueryOptions options;
  options.experimental = true;
  options.delayed_name_removal = true;
  return options;
}

// "PromQL warning: text (1:5)" without its position.
std::string without_position(const std::string& remark) {
  const std::size_t at = remark.rfind(" (");
  if (at == std::string::npos || remark.back() != ')') return remark;
  const bool is_position = remark.find_first_not_of("0123456789:", at + 2) == remark.size() - 1;
  return is_position ? remark.substr(0, at) : remark;
}

std::string_view name_of(model::CounterReset hint) {
  constexpr std::string_view kNames[] = {"unknown", "reset", "not_reset", "gauge"};
  return kNames[static_cast<std::size_t>(hint)];
}

std::string print(const model::Histogram& histogram) {
  return fmt::format("{} schema {} {}", model::to_string(histogram), histogram.schema, name_of(histogram.reset));
}

std::string print(const Vector& vector) {
  std::string out;
  for (const VectorSample& sample : vector) {
    out += fmt::format("{} {}\n", sample.labels.to_string(),
                       sample.histogram == nullptr ? base::format_float(sample.value) : print(*sample.histogram));
  }
  return out;
}

std::string print(const Matrix& matrix) {
  std::string out;
  for (const MatrixSeries& series : matrix) {
    out += series.labels.to_string();
    for (const model::Sample& sample : series.samples) {
      out += fmt::format(" {}@{}", base::format_float(sample.value), sample.time_ms);
    }
    for (const HistogramSample& sample : series.histograms) {
      out += fmt::format(" {}@{}", print(*sample.histogram), sample.time_ms);
    }
    out += "\n";
  }
  return out;
}

std::string print(const QueryResult& result) {
  if (const auto* scalar = std::get_if<ScalarValue>(&result.value)) return base::format_float(scalar->value);
  if (const auto* string = std::get_if<StringValue>(&result.value)) return base::quote(string->value);
  std::string out = std::holds_alternative<Vector>(result.value) ? print(std::get<Vector>(result.value))
                                                                 : print(std::get<Matrix>(result.value));
  if (!out.empty()) out.pop_back();
  return out.empty() ? "no results" : out;
}

class Runner {
 public:
  explicit Runner(std::string_view file) : file_(file), engine_(nullptr, clock_), options_(script_options()) {}

  ScriptReport run(std::string_view text) {
    for (const ScriptLine& line : read_script(text)) {
      if (!line.command) {
        report_.failures.push_back({file_, line.line, "", "a command", line.command.error().message()});
        continue;
      }
      const ScriptCommand& command = *line.command;
      switch (command.kind) {
        case ScriptCommand::Kind::kClear:
          querier_.clear();
          break;
        case ScriptCommand::Kind::kLoad:
          load(command.load);
          break;
        case ScriptCommand::Kind::kEval:
          eval(command);
          break;
      }
    }
    return std::move(report_);
  }

 private:
  void load(const LoadCommand& command) {
    std::map<model::LabelSet, const NotatedSeries*> start_times;
    for (const NotatedSeries& series : command.series) {
      if (series.start_times) start_times[series.labels] = &series;
    }
    ClassicHistograms classic;
    for (const NotatedSeries& series : command.series) {
      if (series.start_times) continue;
      const auto starts = start_times.find(series.labels);
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        const std::int64_t time = static_cast<std::int64_t>(i) * command.gap_ms;
        const std::int64_t start = starts == start_times.end() ? 0 : start_time(*starts->second, i, time);
        add(series, i, time, start);
        if (command.with_histograms && !is_absent(series.values[i])) classic.add(series.labels, time, series.values[i]);
      }
    }
    for (ClassicHistograms::Native& native : classic.natives()) {
      querier_.add(native.labels, native.time_ms, std::move(native.histogram));
    }
  }

  void add(const NotatedSeries& series, std::size_t i, std::int64_t time, std::int64_t start) {
    if (series.histogram(i) != nullptr) {
      querier_.add(series.labels, time, series.histograms[i], start);
    } else if (series.stale[i]) {
      querier_.add(series.labels, time, model::stale_nan());
    } else if (!is_absent(series.values[i])) {
      querier_.add(series.labels, time, series.values[i], start);
    }
  }

  static std::int64_t start_time(const NotatedSeries& offsets, std::size_t i, std::int64_t time) {
    if (i >= offsets.values.size() || is_absent(offsets.values[i])) return 0;
    return time + static_cast<std::int64_t>(offsets.values[i]);
  }

  void eval(const ScriptCommand& script) {
    const EvalCommand& command = script.eval;
    const std::optional<std::string> got = command.range ? eval_range(command) : eval_instant(command);
    if (!got) {
      ++report_.passed;
      return;
    }
    report_.failures.push_back(
        {file_, script.line, command.expression, command.expected.empty() ? "no results" : command.expected, *got});
  }

  // --- what each kind of case checks; a text says what was wrong

  std::optional<std::string> eval_range(const EvalCommand& command) const {
    const auto result =
        engine_.range(querier_, command.expression, command.start_ms, command.end_ms, command.step_ms, options_);
    if (auto wrong = check_failure(command, result)) return wrong;
    if (!result) return std::nullopt;
    if (auto wrong = check_remarks(command, *result)) return wrong;
    return check_matrix(command, std::get<Matrix>(result->value), command.start_ms, command.step_ms);
  }

  std::optional<std::string> eval_instant(const EvalCommand& command) const {
    const auto result = engine_.instant(querier_, command.expression, command.start_ms, options_);
    if (auto wrong = check_failure(command, result)) return wrong;
    if (!result) return std::nullopt;
    if (auto wrong = check_remarks(command, *result)) return wrong;
    if (const auto* string = std::get_if<StringValue>(&result->value)) {
      if (command.string && *command.string == string->value) return std::nullopt;
      return print(*result);
    }
    if (command.range_vector) {
      const auto* matrix = std::get_if<Matrix>(&result->value);
      if (matrix == nullptr) return print(*result);
      return check_matrix(command, *matrix, command.vector_start_ms, command.vector_step_ms);
    }
    if (const auto* scalar = std::get_if<ScalarValue>(&result->value)) {
      if (!command.scalar || !nearly(*command.scalar, scalar->value)) return print(*result);
    } else if (const auto* vector = std::get_if<Vector>(&result->value)) {
      if (auto wrong = check_vector(command, *vector)) return wrong;
    } else {
      return print(*result);
    }
    if (command.ordered) return std::nullopt;
    return check_as_range(command);
  }

  // The same query as a range must give the same at its middle step.
  std::optional<std::string> check_as_range(const EvalCommand& command) const {
    const auto result = engine_.range(querier_, command.expression, command.start_ms - kAroundMs,
                                      command.start_ms + kAroundMs, kAroundMs, options_);
    if (!result) return "as a range query: " + result.error().message();
    Vector middle;
    for (const MatrixSeries& series : std::get<Matrix>(result->value)) {
      for (const model::Sample& sample : series.samples) {
        if (sample.time_ms == command.start_ms) middle.push_back({series.labels, sample.time_ms, sample.value});
      }
      for (const HistogramSample& sample : series.histograms) {
        if (sample.time_ms == command.start_ms) middle.push_back({series.labels, sample.time_ms, 0, sample.histogram});
      }
    }
    if (command.scalar) {
      if (middle.size() == 1 && middle[0].histogram == nullptr && nearly(middle[0].value, *command.scalar)) {
        return std::nullopt;
      }
      return "as a range query: " + print(middle);
    }
    if (const auto wrong = check_vector(command, middle)) return "as a range query: " + *wrong;
    return std::nullopt;
  }

  static std::optional<std::string> check_failure(const EvalCommand& command, const base::Result<QueryResult>& result) {
    if (command.fail.some && result) return "success: " + print(*result);
    if (!command.fail.some && !result) return "error: " + result.error().message();
    if (result) return std::nullopt;
    const std::string& message = result.error().message();
    for (const std::string& wanted : command.fail.messages) {
      if (message != wanted) return "error: " + message;
    }
    for (const std::string& pattern : command.fail.patterns) {
      if (!re2::RE2::PartialMatch(message, pattern)) return "error: " + message;
    }
    return std::nullopt;
  }

  static std::optional<std::string> check_remarks(const EvalCommand& command, const QueryResult& result) {
    if (auto wrong = check_remarks_of("warning", command.warn, result.warnings)) return wrong;
    return check_remarks_of("info", command.info, result.infos);
  }

  static std::optional<std::string> check_remarks_of(std::string_view kind, const RemarkExpectation& wanted,
                                                     const std::vector<std::string>& remarks) {
    if (wanted.none && !remarks.empty()) return fmt::format("{}: {}", kind, remarks[0]);
    if (wanted.some && remarks.empty()) return fmt::format("no {}", kind);
    const auto has = [&](auto&& matches) { return std::any_of(remarks.begin(), remarks.end(), matches); };
    for (const std::string& message : wanted.messages) {
      if (!has([&](const std::string& r) { return without_position(r) == message; })) {
        return fmt::format("{}: {}", kind, remarks[0]);
      }
    }
    for (const std::string& pattern : wanted.patterns) {
      if (!has([&](const std::string& r) { return re2::RE2::PartialMatch(r, pattern); })) {
        return fmt::format("{}: {}", kind, remarks[0]);
      }
    }
    return std::nullopt;
  }

  static std::optional<std::string> check_vector(const EvalCommand& command, const Vector& got) {
    const auto wrong = [&] { return std::optional<std::string>(got.empty() ? "no results" : print(got)); };
    if (command.scalar || got.size() != command.series.size()) return wrong();
    std::map<model::LabelSet, std::size_t> places;
    for (std::size_t i = 0; i < got.size(); ++i) places[got[i].labels] = i;
    if (places.size() != got.size()) return wrong();
    for (std::size_t i = 0; i < command.series.size(); ++i) {
      const NotatedSeries& series = command.series[i];
      const auto found = places.find(series.labels);
      if (found == places.end() || (command.ordered && found->second != i)) return wrong();
      const VectorSample& sample = got[found->second];
      if (series.values.size() != 1 || !nearly(series, 0, sample.value, sample.histogram.get())) return wrong();
    }
    return std::nullopt;
  }

  static std::optional<std::string> check_matrix(const EvalCommand& command, const Matrix& got, std::int64_t start_ms,
                                                 std::int64_t step_ms) {
    const auto wrong = [&] { return std::optional<std::string>(got.empty() ? "no results" : print(got)); };
    std::map<model::LabelSet, const MatrixSeries*> places;
    for (const MatrixSeries& series : got) places[series.labels] = &series;
    if (places.size() != got.size() || command.scalar) return wrong();
    std::size_t expected = 0;
    for (const NotatedSeries& series : command.series) {
      const auto found = places.find(series.labels);
      std::size_t samples = 0;
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        if (is_absent(series.values[i]) && series.histogram(i) == nullptr) continue;
        ++samples;
        if (found == places.end()) return wrong();
        const std::int64_t time = start_ms + static_cast<std::int64_t>(i) * step_ms;
        const model::Sample* number = at_time(found->second->samples, time);
        const HistogramSample* histogram = at_time(found->second->histograms, time);
        if (number == nullptr && histogram == nullptr) return wrong();
        if (!nearly(series, i, number == nullptr ? 0 : number->value,
                    histogram == nullptr ? nullptr : histogram->histogram.get())) {
          return wrong();
        }
      }
      if (samples == 0) continue;
      ++expected;
      if (found->second->samples.size() + found->second->histograms.size() != samples) return wrong();
    }
    return expected == got.size() ? std::nullopt : wrong();
  }

  const std::string file_;
  const base::SystemClock clock_;
  const Engine engine_;
  const QueryOptions options_;
  MemoryQuerier querier_;
  ScriptReport report_;
};

}  // namespace

ScriptReport run_script(std::string_view text, std::string_view file_name) {
  return Runner(file_name).run(text);
}

}  // namespace qd::query::promql
