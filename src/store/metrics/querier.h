// How the floors above read samples, wherever they are.
//
// Two real implementations stand behind it: the store (head and segments as one), and series held in memory by the
// PromQL test scripts. Thread-safe: a query selects once, then reads series from as many threads as it likes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/exemplar.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

namespace qd::store::metrics {

using model::LabelSet;
using model::Matcher;
using model::TimestampMs;

// Times and values of one series side by side, in rising order of time, each time once. Reused between series.
struct Columns {
  std::vector<TimestampMs> times;
  std::vector<double> values;
  // Empty where the series has none in this stretch; else one a sample, null where the sample is a number. The value
  // beside a histogram is NaN, and no stale marker: the end of a series of histograms is a number's.
  std::vector<model::HistogramPtr> histograms;
  // When what the samples count began to be counted; empty where that is not known of any, else one a sample, 0 where
  // not known.
  std::vector<TimestampMs> start_times;

  void clear() {
    times.clear();
    values.clear();
    histograms.clear();
    start_times.clear();
  }
  std::size_t size() const { return times.size(); }

  // To `n` samples, of which those that are new are numbers. REQUIRES: histograms are not there, or one a sample.
  void resize(std::size_t n) {
    times.resize(n);
    values.resize(n);
    if (!histograms.empty()) histograms.resize(n);
    if (!start_times.empty()) start_times.resize(n);
  }
  // `n` samples from `at` on.
  void erase(std::size_t at, std::size_t n) {
    const auto cut = [&](auto& column) {
      const auto begin = column.begin() + static_cast<std::ptrdiff_t>(at);
      column.erase(begin, begin + static_cast<std::ptrdiff_t>(n));
    };
    cut(times);
    cut(values);
    if (!histograms.empty()) cut(histograms);
    if (!start_times.empty()) cut(start_times);
  }
  // Without histograms where none is left.
  void drop_no_histograms() {
    for (const model::HistogramPtr& histogram : histograms) {
      if (histogram != nullptr) return;
    }
    histograms.clear();
  }
};

// What select found: series in label order. It keeps alive whatever its series live in.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  virtual std::size_t size() const = 0;
  virtual const LabelSet& labels(std::size_t i) const = 0;
  // Replaces `out` with the samples of series i in [from_ms, to_ms], stale markers included. Any thread, also at once.
  // kCorrupt names the file and offset.
  virtual base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const = 0;
};

class Querier {
 public:
  virtual ~Querier() = default;

  // Series that all of `matchers` accept and that may have samples in [from_ms, to_ms]; kLimit past `series_limit`.
  virtual base::Result<std::unique_ptr<SeriesSet>> select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                          TimestampMs to_ms, std::size_t series_limit) const = 0;
  // Sorted names, or values of `name`, on series that `matchers` accept (all series when there are none).
  virtual base::Result<std::vector<std::string>> label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                             TimestampMs to_ms) const = 0;
  virtual base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const Matcher> matchers,
                                                              TimestampMs from_ms, TimestampMs to_ms) const = 0;
};

// A series and what stands behind its samples, in order of time.
struct SeriesExemplars {
  LabelSet labels;
  std::vector<model::Exemplar> exemplars;
};

class ExemplarQuerier {
 public:
  virtual ~ExemplarQuerier() = default;
  // Exemplars in [from_ms, to_ms] of series that any of `selectors` accepts, in label order; series without any are
  // left out. kLimit past `series_limit` series or kExemplarsSelectedMax exemplars; kCorrupt names the file and offset.
  virtual base::Result<std::vector<SeriesExemplars>> exemplars(std::span<const std::vector<Matcher>> selectors,
                                                               TimestampMs from_ms, TimestampMs to_ms,
                                                               std::size_t series_limit) const = 0;
};
inline constexpr std::size_t kExemplarsSelectedMax = 1'000'000;

}  // namespace qd::store::metrics
