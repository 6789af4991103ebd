// What a door has read, on its way into the store: samples with their labels, in a batch that goes in as a whole.
//
// Values and pure functions; the doors of other protocols than remote write use it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
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
  struct Numbered {
    model::LabelSet labels;
    model::Sample sample;
  };
  struct Distributed {
    model::LabelSet labels;
    model::TimestampMs time_ms = 0;
    model::Histogram histogram;
  };

  // False, and nothing is added, once it holds kIntakeBytesMax.
  bool add(model::LabelSet labels, const model::Sample& sample);
  bool add(model::LabelSet labels, model::TimestampMs time_ms, model::Histogram histogram);
  bool full() const { return full_; }

  const std::vector<Numbered>& samples() const { return samples_; }
  const std::vector<Distributed>& histograms() const { return histograms_; }
  std::map<std::string, model::Metadata, std::less<>> families;

 private:
  bool makes_room(std::size_t bytes);

  std::vector<Numbered> samples_;
  std::vector<Distributed> histograms_;
  std::size_t bytes_ = 0;
  bool full_ = false;
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
  std::size_t repeated = 0;  // that were there already, with the same value
  std::array<std::size_t, kRefusals> refused{};
  std::string first;  // of what was refused, in words

  std::size_t all_refused() const;
};

// Appends all and commits. kUnavailable when the log cannot be written, or others were quicker several times; nothing
// is stored then.
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

}  // namespace qd::serve
