#include "serve/intake.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "base/strings.h"

namespace qd::serve {

namespace {

using base::ErrorCode;
using store::metrics::Appender;
using store::metrics::AppendOutcome;

// A batch that another one overtook is tried again so often.
constexpr int kCommitTriesMax = 3;
constexpr std::size_t kShownBytes = 300;

constexpr std::array<std::string_view, kRefusals> kLabels = {
    "out_of_order", "duplicate", "too_old", "too_far_ahead", "bad_series", "series_limit", "bad_histogram"};
constexpr std::array<std::string_view, kRefusals> kWords = {
    "out of order: there is a newer sample of the series",
    "duplicate: there is another value at that time",
    "too old: it is past the retention",
    "too far ahead of this server's clock",
    "bad series",
    "past the limit of series",
    "no histogram by the specification",
};

std::size_t place(Refusal refusal) {
  return static_cast<std::size_t>(refusal);
}

}  // namespace

void IntakeBatch::begin_point() {
  point_ = ++points_;
  samples_before_ = samples_.size();
  histograms_before_ = histograms_.size();
  bytes_before_ = bytes_;
}

void IntakeBatch::drop_point() {
  samples_.erase(samples_.begin() + static_cast<std::ptrdiff_t>(samples_before_), samples_.end());
  histograms_.erase(histograms_.begin() + static_cast<std::ptrdiff_t>(histograms_before_), histograms_.end());
  bytes_ = bytes_before_;
  end_point();
}

bool IntakeBatch::makes_room(std::size_t bytes) {
  full_ = full_ || bytes_ + bytes > kIntakeBytesMax;
  if (!full_) bytes_ += bytes;
  return !full_;
}

bool IntakeBatch::add(model::LabelSet labels, const model::Sample& sample) {
  if (!makes_room(labels.bytes().size() + sizeof(Numbered))) return false;
  samples_.push_back({.labels = std::move(labels), .sample = sample, .point = point_});
  return true;
}

bool IntakeBatch::add(model::LabelSet labels, model::TimestampMs time_ms, model::Histogram histogram) {
  const std::size_t buckets = histogram.positive.size() + histogram.negative.size();
  if (!makes_room(labels.bytes().size() + sizeof(Distributed) + buckets * sizeof(double))) return false;
  histograms_.push_back(
      {.labels = std::move(labels), .time_ms = time_ms, .histogram = std::move(histogram), .point = point_});
  return true;
}

bool IntakeBatch::put(model::Exemplar exemplar, std::vector<model::Exemplar>& behind) {
  if (!makes_room(exemplar.labels.bytes().size() + sizeof(model::Exemplar))) return false;
  behind.push_back(std::move(exemplar));
  return true;
}

std::string_view to_string(Refusal refusal) {
  return kLabels[place(refusal)];
}

void IntakeOutcome::refuse(Refusal refusal, std::string_view what) {
  if (first.empty()) first = fmt::format("{} ({})", what, kWords[place(refusal)]);
  ++refused[place(refusal)];
}

std::size_t IntakeOutcome::all_refused() const {
  return std::accumulate(refused.begin(), refused.end(), std::size_t{0});
}

void Filling::series(const model::LabelSet& labels) {
  labels_ = &labels;
  find();
}

void Filling::bad_series(std::string why) {
  labels_ = nullptr;
  ref_.reset();
  refusal_ = Refusal::kBadSeries;
  what_ = std::move(why);
}

void Filling::find() {
  const auto ref = appender_.series(*labels_);
  if (ref) {
    ref_ = *ref;
    return;
  }
  ref_.reset();
  refusal_ = ref.error().code() == ErrorCode::kLimit ? Refusal::kSeriesLimit : Refusal::kBadSeries;
  what_ = ref.error().message();
}

// It is not counted: the sender knows nothing of it.
void Filling::append_start(model::TimestampMs start_ms, model::TimestampMs time_ms, const auto& value) {
  if (start_ms == 0 || !ref_) return;
  const model::Histogram* like = nullptr;
  if constexpr (std::is_same_v<std::decay_t<decltype(value)>, model::Histogram>) {
    like = &value;
  } else if (model::is_stale_nan(value)) {
    return;
  }
  store::metrics::append_start(appender_, *ref_, start_ms, time_ms, like);
}

// A number or a histogram.
bool Filling::append(model::TimestampMs time_ms, const auto& value) {
  append_start(std::exchange(start_ms_, 0), time_ms, value);
  const std::size_t before = appender_.pending();
  auto appended = ref_ ? appender_.append(*ref_, time_ms, value) : AppendOutcome::kUnknownSeries;
  if (ref_ && appended == AppendOutcome::kUnknownSeries) {
    // Dropped in between: once more.
    find();
    if (ref_) appended = appender_.append(*ref_, time_ms, value);
  }
  if (!ref_) {
    outcome_.refuse(refusal_, what_);
    return false;
  }
  if (appended != AppendOutcome::kOk) {
    refuse(appended, time_ms);
    return false;
  }
  ++(appender_.pending() > before ? outcome_.stored : outcome_.repeated);
  return true;
}

void Filling::refuse(AppendOutcome why, model::TimestampMs time_ms) {
  // Only the first is told.
  const std::string what = outcome_.first.empty() ? fmt::format("{} at {}", labels_->to_string().substr(0, kShownBytes),
                                                                base::format_time(time_ms))
                                                  : std::string();
  switch (why) {
    case AppendOutcome::kOk:
      return;
    case AppendOutcome::kOutOfOrder:
      return outcome_.refuse(Refusal::kOutOfOrder, what);
    case AppendOutcome::kTooOld:
      return outcome_.refuse(Refusal::kTooOld, what);
    case AppendOutcome::kDuplicate:
      return outcome_.refuse(Refusal::kDuplicate, what);
    case AppendOutcome::kTooFarInFuture:
      return outcome_.refuse(Refusal::kTooFarAhead, what);
    case AppendOutcome::kInvalid:
      return outcome_.refuse(Refusal::kBadHistogram, what);
    case AppendOutcome::kUnknownSeries:
      return outcome_.refuse(Refusal::kBadSeries, what);
  }
}

bool Filling::histogram(model::TimestampMs time_ms, const model::Histogram& histogram) {
  if (!append(time_ms, histogram)) return false;
  ++outcome_.histograms;
  return true;
}

bool Filling::bad_histogram(const std::string& why) {
  start_ms_ = 0;
  if (ref_) {
    outcome_.refuse(Refusal::kBadHistogram, why);
  } else {
    outcome_.refuse(refusal_, what_);
  }
  return false;
}

void Filling::exemplar(const model::Exemplar& exemplar) {
  const bool taken = ref_ && appender_.exemplar(*ref_, exemplar) == AppendOutcome::kOk;
  ++(taken ? outcome_.exemplars : outcome_.exemplars_refused);
}

base::Result<IntakeOutcome> take(store::metrics::Appendable& store,
                                 const std::function<base::Status(Appender&, Filling&, IntakeOutcome&)>& fill) {
  for (int attempt = 1;; ++attempt) {
    IntakeOutcome outcome;
    const auto appender = store.appender();
    appender->take_late();
    Filling filling(*appender, outcome);
    QD_TRY(fill(*appender, filling, outcome));
    const base::Status committed = appender->commit();
    if (committed) return outcome;
    if (committed.error().code() != ErrorCode::kConflict || attempt == kCommitTriesMax)
      return base::fail(ErrorCode::kUnavailable, committed.error().message());
  }
}

base::Result<IntakeOutcome> take(const IntakeBatch& batch, store::metrics::Appendable& store) {
  return take(store, [&](Appender& appender, Filling& filling, IntakeOutcome& outcome) -> base::Status {
    std::uint32_t refused_point = 0;
    const auto refused = [&](std::uint32_t point) {
      // What is of one point stands together.
      if (point != 0 && std::exchange(refused_point, point) != point) ++outcome.points_refused;
    };
    for (std::size_t i = 0; i < batch.samples().size(); ++i) {
      const IntakeBatch::Numbered& one = batch.samples()[i];
      filling.series(one.labels);
      if (filling.sample(one.sample)) {
        for (const model::Exemplar& exemplar : one.exemplars) filling.exemplar(exemplar);
      } else {
        refused(one.point);
        outcome.samples_refused.push_back(i);
      }
    }
    for (const IntakeBatch::Distributed& one : batch.histograms()) {
      filling.series(one.labels);
      if (filling.histogram(one.time_ms, one.histogram)) {
        for (const model::Exemplar& exemplar : one.exemplars) filling.exemplar(exemplar);
      } else {
        refused(one.point);
      }
    }
    for (const auto& [family, metadata] : batch.families) appender.metadata(family, metadata);
    return {};
  });
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

ExemplarCounters::ExemplarCounters(base::Registry& registry, std::string_view door, std::string_view protocol)
    : taken_(registry.counter(fmt::format("quarterdeck_{}_exemplars_total", door),
                              fmt::format("Exemplars of {} that were taken.", protocol))),
      refused_(registry.counter(fmt::format("quarterdeck_{}_exemplars_refused_total", door),
                                fmt::format("Exemplars of {} that were not stored: old ones, or broken.", protocol))) {}

void ExemplarCounters::count(const IntakeOutcome& outcome) {
  taken_.add(outcome.exemplars);
  refused_.add(outcome.exemplars_refused);
}

void IntakeCounters::count(const IntakeOutcome& outcome) {
  stored_.add(outcome.stored);
  repeated_.add(outcome.repeated);
  for (std::size_t i = 0; i < kRefusals; ++i) refused_[i]->add(outcome.refused[i]);
}

}  // namespace qd::serve
