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
constexpr std::uint32_t kLate = kNone - 2;

// Where samples of a series are: what came late first, then the oldest first. Where two have a sample at one time, the
// later one wins.
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
  StoreSeriesSet(const Head& head, HeadSelection selection, const LateBuffer& late_buffer, LateBuffer::View late,
                 std::shared_ptr<const SegmentList> segments, std::shared_ptr<const Tombstones> deleted)
      : head_(head),
        selection_(std::move(selection)),
        late_buffer_(late_buffer),
        late_(std::move(late)),
        segments_(std::move(segments)),
        deleted_(std::move(deleted)) {}

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

  void add_head(TimestampMs from_ms, TimestampMs to_ms) {
    if (selection_.slots.empty()) return;
    from_ms = std::max(from_ms, selection_.min_ms);
    std::vector<std::pair<LabelSet, std::uint32_t>> series;
    series.reserve(selection_.slots.size());
    for (std::uint32_t i = 0; i < selection_.slots.size(); ++i) {
      const TimestampMs last_ms = std::min(to_ms, selection_.last_ms[i]);
      if (!deleted_->empty() && deleted_->covers_head(head_.ref(selection_.slots[i]), from_ms, last_ms)) continue;
      series.emplace_back(std::move(selection_.labels[i]), i);
    }
    selection_.labels = {};
    add(kHead, std::move(series));
  }

  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    bool in_order = true;
    for (std::uint32_t at = rows_[i].first; at != kNone; at = sources_[at].next) {
      const std::size_t before = out.size();
      const Source& source = sources_[at];
      if (source.segment == kLate) {
        late_buffer_.read(late_, source.id, from_ms, to_ms, out);
      } else if (source.segment == kHead) {
        QD_TRY(head_.read(selection_, source.id, from_ms, to_ms, out));
        if (!deleted_->empty()) deleted_->cut_head(head_.ref(selection_.slots[source.id]), out, before);
      } else {
        const LiveSegment& entry = (*segments_)[source.segment];
        QD_TRY(entry.segment->read(source.id, from_ms, to_ms, out));
        deleted_->cut_segment(entry.number, rows_[i].labels, out, before);
      }
      if (before > 0 && out.size() > before && out.times[before] <= out.times[before - 1]) in_order = false;
    }
    if (!in_order) put_in_order(out);
    if (!out.histograms.empty()) out.drop_no_histograms();
    return {};
  }

 private:
  const Head& head_;
  HeadSelection selection_;
  const LateBuffer& late_buffer_;
  LateBuffer::View late_;
  std::shared_ptr<const SegmentList> segments_;
  std::shared_ptr<const Tombstones> deleted_;
  std::vector<Row> rows_;
  std::vector<Source> sources_;
};

// Places in the list: late ones first, of those the newest first, so that what was sealed first wins.
std::vector<std::uint32_t> in_precedence(const SegmentList& list) {
  std::vector<std::uint32_t> order(list.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto middle = std::stable_partition(order.begin(), order.end(),
                                            [&](std::uint32_t i) { return list[i].segment->info().late(); });
  std::sort(order.begin(), middle, [&](std::uint32_t a, std::uint32_t b) { return list[a].number > list[b].number; });
  return order;
}

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

void put_in_order(Columns& columns) {
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

std::shared_ptr<const SegmentList> StoreImpl::segments() const {
  base::MutexLock lock(segments_mutex_);
  return segments_;
}

std::vector<std::pair<LabelSet, Slot>> StoreImpl::late_series(const LateBuffer::View& late,
                                                              std::span<const Matcher> matchers, TimestampMs from_ms,
                                                              TimestampMs to_ms) const {
  std::vector<std::pair<LabelSet, Slot>> series;
  if (late.empty()) return series;
  head_->with_index([&](const LabelIndex& index) {
    for (const std::uint32_t position : index.select(matchers)) {
      const Slot slot = index.slots()[position];
      if (late_.overlaps(late, slot, from_ms, to_ms)) series.emplace_back(index.labels(slot), slot);
    }
  });
  std::sort(series.begin(), series.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return series;
}

// Series of the head, as positions of its index, that have samples there or among the late ones.
Postings StoreImpl::present(const LabelIndex& index, const LateBuffer::View& late, std::span<const Matcher> matchers,
                            TimestampMs from_ms, TimestampMs to_ms) const {
  Postings found;
  if (head_->last_ms() >= from_ms && head_->first_ms() <= to_ms) found = head_->present(index, matchers, from_ms);
  if (late.empty()) return found;
  Postings also = index.select(matchers);
  std::erase_if(also,
                [&](std::uint32_t position) { return !late_.overlaps(late, index.slots()[position], from_ms, to_ms); });
  Postings all;
  std::set_union(found.begin(), found.end(), also.begin(), also.end(), std::back_inserter(all));
  return all;
}

base::Result<std::unique_ptr<SeriesSet>> StoreImpl::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                           TimestampMs to_ms, std::size_t series_limit) const {
  std::shared_ptr<const SegmentList> live;
  LateBuffer::View late;
  std::shared_ptr<const Tombstones> deleted;
  QD_ASSIGN(HeadSelection selection, head_->select(matchers, from_ms, to_ms, series_limit, Head::Labels::kWith, [&] {
    live = segments();
    late = late_.view();
    deleted = tombstones();
  }));
  auto late_series = this->late_series(late, matchers, from_ms, to_ms);
  auto set = std::make_unique<StoreSeriesSet>(*head_, std::move(selection), late_, std::move(late), live, deleted);
  if (!late_series.empty()) set->add(kLate, std::move(late_series));
  const auto add_segment = [&](std::uint32_t i) -> base::Status {
    const Segment& segment = *(*live)[i].segment;
    if (!overlaps(segment.info(), from_ms, to_ms)) return {};
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
    for (const std::uint32_t id : ids) {
      LabelSet labels = segment.labels(id);
      if (!deleted->empty()) {
        const auto [first_ms, last_ms] = segment.range(id);
        if (deleted->covers_segment((*live)[i].number, labels, std::max(from_ms, first_ms), std::min(to_ms, last_ms)))
          continue;
      }
      series.emplace_back(std::move(labels), id);
    }
    set->add(i, std::move(series));
    return {};
  };
  for (const std::uint32_t i : in_precedence(*live)) QD_TRY(add_segment(i));
  set->add_head(from_ms, to_ms);
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
  const auto late = late_.view();
  const auto live = segments();
  head_->with_index(
      [&](const LabelIndex& index) { all = index.names(present(index, late, matchers, from_ms, to_ms)); });
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
  const auto late = late_.view();
  const auto live = segments();
  head_->with_index(
      [&](const LabelIndex& index) { all = index.values(name, present(index, late, matchers, from_ms, to_ms)); });
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
