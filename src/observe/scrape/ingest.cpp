#include "observe/scrape/ingest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <span>
#include <type_traits>

#include "observe/scrape/histograms.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using model::Label;
using model::LabelSet;
using model::TimestampMs;
using model::exposition::Event;
using model::exposition::Parser;
using store::metrics::Appender;
using store::metrics::AppendOutcome;
using store::metrics::SeriesRef;

namespace {

// Unused text that is kept until it is cut: less is not worth a pass.
constexpr std::size_t kUnusedTextBytes = 64 << 10;
// Families whose metadata is remembered; past it the store is told again.
constexpr std::size_t kMetadataLimit = 100'000;
// Of a name in an error.
constexpr std::size_t kShownBytes = 50;

std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

bool has_label(std::span<const Label> labels, std::string_view name) {
  return std::ranges::any_of(labels, [&](const Label& label) { return label.name == name; });
}

}  // namespace

LabelSet sample_labels(std::span<const Label> sample, const LabelSet& target, bool honor_labels) {
  std::vector<Label> labels(sample.begin(), sample.end());
  if (honor_labels) {
    for (const Label& label : target) {
      if (!has_label(sample, label.name)) labels.push_back(label);
    }
    return LabelSet::from(std::move(labels));
  }
  std::vector<Label> conflicts;
  for (const Label& label : target) {
    const auto own = std::ranges::find(labels, label.name, &Label::name);
    if (own == labels.end()) {
      labels.push_back(label);
      continue;
    }
    if (!own->value.empty()) conflicts.push_back(*own);
    own->value = label.value;
  }
  if (conflicts.empty()) return LabelSet::from(std::move(labels));
  // Shorter names first, so that exported_exported_x does not depend on the order of the text.
  std::ranges::sort(conflicts, {}, [](const Label& label) { return label.name.size(); });
  std::vector<std::string> names;
  names.reserve(conflicts.size());
  for (const Label& conflict : conflicts) {
    std::string name(conflict.name);
    do {
      name.insert(0, "exported_");
    } while (has_label(labels, name));
    names.push_back(std::move(name));
    labels.push_back({names.back(), conflict.value});
  }
  return LabelSet::from(std::move(labels));
}

Ingest::Ingest(LabelSet target_labels, const IngestOptions& options)
    : target_labels_(std::move(target_labels)), options_(options) {}

base::Status Ingest::append(std::string_view body, model::exposition::Format format, TimestampMs now_ms,
                            std::uint64_t sample_limit, Appender& appender, IngestCounts& counts) {
  cursor_ = 0;
  reordering_ = false;
  next_.clear();
  new_metadata_.clear();
  family_pending_ = false;
  takes_starts_ = appender.takes_starts();
  created_.clear();

  if (format == model::exposition::Format::kProtobuf) {
    const HistogramOptions& histograms = options_.histograms;
    model::exposition::ProtoParser parser(body, {.native_histograms = histograms.native,
                                                 .classic_histograms = histograms.keep_classic,
                                                 .classic_to_native = histograms.convert_classic});
    QD_TRY(append_all(parser, now_ms, sample_limit, appender, counts));
  } else {
    if (takes_starts_ && format == model::exposition::Format::kOpenMetrics) created_.read(body);
    Parser parser(body, format, model::exposition::Check::kLines);
    QD_TRY(append_all(parser, now_ms, sample_limit, appender, counts));
  }
  const bool as_before = live_ && !reordering_ && cursor_ == order_.size();
  if (format == model::exposition::Format::kOpenMetrics && options_.check_families && !as_before) {
    QD_TRY(check_families(body));
  }
  if (live_) mark_vanished(now_ms, appender);
  return {};
}

template <typename SomeParser>
base::Status Ingest::append_all(SomeParser& parser, TimestampMs now_ms, std::uint64_t sample_limit, Appender& appender,
                                IngestCounts& counts) {
  bool past_limit = false;
  while (true) {
    const std::string_view expected = cursor_ < order_.size() ? text(order_[cursor_]) : std::string_view();
    QD_ASSIGN(const Event event, parser.next(expected));
    if (event == Event::kEof) break;
    if (event != Event::kSeries && event != Event::kHistogram) {
      take_metadata(parser, event, appender);
      continue;
    }
    if constexpr (std::is_same_v<SomeParser, Parser>) {
      // It is no series: what it says is in the zeros.
      if (!created_.empty() && is_created_line(parser.series(), family_, family_metadata_.type)) continue;
    }
    ++counts.samples;
    // Past the limit the rest is only counted, so that the error and the report say how many there are.
    if (sample_limit > 0 && (past_limit || counts.samples - 1 - counts.dropped > sample_limit)) {
      past_limit = true;
      continue;
    }
    if constexpr (std::is_same_v<SomeParser, model::exposition::ProtoParser>) {
      is_histogram_ = event == Event::kHistogram;
      if (is_histogram_) QD_TRY(take_histogram(parser));
    }
    const bool in_order = parser.as_expected() || (!expected.empty() && parser.series() == expected);
    if (in_order && !reordering_) [[likely]] {
      QD_TRY(append_sample(parser, order_[cursor_], now_ms, appender, counts));
      ++cursor_;
      continue;
    }
    if (!reordering_) begin_reordering();
    QD_ASSIGN(Entry* const entry, place(parser.series(), in_order, counts));
    QD_TRY(append_sample(parser, *entry, now_ms, appender, counts));
  }
  flush_metadata(appender);
  if (sample_limit > 0 && (past_limit || counts.samples - counts.dropped > sample_limit)) {
    counts.past_sample_limit = true;
    return base::fail(ErrorCode::kLimit, "the target has " + std::to_string(counts.samples - counts.dropped) +
                                             " samples, which is more than sample_limit " +
                                             std::to_string(sample_limit));
  }
  return {};
}

base::Status Ingest::take_histogram(const model::exposition::ProtoParser& parser) {
  histogram_ = parser.histogram();
  const auto within = [&](const base::Error& error) {
    return base::fail(error.within("the histogram " + std::string(parser.family())));
  };
  if (const auto whole = bring_down(histogram_, options_.histograms.buckets_max, options_.histograms.bucket_factor_min);
      !whole)
    return within(whole.error());
  if (const auto valid = model::validate(histogram_); !valid) return within(valid.error());
  return {};
}

base::Status Ingest::check_families(std::string_view body) const {
  Parser parser(body, model::exposition::Format::kOpenMetrics, model::exposition::Check::kFamilies);
  while (true) {
    const auto event = parser.next();
    if (!event) {
      return base::fail(event.error().code(), event.error().message() +
                                                  "; OpenMetrics forbids it: mend the target, or set "
                                                  "observe.scrape.openmetrics: lenient");
    }
    if (*event == Event::kEof) return {};
  }
}

template <typename SomeParser>
base::Status Ingest::append_sample(SomeParser& parser, Entry& entry, TimestampMs now_ms, Appender& appender,
                                   IngestCounts& counts) {
  if (entry.dropped) {
    ++counts.dropped;
    return {};
  }
  const bool own_time = options_.honor_timestamps && parser.timestamp_ms().has_value();
  const TimestampMs time_ms = own_time ? *parser.timestamp_ms() : now_ms;
  entry.stale_when_gone = !own_time || options_.track_timestamps_staleness;
  const bool is_new = entry.ref == 0;
  // Twice at most: a reference that the store has dropped is asked for again.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (entry.ref == 0) {
      LabelSet labels = sample_labels(parser.labels(), target_labels_, options_.honor_labels);
      QD_ASSIGN(const bool kept, relabel(labels));
      if (!kept) {
        entry.dropped = true;
        ++counts.dropped;
        --counts.series_added;
        return {};
      }
      if (auto within = check_labels(labels); !within) {
        counts.past_label_limits = true;
        return within;
      }
      if (!series_made_.admit(labels)) {
        ++counts.past_series_limit;
        return {};
      }
      auto ref = appender.series(labels);
      if (!ref && ref.error().code() == ErrorCode::kLimit) {
        // The store is full: what it knows already goes on, what is new is shed.
        if (counts.series_refused++ == 0) counts.refusal = ref.error().message();
        return {};
      }
      if (!ref) return base::fail(std::move(ref).error());
      entry.ref = *ref;
    }
    if (takes_starts_) append_start(parser, is_new, entry.ref, time_ms, appender);
    const auto append = [&] {
      if constexpr (std::is_same_v<SomeParser, model::exposition::ProtoParser>) {
        if (is_histogram_) return appender.append(entry.ref, time_ms, histogram_);
      }
      return appender.append(entry.ref, time_ms, parser.value());
    };
    switch (append()) {
      case AppendOutcome::kOk:
        append_exemplars(parser, entry.ref, time_ms, appender);
        return {};
      case AppendOutcome::kInvalid:  // none is: histograms were checked
        return {};
      case AppendOutcome::kUnknownSeries:
        entry.ref = 0;
        continue;
      case AppendOutcome::kOutOfOrder:
        ++counts.out_of_order;
        return {};
      case AppendOutcome::kDuplicate:
        ++counts.duplicate;
        return {};
      case AppendOutcome::kTooOld:
        ++counts.too_old;
        return {};
      case AppendOutcome::kTooFarInFuture:
        ++counts.too_far_in_future;
        return {};
    }
  }
  return {};
}

template <typename SomeParser>
void Ingest::append_start(SomeParser& parser, bool is_new, SeriesRef ref, TimestampMs time_ms, Appender& appender) {
  if constexpr (std::is_same_v<SomeParser, model::exposition::ProtoParser>) {
    if (const auto created_ms = parser.created_ms())
      store::metrics::append_start(appender, ref, *created_ms, time_ms, is_histogram_ ? &histogram_ : nullptr);
  } else {
    if (created_.empty() || (!is_new && created_.digest() == accepted_created_)) return;
    if (const auto created_ms = created_.find(parser.labels(), family_, family_metadata_.type))
      store::metrics::append_start(appender, ref, *created_ms, time_ms);
  }
}

// One that the page repeats is no news to the store, and one that it does not take leaves the sample as it is.
template <typename SomeParser>
void Ingest::append_exemplars(SomeParser& parser, SeriesRef ref, TimestampMs time_ms, Appender& appender) {
  const auto append = [&](const LabelSet& labels, const auto& told) {
    static_cast<void>(appender.exemplar(ref, {.labels = labels,
                                              .value = told.value,
                                              .time_ms = told.timestamp_ms.value_or(time_ms),
                                              .has_time = told.timestamp_ms.has_value()}));
  };
  if constexpr (std::is_same_v<SomeParser, model::exposition::ProtoParser>) {
    for (const auto& told : parser.exemplars()) append(told.labels, told);
  } else {
    if (!parser.exemplar()) return;
    const auto labels = parser.exemplar_labels();
    append(LabelSet::from({labels.begin(), labels.end()}), *parser.exemplar());
  }
}

base::Result<bool> Ingest::relabel(LabelSet& labels) const {
  if (!options_.metric_rules.empty()) {
    model::LabelBuilder builder(labels);
    if (!options_.metric_rules.apply(builder)) return false;
    labels = builder.build();
    if (labels.empty()) return false;
    if (labels.name().empty())
      return base::fail(ErrorCode::kInvalid, "metric_relabel_configs leave " + labels.to_string() + " without a name");
  }
  if (options_.name_scheme == model::NameScheme::kUtf8) return true;
  bool legacy = model::valid_metric_name(labels.name());
  for (const Label& label : labels) legacy = legacy && model::valid_label_name(label.name);
  if (legacy) return true;
  return base::fail(ErrorCode::kInvalid, labels.to_string().substr(0, kShownBytes) +
                                             " has a name that metric_name_validation_scheme legacy does not allow");
}

base::Status Ingest::check_labels(const LabelSet& labels) const {
  if (options_.label_limit == 0 && options_.label_name_length_limit == 0 && options_.label_value_length_limit == 0) {
    return {};
  }
  const auto exceeded = [&](std::string_view limit, std::uint64_t bound, std::uint64_t found) {
    return base::fail(ErrorCode::kLimit, std::string(limit) + " " + std::to_string(bound) + " is exceeded (" +
                                             std::to_string(found) + ") by a series of the metric " +
                                             std::string(labels.name().substr(0, kShownBytes)));
  };
  std::uint64_t count = 0;
  for (const Label& label : labels) {
    ++count;
    if (options_.label_name_length_limit > 0 && label.name.size() > options_.label_name_length_limit) {
      return exceeded("label_name_length_limit", options_.label_name_length_limit, label.name.size());
    }
    if (options_.label_value_length_limit > 0 && label.value.size() > options_.label_value_length_limit) {
      return exceeded("label_value_length_limit", options_.label_value_length_limit, label.value.size());
    }
  }
  if (options_.label_limit > 0 && count > options_.label_limit) {
    return exceeded("label_limit", options_.label_limit, count);
  }
  return {};
}

void Ingest::begin_reordering() {
  reordering_ = true;
  slots_.clear();
  indexed_ = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) order_[i].seen = i < cursor_;
  next_.assign(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(cursor_));
}

// Where the sample of this series goes in the new order; for a line that the page repeats, where it went before.
base::Result<Ingest::Entry*> Ingest::place(std::string_view series, bool in_order, IngestCounts& counts) {
  if (in_order && !order_[cursor_].seen) {
    order_[cursor_].seen = true;
    next_.push_back(order_[cursor_++]);
    return &next_.back();
  }
  if (slots_.empty()) {
    slots_.assign(std::bit_ceil(order_.size() * 2 + 16), 0);
    for (std::size_t i = 0; i < order_.size(); ++i) index(i);
  }
  const std::size_t slot = slot_of(series);
  if (slots_[slot] != 0) {
    Entry& found = indexed(slots_[slot] - 1);
    if (found.seen) return &found;
    found.seen = true;
    cursor_ = slots_[slot];
    next_.push_back(found);
    return &next_.back();
  }
  constexpr std::size_t kTextsLimitBytes = std::numeric_limits<std::uint32_t>::max() / 2;
  if (series.size() > kTextsLimitBytes || texts_.size() > kTextsLimitBytes) {
    return base::fail(ErrorCode::kLimit, "the names and labels of the target are longer than 2 GiB");
  }
  ++counts.series_added;
  Entry& added = next_.emplace_back();
  added.text_at = static_cast<std::uint32_t>(texts_.size());
  added.text_size = static_cast<std::uint32_t>(series.size());
  added.seen = true;
  texts_.append(series);
  if ((indexed_ + 1) * 2 > slots_.size()) grow_index();
  index(order_.size() + next_.size() - 1);
  return &added;
}

// Of order_, and after them of next_.
Ingest::Entry& Ingest::indexed(std::size_t id) {
  return id < order_.size() ? order_[id] : next_[id - order_.size()];
}

std::size_t Ingest::slot_of(std::string_view series) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash_of(series) & mask;
  while (slots_[slot] != 0 && text(indexed(slots_[slot] - 1)) != series) slot = (slot + 1) & mask;
  return slot;
}

void Ingest::index(std::size_t id) {
  slots_[slot_of(text(indexed(id)))] = static_cast<std::uint32_t>(id + 1);
  ++indexed_;
}

void Ingest::grow_index() {
  const std::vector<std::uint32_t> old = std::exchange(slots_, std::vector<std::uint32_t>(slots_.size() * 2));
  indexed_ = 0;
  for (const std::uint32_t id : old) {
    if (id != 0) index(id - 1);
  }
}

void Ingest::mark_vanished(TimestampMs now_ms, Appender& appender) {
  for (std::size_t i = reordering_ ? 0 : cursor_; i < order_.size(); ++i) {
    const Entry& entry = order_[i];
    if ((reordering_ && entry.seen) || !entry.stale_when_gone || entry.ref == 0) continue;
    // A series that the store has dropped meanwhile needs no marker.
    static_cast<void>(appender.append(entry.ref, now_ms, model::stale_nan()));
  }
}

void Ingest::accept() {
  if (reordering_) {
    order_.swap(next_);
    compact();
  } else {
    order_.resize(cursor_);
  }
  live_ = true;
  accepted_created_ = created_.digest();
  accepted_text_bytes_ = texts_.size();
  if (metadata_.size() > kMetadataLimit) metadata_.clear();
  for (const auto& [family, told] : new_metadata_) metadata_[family] = told;
  drop_scratch();
}

void Ingest::reject() {
  texts_.resize(accepted_text_bytes_);
  drop_scratch();
}

// Most targets surprise rarely: what a surprise needs is not kept for the next.
void Ingest::drop_scratch() {
  new_metadata_.clear();
  created_.clear();
  next_ = {};
  slots_ = {};
}

void Ingest::end_series(TimestampMs now_ms, Appender& appender) {
  reordering_ = false;
  cursor_ = 0;
  if (live_) mark_vanished(now_ms, appender);
  live_ = false;
}

void Ingest::compact() {
  std::size_t used = 0;
  for (const Entry& entry : order_) used += entry.text_size;
  if (texts_.size() <= 2 * used + kUnusedTextBytes) return;
  std::string kept;
  kept.reserve(used);
  for (Entry& entry : order_) {
    const std::string_view old = text(entry);
    entry.text_at = static_cast<std::uint32_t>(kept.size());
    kept.append(old);
  }
  texts_ = std::move(kept);
}

template <typename SomeParser>
void Ingest::take_metadata(const SomeParser& parser, Event event, Appender& appender) {
  if (event == Event::kComment) return;
  if (!family_pending_ || parser.family() != family_) {
    flush_metadata(appender);
    family_pending_ = true;
    family_.assign(parser.family());
    family_metadata_ = {};
  }
  if (event == Event::kType) family_metadata_.type = parser.type();
  if (event == Event::kHelp) family_metadata_.help = parser.help();
  if (event == Event::kUnit) family_metadata_.unit = parser.unit();
}

void Ingest::flush_metadata(Appender& appender) {
  if (!family_pending_) return;
  family_pending_ = false;
  const std::uint64_t family = hash_of(family_);
  const std::uint64_t told =
      hash_of(family_metadata_.help, hash_of(family_metadata_.unit, static_cast<std::uint64_t>(family_metadata_.type)));
  const auto known = metadata_.find(family);
  if (known != metadata_.end() && known->second == told) return;
  appender.metadata(family_, family_metadata_);
  new_metadata_.emplace_back(family, told);
}

}  // namespace qd::observe::scrape
