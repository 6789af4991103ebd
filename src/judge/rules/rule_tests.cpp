#include "judge/rules/rule_tests.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/strings.h"
#include "judge/rules/group_state.h"
#include "model/histogram_arithmetic.h"
#include "model/histogram_estimates.h"
#include "query/promql/engine.h"
#include "query/promql/grid.h"
#include "query/promql/memory_querier.h"
#include "query/promql/parser.h"
#include "query/promql/series_notation.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using base::Result;
using model::LabelSet;
using model::TimestampMs;
namespace promql = query::promql;

// What rules write goes where they read.
class TestStore final : public store::metrics::Appendable {
 public:
  explicit TestStore(promql::MemoryQuerier& querier) : querier_(querier) {}
  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(querier_); }

 private:
  class Batch final : public store::metrics::Appender {
   public:
    explicit Batch(promql::MemoryQuerier& querier) : querier_(querier) {}
    Result<store::metrics::SeriesRef> series(const LabelSet& labels) override {
      series_.push_back(labels);
      return series_.size();
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, TimestampMs time_ms, double value) override {
      samples_.push_back({ref, time_ms, value, nullptr});
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, TimestampMs time_ms,
                                         const model::Histogram& histogram) override {
      samples_.push_back({ref, time_ms, 0, std::make_shared<const model::Histogram>(histogram)});
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef, const model::Exemplar&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view, const model::Metadata&) override {}
    base::Status commit() override {
      for (const auto& [ref, time_ms, value, histogram] : samples_) {
        if (histogram)
          querier_.add(series_[ref - 1], time_ms, histogram);
        else
          querier_.add(series_[ref - 1], time_ms, value);
      }
      samples_.clear();
      return {};
    }
    std::size_t pending() const override { return samples_.size(); }

   private:
    struct Pending {
      store::metrics::SeriesRef ref;
      TimestampMs time_ms;
      double value;
      model::HistogramPtr histogram;  // instead of the value
    };
    promql::MemoryQuerier& querier_;
    std::vector<LabelSet> series_;
    std::vector<Pending> samples_;
  };
  promql::MemoryQuerier& querier_;
};

// An alert or a sample, as it is compared and shown.
struct Line {
  LabelSet labels;
  LabelSet annotations = {};
  double value = 0;
  model::HistogramPtr histogram = nullptr;  // instead of the value
};

bool earlier(const Line& a, const Line& b) {
  return a.labels == b.labels ? a.annotations < b.annotations : a.labels < b.labels;
}

bool same_value(double a, double b, bool fuzzy) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  return a == b || (fuzzy && (std::nextafter(a, -kInf) == b || std::nextafter(a, kInf) == b));
}

// As promtool compares them: to the bit, the hint included, however they are spread over spans.
bool same_histogram(const model::Histogram& one, const model::Histogram& other) {
  auto a = one;
  auto b = other;
  model::compact(a);
  model::compact(b);
  a.is_integer = b.is_integer;
  return a == b && a.reset == b.reset;
}

bool same_line(const Line& x, const Line& y, bool fuzzy) {
  if (x.labels != y.labels || x.annotations != y.annotations || !x.histogram != !y.histogram) return false;
  return x.histogram ? same_histogram(*x.histogram, *y.histogram) : same_value(x.value, y.value, fuzzy);
}

bool same(const std::vector<Line>& a, const std::vector<Line>& b, bool fuzzy) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](const Line& x, const Line& y) { return same_line(x, y, fuzzy); });
}

LabelSet labels_of(const std::map<std::string, std::string>& texts) {
  model::LabelBuilder builder;
  for (const auto& [name, value] : texts) builder.set(name, value);
  return builder.build();
}

std::vector<std::string> shown_alerts(const std::vector<Line>& lines) {
  std::vector<std::string> out;
  out.reserve(lines.size());
  for (const auto& line : lines)
    out.push_back(fmt::format("labels: {}, annotations: {}", line.labels.to_string(), line.annotations.to_string()));
  return out;
}

std::string shown_histogram(const model::Histogram& histogram) {
  static constexpr std::string_view kHints[] = {"unknown", "reset", "not_reset", "gauge"};
  return fmt::format("{} schema:{} counter_reset_hint:{}", model::to_string(histogram), histogram.schema,
                     kHints[static_cast<std::size_t>(histogram.reset)]);
}

std::vector<std::string> shown_samples(const std::vector<Line>& lines) {
  std::vector<std::string> out;
  out.reserve(lines.size());
  for (const auto& line : lines)
    out.push_back(fmt::format("{} {}", line.labels.to_string(),
                              line.histogram ? shown_histogram(*line.histogram) : base::format_float(line.value)));
  return out;
}

std::string shown_time(std::int64_t ms) {
  return base::format_duration_ms(ms);
}

// One test of a file.
class TestRun {
 public:
  TestRun(const RuleTestFile& file, const RuleTestFile::Test& test, const RuleTestOptions& options,
          RuleTestResult& result)
      : file_(file), test_(test), result_(result), store_(querier_), workplace_(workplace(options)) {}

  void run(const std::vector<Group>& groups) {
    std::int64_t end_ms = 0;
    for (const auto& one : test_.alerts) end_ms = std::max(end_ms, one.eval_time_ms);
    for (const auto& one : test_.expressions) end_ms = std::max(end_ms, one.eval_time_ms);
    const auto interval_ms = file_.evaluation_interval_ms;
    if (end_ms / interval_ms >= kTestEvaluationsMax)
      return refuse(fmt::format("the latest eval_time is {} evaluations away; {} are the most", end_ms / interval_ms,
                                kTestEvaluationsMax));
    if (!read_input()) return;
    begin(groups);
    for (std::int64_t at_ms = 0; at_ms <= end_ms; at_ms += interval_ms) {
      feed(at_ms);
      // What a rule fails with ends the test: whatever follows would be about something else.
      if (!evaluate(at_ms)) return;
      for (const auto& one : test_.alerts)
        if (one.eval_time_ms >= at_ms && one.eval_time_ms < at_ms + interval_ms) check(one);
    }
    for (const auto& one : test_.expressions) check(one);
  }

 private:
  struct Input {
    promql::NotatedSeries series;
    std::size_t fed = 0;
  };

  Workplace workplace(const RuleTestOptions& options) {
    options_.experimental = options.experimental;
    options_.subquery_step_ms = file_.evaluation_interval_ms;
    return {.query = [this](std::string_view expr,
                            TimestampMs time_ms) { return engine_.instant(querier_, expr, time_ms, options_); },
            .store = store_,
            .clock = clock_,
            .log = base::Log::silent(),
            .registry = registry_,
            .external_labels = labels_of(test_.external_labels),
            .external_url = test_.external_url};
  }

  void refuse(std::string why) { result_.failures.push_back({.error = std::move(why)}); }

  bool read_input() {
    for (const auto& input : test_.input) {
      auto series = promql::parse_series(input.series + " " + input.values);
      if (!series) {
        refuse(fmt::format("input_series: {}", series.error().message()));
      } else if (series->start_times) {
        refuse(fmt::format("input_series: {}: start times are for scripts of `quarterdeck promql test`", input.series));
      } else {
        input_.push_back({std::move(*series)});
      }
    }
    return result_.failures.empty();
  }

  // Groups in the order asked for; the others first, as they stand in their files.
  void begin(const std::vector<Group>& groups) {
    const auto place = [this](const std::string& name) {
      const auto at = std::find(file_.group_eval_order.begin(), file_.group_eval_order.end(), name);
      return at == file_.group_eval_order.end() ? 0 : at - file_.group_eval_order.begin();
    };
    auto ordered = groups;
    std::stable_sort(ordered.begin(), ordered.end(),
                     [&](const Group& a, const Group& b) { return place(a.name) < place(b.name); });
    for (auto& group : ordered) {
      if (group.interval_ms == 0) group.interval_ms = test_.interval_ms;
      groups_.push_back(std::make_unique<GroupState>(std::move(group), workplace_, false));
    }
  }

  // Input up to this time is there.
  void feed(std::int64_t at_ms) {
    for (auto& [series, fed] : input_) {
      for (; fed < series.values.size(); ++fed) {
        const auto after_ms = static_cast<std::int64_t>(fed) * test_.interval_ms;
        if (after_ms > at_ms) break;
        if (series.stale[fed])
          querier_.add(series.labels, test_.start_ms + after_ms, model::stale_nan());
        else if (series.histogram(fed))
          querier_.add(series.labels, test_.start_ms + after_ms, series.histograms[fed]);
        else if (!promql::is_absent(series.values[fed]))
          querier_.add(series.labels, test_.start_ms + after_ms, series.values[fed]);
      }
    }
  }

  bool evaluate(std::int64_t at_ms) {
    bool good = true;
    for (const auto& group : groups_) {
      group->evaluate(test_.start_ms + at_ms);
      for (const auto& status : group->snapshot().rules) {
        if (status.last_error.empty()) continue;
        good = false;
        result_.failures.push_back({.what = fmt::format("rule: {}, time: {}", status.rule.name, shown_time(at_ms)),
                                    .error = status.last_error});
      }
    }
    return good;
  }

  void check(const RuleTestFile::AlertCase& one) {
    std::vector<Line> got;
    for (const auto& group : groups_) {
      for (const auto& status : group->snapshot().rules) {
        if (status.rule.kind != Rule::Kind::kAlerting || status.rule.name != one.alertname) continue;
        for (const auto& alert : status.alerts)
          if (alert.state == AlertState::kFiring) got.push_back({alert.labels, alert.annotations});
      }
    }
    std::vector<Line> expected;
    for (const auto& alert : one.alerts) {
      auto labels = alert.labels;
      labels["alertname"] = one.alertname;
      expected.push_back({labels_of(labels), labels_of(alert.annotations)});
    }
    std::sort(got.begin(), got.end(), earlier);
    std::sort(expected.begin(), expected.end(), earlier);
    if (same(expected, got, file_.fuzzy_compare)) return;
    result_.failures.push_back(
        {.where = one.where,
         .what = fmt::format("alertname: {}, time: {}", one.alertname, shown_time(one.eval_time_ms)),
         .expected = shown_alerts(expected),
         .got = shown_alerts(got)});
  }

  Result<std::vector<Line>> expected_of(const RuleTestFile::ExpressionCase& one) const {
    std::vector<Line> expected;
    for (const auto& sample : one.samples) {
      auto labels = promql::parse_metric(sample.labels);
      if (!labels) return base::fail(labels.error().within(fmt::format("labels {}", base::quote(sample.labels))));
      Line line{.labels = std::move(*labels), .value = sample.value};
      if (!sample.histogram.empty()) {
        const auto notated = promql::parse_series("x " + sample.histogram);
        if (!notated) return base::fail(notated.error().within("histogram"));
        if (notated->values.size() != 1 || !notated->histogram(0))
          return base::fail(ErrorCode::kInvalid, fmt::format("{} is no histogram", base::quote(sample.histogram)));
        line.histogram = notated->histograms[0];
      }
      expected.push_back(std::move(line));
    }
    return expected;
  }

  Result<std::vector<Line>> result_of(const RuleTestFile::ExpressionCase& one) const {
    QD_ASSIGN(const auto result, engine_.instant(querier_, one.expr, test_.start_ms + one.eval_time_ms, options_));
    std::vector<Line> got;
    if (const auto* vector = std::get_if<promql::Vector>(&result.value)) {
      for (const auto& sample : *vector)
        got.push_back({.labels = sample.labels, .value = sample.value, .histogram = sample.histogram});
    } else if (const auto* scalar = std::get_if<promql::ScalarValue>(&result.value)) {
      got.push_back({.labels = {}, .value = scalar->value});
    } else {
      return base::fail(ErrorCode::kInvalid, "the expression gives neither a vector nor a scalar");
    }
    return got;
  }

  void check(const RuleTestFile::ExpressionCase& one) {
    RuleTestFailure failure{
        .where = one.where,
        .what = fmt::format("expr: {}, time: {}", base::quote(one.expr), shown_time(one.eval_time_ms))};
    auto expected = expected_of(one);
    auto got = result_of(one);
    if (!got || !expected) {
      failure.error = got ? expected.error().message() : got.error().message();
      result_.failures.push_back(std::move(failure));
      return;
    }
    std::sort(got->begin(), got->end(), earlier);
    std::sort(expected->begin(), expected->end(), earlier);
    if (same(*expected, *got, file_.fuzzy_compare)) return;
    failure.expected = shown_samples(*expected);
    failure.got = shown_samples(*got);
    result_.failures.push_back(std::move(failure));
  }

  const RuleTestFile& file_;
  const RuleTestFile::Test& test_;
  RuleTestResult& result_;
  const base::SystemClock clock_;
  base::Registry registry_;
  promql::MemoryQuerier querier_;
  promql::QueryOptions options_;
  const promql::Engine engine_{nullptr, clock_};
  TestStore store_;
  const Workplace workplace_;
  std::vector<Input> input_;
  std::vector<std::unique_ptr<GroupState>> groups_;
};

}  // namespace

Result<std::vector<RuleTestResult>> run_rule_tests(const RuleTestFile& file, const std::vector<Group>& groups,
                                                   const RuleTestOptions& options) {
  std::vector<std::unique_ptr<re2::RE2>> wanted;
  for (const auto& text : options.run) {
    auto& pattern = *wanted.emplace_back(std::make_unique<re2::RE2>(text, re2::RE2::Quiet));
    if (!pattern.ok())
      return base::fail(ErrorCode::kInvalid, fmt::format("{}: {}", base::quote(text), pattern.error()));
  }
  std::vector<RuleTestResult> out;
  const base::SystemClock clock;
  for (std::size_t i = 0; i < file.tests.size(); ++i) {
    const auto& test = file.tests[i];
    const bool runs = wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const auto& pattern) {
                        return re2::RE2::PartialMatch(test.name, *pattern);
                      });
    if (!runs) continue;
    RuleTestResult result{.name = test.name.empty() ? fmt::format("unnamed#{}", i) : test.name};
    const auto start_ns = clock.monotonic_ns();
    TestRun(file, test, options, result).run(groups);
    result.seconds = static_cast<double>(clock.monotonic_ns() - start_ns) / 1e9;
    out.push_back(std::move(result));
  }
  return out;
}

std::vector<std::string> difference(const std::vector<std::string>& expected, const std::vector<std::string>& got) {
  std::multiset<std::string> only_got(got.begin(), got.end());
  std::vector<std::string> out;
  for (const auto& line : expected) {
    const auto at = only_got.find(line);
    const bool both = at != only_got.end();
    if (both) only_got.erase(at);
    out.push_back((both ? "  " : "- ") + line);
  }
  for (const auto& line : only_got) out.push_back("+ " + line);
  return out;
}

}  // namespace qd::judge::rules
