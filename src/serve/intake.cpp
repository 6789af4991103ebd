#include "serve/intake.h"

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <utility>

#include "base/strings.h"

namespace qd::serve {

namespace {

using base::ErrorCode;
using store::metrics::Appender;
using store::metrics::AppendOutcome;
using store::metrics::SeriesRef;

// A batch that another one overtook is tried again so often.
constexpr int kCommitTriesMax = 3;
constexpr std::size_t kShownBytes = 300;

constexpr std::array<std::string_view, kRefusals> kLabels = {
    "out_of_order", "duplicate", "too_old", "too_far_ahead", "bad_series", "series_limit", "bad_histogram"};
constexpr std::array<std::string_view, kRefusals> kWords = {
    "out of order: there is a newer sample of the series",
    "duplicate: there is another value at that time",
    "too old",
    "too far ahead of this server's clock",
    "bad series",
    "past the limit of series",
    "no histogram by the specification",
};

std::size_t place(Refusal refusal) {
  return static_cast<std::size_t>(refusal);
}

class Filling {
 public:
  Filling(Appender& appender, IntakeOutcome& outcome) : appender_(appender), outcome_(outcome) {}

  void add(const IntakeBatch::Numbered& one) { add(one.labels, one.sample.time_ms, one.sample.value); }
  void add(const IntakeBatch::Distributed& one) { add(one.labels, one.time_ms, one.histogram); }

 private:
  // A number or a histogram.
  void add(const model::LabelSet& labels, model::TimestampMs time_ms, const auto& value) {
    const std::size_t before = appender_.pending();
    const auto appended = append(labels, time_ms, value);
    if (!appended) return;
    switch (*appended) {
      case AppendOutcome::kOk:
        ++(appender_.pending() > before ? outcome_.stored : outcome_.repeated);
        return;
      case AppendOutcome::kOutOfOrder:
        return refuse(Refusal::kOutOfOrder, labels, time_ms);
      case AppendOutcome::kTooOld:
        return refuse(Refusal::kTooOld, labels, time_ms);
      case AppendOutcome::kDuplicate:
        return refuse(Refusal::kDuplicate, labels, time_ms);
      case AppendOutcome::kTooFarInFuture:
        return refuse(Refusal::kTooFarAhead, labels, time_ms);
      case AppendOutcome::kInvalid:
        return refuse(Refusal::kBadHistogram, labels, time_ms);
      case AppendOutcome::kUnknownSeries:
        return refuse(Refusal::kBadSeries, labels, time_ms);
    }
  }

  // Nothing when the series was refused.
  std::optional<AppendOutcome> append(const model::LabelSet& labels, model::TimestampMs time_ms, const auto& value) {
    for (int attempt = 0;; ++attempt) {
      const auto ref = appender_.series(labels);
      if (!ref) {
        const bool limit = ref.error().code() == ErrorCode::kLimit;
        refuse(limit ? Refusal::kSeriesLimit : Refusal::kBadSeries, ref.error().message());
        return std::nullopt;
      }
      const auto appended = appender_.append(*ref, time_ms, value);
      // Dropped in between: once more.
      if (appended != AppendOutcome::kUnknownSeries || attempt > 0) return appended;
    }
  }

  void refuse(Refusal refusal, const model::LabelSet& labels, model::TimestampMs time_ms) {
    refuse(refusal, fmt::format("{} at {}", labels.to_string().substr(0, kShownBytes), base::format_time(time_ms)));
  }
  void refuse(Refusal refusal, std::string_view what) {
    if (outcome_.first.empty()) outcome_.first = fmt::format("{} ({})", what, kWords[place(refusal)]);
    ++outcome_.refused[place(refusal)];
  }

  Appender& appender_;
  IntakeOutcome& outcome_;
};

}  // namespace

bool IntakeBatch::makes_room(std::size_t bytes) {
  full_ = full_ || bytes_ + bytes > kIntakeBytesMax;
  if (!full_) bytes_ += bytes;
  return !full_;
}

bool IntakeBatch::add(model::LabelSet labels, const model::Sample& sample) {
  if (!makes_room(labels.bytes().size() + sizeof(Numbered))) return false;
  samples_.push_back({.labels = std::move(labels), .sample = sample});
  return true;
}

bool IntakeBatch::add(model::LabelSet labels, model::TimestampMs time_ms, model::Histogram histogram) {
  const std::size_t buckets = histogram.positive.size() + histogram.negative.size();
  if (!makes_room(labels.bytes().size() + sizeof(Distributed) + buckets * sizeof(double))) return false;
  histograms_.push_back({.labels = std::move(labels), .time_ms = time_ms, .histogram = std::move(histogram)});
  return true;
}

std::string_view to_string(Refusal refusal) {
  return kLabels[place(refusal)];
}

std::size_t IntakeOutcome::all_refused() const {
  return std::accumulate(refused.begin(), refused.end(), std::size_t{0});
}

base::Result<IntakeOutcome> take(const IntakeBatch& batch, store::metrics::Appendable& store) {
  for (int attempt = 1;; ++attempt) {
    IntakeOutcome outcome;
    const auto appender = store.appender();
    appender->take_late();
    Filling filling(*appender, outcome);
    for (const auto& one : batch.samples()) filling.add(one);
    for (const auto& one : batch.histograms()) filling.add(one);
    for (const auto& [family, metadata] : batch.families) appender->metadata(family, metadata);
    const base::Status committed = appender->commit();
    if (committed) return outcome;
    if (committed.error().code() != ErrorCode::kConflict || attempt == kCommitTriesMax)
      return base::fail(ErrorCode::kUnavailable, committed.error().message());
  }
}

IntakeCounters::IntakeCounters(base::Registry& registry, std::string_view door, std::string_view protocol)
    : requests(registry.counter(fmt::format("quarterdeck_{}_requests_total", door),
                                fmt::format("Requests of {}.", protocol))),
      failed(registry.counter(fmt::format("quarterdeck_{}_requests_failed_total", door),
                              fmt::format("Requests of {} of which nothing was stored.", protocol))),
      stored_(registry.counter(fmt::format("quarterdeck_{}_samples_total", door),
                               fmt::format("Samples of {} that were stored.", protocol))),
      repeated_(registry.counter(fmt::format("quarterdeck_{}_samples_repeated_total", door),
                                 fmt::format("Samples of {} that were there already.", protocol))) {
  for (std::size_t i = 0; i < kRefusals; ++i)
    refused_[i] = &registry.counter(fmt::format("quarterdeck_{}_samples_refused_total", door),
                                    fmt::format("Samples of {} that were not stored.", protocol),
                                    {{"reason", std::string(kLabels[i])}});
}

void IntakeCounters::count(const IntakeOutcome& outcome) {
  stored_.add(outcome.stored);
  repeated_.add(outcome.repeated);
  for (std::size_t i = 0; i < kRefusals; ++i) refused_[i]->add(outcome.refused[i]);
}

}  // namespace qd::serve
