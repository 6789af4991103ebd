// Head and segments read as one.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "store/metrics/store_impl.h"

namespace qd::store::metrics {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kHead = kNone - 1;  // in the place of a segment's index

// Where samples of a series are, oldest first.
struct Source {
  std::uint32_t segment;
  std::uint32_t id;
  std::uint32_t next = kNone;
};

struct Row {
  LabelSet labels;
  std::uint32_t first;
  std::uint32_t last;
};

class StoreSeriesSet final : public SeriesSet {
 public:
  StoreSeriesSet(const Head& head, HeadSelection selection, std::shared_ptr<const SegmentList> segments)
      : head_(head), selection_(std::move(selection)), segments_(std::move(segments)) {}

  std::size_t size() const override { return rows_.size(); }
  const LabelSet& labels(std::size_t i) const override { return rows_[i].labels; }

  // Series in label order; called for the oldest samples first.
  void add(std::uint32_t segment, std::vector<std::pair<LabelSet, std::uint32_t>> series) {
    const std::size_t middle = rows_.size();
    if (middle == 0) rows_.reserve(series.size());
    std::size_t at = 0;
    for (auto& [labels, id] : series) {
      const auto source = static_cast<std::uint32_t>(sources_.size());
      sources_.push_back({segment, id});
      std::strong_ordering order = std::strong_ordering::less;
      while (at < middle && (order = rows_[at].labels <=> labels) < 0) ++at;
      if (at < middle && order == 0) {
        sources_[rows_[at].last].next = source;
        rows_[at].last = source;
        ++at;
      } else {
        rows_.push_back({std::move(labels), source, source});
      }
    }
    if (middle == 0 || middle == rows_.size()) return;
    const auto joint = rows_.begin() + static_cast<std::ptrdiff_t>(middle);
    std::vector<Row> merged;
    merged.reserve(rows_.size());
    std::merge(std::make_move_iterator(rows_.begin()), std::make_move_iterator(joint), std::make_move_iterator(joint),
               std::make_move_iterator(rows_.end()), std::back_inserter(merged),
               [](const Row& a, const Row& b) { return a.labels < b.labels; });
    rows_ = std::move(merged);
  }

  void add_head() {
    if (selection_.slots.empty()) return;
    std::vector<std::pair<LabelSet, std::uint32_t>> series;
    series.reserve(selection_.slots.size());
    for (std::uint32_t i = 0; i < selection_.slots.size(); ++i) series.emplace_back(std::move(selection_.labels[i]), i);
    selection_.labels = {};
    add(kHead, std::move(series));
  }

  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    bool in_order = true;
    for (std::uint32_t at = rows_[i].first; at != kNone; at = sources_[at].next) {
      const std::size_t before = out.size();
      const Source& source = sources_[at];
      if (source.segment == kHead) {
        QD_TRY(head_.read(selection_, source.id, from_ms, to_ms, out));
      } else {
        QD_TRY((*segments_)[source.segment].segment->read(source.id, from_ms, to_ms, out));
      }
      if (before > 0 && out.size() > before && out.times[before] <= out.times[before - 1]) in_order = false;
    }
    if (!in_order) put_in_order(out);
    if (!out.histograms.empty()) out.drop_no_histograms();
    return {};
  }

 private:
  // Segments whose times overlap: where both have a sample, the later source wins.
  static void put_in_order(Columns& columns) {
    std::vector<std::size_t> order(columns.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return columns.times[a] != columns.times[b] ? columns.times[a] < columns.times[b] : a < b;
    });
    Columns sorted;
    for (const std::size_t i : order) {
      if (!sorted.times.empty() && sorted.times.back() == columns.times[i]) {
        sorted.values.back() = columns.values[i];
        if (!columns.histograms.empty()) sorted.histograms.back() = columns.histograms[i];
      } else {
        sorted.times.push_back(columns.times[i]);
        sorted.values.push_back(columns.values[i]);
        if (!columns.histograms.empty()) sorted.histograms.push_back(columns.histograms[i]);
      }
    }
    std::swap(columns, sorted);
  }

  const Head& head_;
  HeadSelection selection_;
  std::shared_ptr<const SegmentList> segments_;
  std::vector<Row> rows_;
  std::vector<Source> sources_;
};

bool overlaps(const SegmentInfo& info, TimestampMs from_ms, TimestampMs to_ms) {
  return info.series > 0 && info.min_ms <= to_ms && info.max_ms >= from_ms;
}

void merge_into(std::vector<std::string>& all, std::vector<std::string> more) {
  std::vector<std::string> both;
  both.reserve(all.size() + more.size());
  std::set_union(std::make_move_iterator(all.begin()), std::make_move_iterator(all.end()),
                 std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()), std::back_inserter(both));
  all = std::move(both);
}

std::vector<std::string> owned(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

}  // namespace

std::shared_ptr<const SegmentList> StoreImpl::segments() const {
  base::MutexLock lock(segments_mutex_);
  return segments_;
}

base::Result<std::unique_ptr<SeriesSet>> StoreImpl::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                           TimestampMs to_ms, std::size_t series_limit) const {
  std::shared_ptr<const SegmentList> live;
  QD_ASSIGN(HeadSelection selection,
            head_->select(matchers, from_ms, to_ms, series_limit, Head::Labels::kWith, [&] { live = segments(); }));
  auto set = std::make_unique<StoreSeriesSet>(*head_, std::move(selection), live);
  for (std::uint32_t i = 0; i < live->size(); ++i) {
    const Segment& segment = *(*live)[i].segment;
    if (!overlaps(segment.info(), from_ms, to_ms)) continue;
    QD_ASSIGN(const std::vector<std::uint32_t> ids, segment.find(matchers, from_ms, to_ms));
    if (ids.size() > series_limit) {
      return base::fail(
          base::ErrorCode::kLimit,
          fmt::format(
              "the selection matches more than {} series (query.series_limit): name more labels, or raise the limit",
              series_limit));
    }
    std::vector<std::pair<LabelSet, std::uint32_t>> series;
    series.reserve(ids.size());
    for (const std::uint32_t id : ids) series.emplace_back(segment.labels(id), id);
    set->add(i, std::move(series));
  }
  set->add_head();
  if (set->size() > series_limit) {
    return base::fail(
        base::ErrorCode::kLimit,
        fmt::format(
            "the selection matches more than {} series (query.series_limit): name more labels, or raise the limit",
            series_limit));
  }
  return set;
}

base::Result<std::vector<std::string>> StoreImpl::label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                              TimestampMs to_ms) const {
  std::vector<std::string> all;
  const auto live = segments();
  if (head_->last_ms() >= from_ms && head_->first_ms() <= to_ms) {
    head_->with_index([&](const LabelIndex& index) { all = index.names(head_->present(index, matchers, from_ms)); });
  }
  for (const LiveSegment& entry : *live) {
    const Segment& segment = *entry.segment;
    if (!overlaps(segment.info(), from_ms, to_ms)) continue;
    if (matchers.empty()) {
      merge_into(all, owned(segment.label_names()));
      continue;
    }
    QD_ASSIGN(const std::vector<std::uint32_t> ids, segment.find(matchers, from_ms, to_ms));
    std::set<std::string, std::less<>> names;
    for (const std::uint32_t id : ids) {
      const LabelSet labels = segment.labels(id);
      for (const model::Label& label : labels) {
        if (!names.contains(label.name)) names.emplace(label.name);
      }
    }
    merge_into(all, {names.begin(), names.end()});
  }
  return all;
}

base::Result<std::vector<std::string>> StoreImpl::label_values(std::string_view name, std::span<const Matcher> matchers,
                                                               TimestampMs from_ms, TimestampMs to_ms) const {
  std::vector<std::string> all;
  const auto live = segments();
  if (head_->last_ms() >= from_ms && head_->first_ms() <= to_ms) {
    head_->with_index(
        [&](const LabelIndex& index) { all = index.values(name, head_->present(index, matchers, from_ms)); });
  }
  for (const LiveSegment& entry : *live) {
    const Segment& segment = *entry.segment;
    if (!overlaps(segment.info(), from_ms, to_ms)) continue;
    if (matchers.empty()) {
      merge_into(all, owned(segment.label_values(name)));
      continue;
    }
    QD_ASSIGN(const std::vector<std::uint32_t> ids, segment.find(matchers, from_ms, to_ms));
    std::vector<std::string_view> values;
    for (const std::uint32_t id : ids) {
      const std::string_view value = segment.label(id, name);
      if (!value.empty() && (values.empty() || values.back() != value)) values.push_back(value);
    }
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    merge_into(all, owned(values));
  }
  return all;
}

}  // namespace qd::store::metrics
