// What a door has read, on its way into the store: appended sample by sample as it is read (Filling), or gathered in a
// batch that goes in as a whole (IntakeBatch), and what became of it.
//
// Values and pure functions; a Filling belongs to one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "model/exemplar.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"
#include "store/metrics/appender.h"

namespace qd::serve {

// A short body may spell out long labels many times: so many bytes are held at most.
inline constexpr std::size_t kIntakeBytesMax = 256 << 20;

class IntakeBatch {
 public:
  // Of one point there may be several: it is refused as a whole where the sender is told of points.
  struct Numbered {
    model::LabelSet labels;
    model::Sample sample;
    std::uint32_t point = 0;  // 0: of none
    std::vector<model::Exemplar> exemplars = {};
  };
  struct Distributed {
    model::LabelSet labels;
    model::TimestampMs time_ms = 0;
    model::Histogram histogram;
    std::uint32_t point = 0;
    std::vector<model::Exemplar> exemplars = {};
  };

  // What is added from here to end_point is of one point.
  void begin_point();
  void end_point() { point_ = 0; }
  // Takes back what was added since begin_point, and ends it.
  void drop_point();

  // False, and nothing is added, once it holds kIntakeBytesMax.
  bool add(model::LabelSet labels, const model::Sample& sample);
  bool add(model::LabelSet labels, model::TimestampMs time_ms, model::Histogram histogram);
  // They stand behind the sample, or the histogram, that was added last.
  bool behind_sample(model::Exemplar exemplar) { return put(std::move(exemplar), samples_.back().exemplars); }
  bool behind_histogram(model::Exemplar exemplar) { return put(std::move(exemplar), histograms_.back().exemplars); }
  bool full() const { return full_; }

  const std::vector<Numbered>& samples() const { return samples_; }
  const std::vector<Distributed>& histograms() const { return histograms_; }
  std::map<std::string, model::Metadata, std::less<>> families;

 private:
  bool makes_room(std::size_t bytes);
  bool put(model::Exemplar exemplar, std::vector<model::Exemplar>& behind);

  std::vector<Numbered> samples_;
  std::vector<Distributed> histograms_;
  std::size_t bytes_ = 0;
  bool full_ = false;
  std::uint32_t points_ = 0;
  std::uint32_t point_ = 0;
  // As it was at begin_point.
  std::size_t samples_before_ = 0;
  std::size_t histograms_before_ = 0;
  std::size_t bytes_before_ = 0;
};

enum class Refusal : std::uint8_t {
  kOutOfOrder,
  kDuplicate,
  kTooOld,
  kTooFarAhead,
  kBadSeries,
  kSeriesLimit,
  kBadHistogram,
  kNumber,  // of them
};
inline constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::kNumber);
std::string_view to_string(Refusal refusal);  // "out_of_order", …

struct IntakeOutcome {
  std::size_t stored = 0;
  std::size_t repeated = 0;    // that were there already, with the same value
  std::size_t histograms = 0;  // of both
  std::size_t exemplars = 0;   // that are taken
  std::size_t exemplars_refused = 0;
  std::array<std::size_t, kRefusals> refused{};
  std::string first;  // of what was refused, in words
  // Of a batch: points of which something was refused, and the places in samples() of what was.
  std::size_t points_refused = 0;
  std::vector<std::size_t> samples_refused{};

  void refuse(Refusal refusal, std::string_view what);
  std::size_t all_refused() const;
};

// Appends to one batch of the store, and notes what becomes of each sample.
class Filling {
 public:
  Filling(store::metrics::Appender& appender, IntakeOutcome& outcome) : appender_(appender), outcome_(outcome) {}

  // Of which series the samples are that follow; `labels` outlives them. What is refused of a series are its samples,
  // one by one.
  void series(const model::LabelSet& labels);
  void bad_series(std::string why);

  // When counting began for the sample that comes next: a zero is put there, where the store takes such.
  void start(model::TimestampMs start_ms) { start_ms_ = start_ms; }

  // Whether the store has it now.
  bool sample(const model::Sample& sample) { return append(sample.time_ms, sample.value); }
  bool histogram(model::TimestampMs time_ms, const model::Histogram& histogram);
  bool bad_histogram(const std::string& why);
  // What is refused of them is no reason to refuse the samples.
  void exemplar(const model::Exemplar& exemplar);
  void bad_exemplar() { ++outcome_.exemplars_refused; }

 private:
  bool append(model::TimestampMs time_ms, const auto& value);
  void append_start(model::TimestampMs start_ms, model::TimestampMs time_ms, const auto& value);
  void find();
  void refuse(store::metrics::AppendOutcome why, model::TimestampMs time_ms);

  store::metrics::Appender& appender_;
  IntakeOutcome& outcome_;
  const model::LabelSet* labels_ = nullptr;
  std::optional<store::metrics::SeriesRef> ref_;
  model::TimestampMs start_ms_ = 0;
  // Where there is no series: why.
  Refusal refusal_ = Refusal::kBadSeries;
  std::string what_;
};

// Has `fill` append, late samples too, and commits; once more, from the start, where others were quicker. The error of
// `fill`; kUnavailable when the log cannot be written, or others were quicker several times. Nothing is stored then.
base::Result<IntakeOutcome> take(
    store::metrics::Appendable& store,
    const std::function<base::Status(store::metrics::Appender&, Filling&, IntakeOutcome&)>& fill);
// The same of a whole batch.
base::Result<IntakeOutcome> take(const IntakeBatch& batch, store::metrics::Appendable& store);

// What a door counts: quarterdeck_<door>_requests_total and its like.
class IntakeCounters {
 public:
  IntakeCounters(base::Registry& registry, std::string_view door, std::string_view protocol);
  void count(const IntakeOutcome& outcome);

  base::Counter& requests;
  base::Counter& failed;  // of which nothing was stored

 private:
  base::Counter& stored_;
  base::Counter& repeated_;
  std::array<base::Counter*, kRefusals> refused_{};
};

// The same for exemplars, of doors that take them.
class ExemplarCounters {
 public:
  ExemplarCounters(base::Registry& registry, std::string_view door, std::string_view protocol);
  void count(const IntakeOutcome& outcome);

 private:
  base::Counter& taken_;
  base::Counter& refused_;
};

}  // namespace qd::serve
