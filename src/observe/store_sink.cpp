#include "observe/store_sink.h"

#include <fmt/format.h>

#include <utility>

namespace qd::observe {
namespace {

using store::metrics::AppendOutcome;

// Not in UTF-8, so not in names and values.
constexpr char kSeparator = '\xff';

std::string_view says(AppendOutcome outcome) {
  switch (outcome) {
    case AppendOutcome::kOutOfOrder:
      return "the store has a newer sample of this series";
    case AppendOutcome::kDuplicate:
      return "the store has another value at this time";
    case AppendOutcome::kTooOld:
      return "it is older than what the store still takes";
    case AppendOutcome::kTooFarInFuture:
      return "it is too far ahead of the wall clock";
    case AppendOutcome::kOk:
    case AppendOutcome::kUnknownSeries:
    case AppendOutcome::kInvalid:
      break;
  }
  return "the store does not know its series";
}

}  // namespace

StoreSink::StoreSink(store::metrics::Appendable& store, model::LabelSet common)
    : store_(store), common_(std::move(common)) {}

void StoreSink::begin(model::TimestampMs time_ms) {
  time_ms_ = time_ms;
  appender_ = store_.appender();
  ++pass_;
  result_ = {};
  this_order_.clear();
  expected_ = 0;
}

void StoreSink::family(std::string_view name, model::MetricType type, std::string_view help) {
  family_ = name;
  family_type_ = type;
  family_help_ = help;
  family_told_ = false;
}

bool StoreSink::is_at(Place place, std::string_view suffix, std::span<const model::Label> labels) const {
  std::string_view key = series_[place].key;
  const auto eat = [&](std::string_view piece) {
    if (key.size() <= piece.size() || !key.starts_with(piece) || key[piece.size()] != kSeparator) return false;
    key.remove_prefix(piece.size() + 1);
    return true;
  };
  if (!eat(family_) || !eat(suffix)) return false;
  for (const model::Label& label : labels) {
    if (!eat(label.name) || !eat(label.value)) return false;
  }
  return key.empty();
}

std::optional<StoreSink::Place> StoreSink::find(std::string_view suffix, std::span<const model::Label> labels) {
  if (expected_ < order_.size() && is_at(order_[expected_], suffix, labels)) return order_[expected_++];
  key_.clear();
  const auto add_piece = [&](std::string_view piece) {
    key_ += piece;
    key_ += kSeparator;
  };
  add_piece(family_);
  add_piece(suffix);
  for (const model::Label& label : labels) {
    add_piece(label.name);
    add_piece(label.value);
  }
  const auto known = index_.find(key_);
  if (known == index_.end()) return add(suffix, labels);
  // Something vanished or moved: go on behind where this one was.
  if (series_[known->second].pass != pass_) expected_ = series_[known->second].position + std::size_t{1};
  return known->second;
}

std::optional<StoreSink::Place> StoreSink::add(std::string_view suffix, std::span<const model::Label> labels) {
  const auto ref = create(suffix, labels);
  if (!ref) {
    reject(ref.error().code(), suffix, ref.error().message());
    return std::nullopt;
  }
  if (!std::exchange(family_told_, true)) appender_->metadata(family_, {family_type_, family_help_, {}});
  Place place = 0;
  if (free_.empty()) {
    place = static_cast<Place>(series_.size());
    series_.emplace_back();
  } else {
    place = free_.back();
    free_.pop_back();
  }
  Series& series = series_[place];
  series = {key_, *ref, 0, 0, false, false};
  index_.emplace(series.key, place);
  return place;
}

base::Result<store::metrics::SeriesRef> StoreSink::create(std::string_view suffix,
                                                          std::span<const model::Label> labels) {
  builder_.reset(common_);
  builder_.set(model::kMetricName, family_ + std::string(suffix));
  for (const model::Label& label : labels) {
    if (common_.has(label.name)) {
      builder_.set("exported_" + std::string(label.name), label.value);
    } else {
      builder_.set(label.name, label.value);
    }
  }
  return appender_->series(builder_.build());
}

void StoreSink::sample(std::string_view suffix, std::span<const model::Label> labels, double value) {
  const auto place = find(suffix, labels);
  if (!place) return;
  Series& series = series_[*place];
  if (series.pass == pass_) {
    return reject(base::ErrorCode::kConflict, suffix, "the collector gives two samples of one series");
  }
  series.pass = pass_;
  series.position = static_cast<Place>(this_order_.size());
  this_order_.push_back(*place);
  append(*place, suffix, labels, value);
}

void StoreSink::append(Place place, std::string_view suffix, std::span<const model::Label> labels, double value) {
  Series& series = series_[place];
  auto outcome = appender_->append(series.ref, time_ms_, value);
  if (outcome == AppendOutcome::kUnknownSeries) {
    const auto ref = create(suffix, labels);
    if (!ref) return reject(ref.error().code(), suffix, ref.error().message());
    series.ref = *ref;
    outcome = appender_->append(series.ref, time_ms_, value);
  }
  if (outcome == AppendOutcome::kOk) {
    ++result_.samples;
  } else {
    reject(base::ErrorCode::kConflict, suffix, says(outcome));
  }
}

void StoreSink::reject(base::ErrorCode code, std::string_view suffix, std::string_view why) {
  ++result_.rejected;
  if (!result_.why_rejected) {
    result_.why_rejected.emplace(code, fmt::format("storing a sample of {}{}: {}", family_, suffix, why));
  }
}

base::Result<StoreSink::Pass> StoreSink::commit() {
  return finish(true);
}

base::Result<StoreSink::Pass> StoreSink::abandon() {
  // What this pass had counts as not seen: it ends, and what is new in it is forgotten.
  for (const Place place : this_order_) {
    if (!std::exchange(series_[place].in_order, true)) order_.push_back(place);
  }
  begin(time_ms_);
  return finish(false);
}

base::Status StoreSink::end(model::TimestampMs time_ms) {
  auto appender = store_.appender();
  for (const Place place : order_) {
    if (series_[place].stored) (void)appender->append(series_[place].ref, time_ms, model::stale_nan());
  }
  QD_TRY(appender->commit());
  for (const Place place : order_) forget(place);
  order_.clear();
  return {};
}

void StoreSink::forget(Place place) {
  index_.erase(series_[place].key);
  free_.push_back(place);
}

base::Result<StoreSink::Pass> StoreSink::finish(bool up) {
  family("up", model::MetricType::kGauge, "Whether the last pass over the target worked (1) or not (0).");
  const std::size_t samples = result_.samples;
  sample({}, {}, up ? 1 : 0);
  result_.samples = samples;

  std::vector<Place> ended;
  for (const Place place : order_) {
    if (series_[place].pass == pass_) continue;
    ended.push_back(place);
    // What no commit had has no sample to end.
    if (series_[place].stored) (void)appender_->append(series_[place].ref, time_ms_, model::stale_nan());
  }
  const base::Status committed = appender_->commit();
  appender_.reset();
  std::swap(order_, this_order_);
  for (const Place place : order_) series_[place].in_order = true;
  if (!committed) {
    // They end when a commit works.
    order_.insert(order_.end(), ended.begin(), ended.end());
    return base::fail(committed.error());
  }
  for (const Place place : ended) forget(place);
  for (const Place place : order_) series_[place].stored = true;
  return result_;
}

}  // namespace qd::observe
