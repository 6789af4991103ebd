// Exemplars: from appenders through the log into the ring, and how they are found again.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using model::Exemplar;
using model::TimestampMs;

namespace {
// At a time, when the log is cut: how many there are is a setting.
constexpr std::size_t kExemplarsWritten = 16 << 10;
}  // namespace

AppendOutcome StoreImpl::judge_exemplar(SeriesRef ref, const Exemplar& exemplar, bool& repeated) const {
  bool ignored = false;
  switch (const auto outcome = head_->judge(ref, exemplar.time_ms, 0, ignored); outcome) {
    case AppendOutcome::kUnknownSeries:
    case AppendOutcome::kTooOld:
    case AppendOutcome::kTooFarInFuture:
      return outcome;
    default:
      // What it says of the order is about samples.
      return exemplars_.judge(ref, exemplar, repeated);
  }
}

void StoreImpl::add_exemplar(SeriesRef ref, const Exemplar& exemplar) {
  const auto dropped = exemplars_.add(ref, exemplar);
  if (!dropped) return;
  exemplars_appended_.add();
  exemplars_dropped_.add(*dropped);
}

base::Status StoreImpl::log_exemplars() {
  std::vector<RefExemplar> held = exemplars_.all();
  // Of a series that was dropped nobody finds one.
  std::erase_if(held, [&](const RefExemplar& one) { return !head_->knows(one.ref); });
  if (held.empty()) return {};
  std::string records;
  for (std::span<const RefExemplar> left = held; !left.empty();) {
    const auto part = left.first(std::min(left.size(), kExemplarsWritten));
    records.clear();
    append_exemplars_records(records, part);
    QD_TRY(wal_->append(records));
    left = left.subspan(part.size());
  }
  // What they are taken from goes next.
  return wal_->sync();
}

base::Result<std::vector<SeriesExemplars>> StoreImpl::exemplars(std::span<const std::vector<Matcher>> selectors,
                                                                TimestampMs from_ms, TimestampMs to_ms,
                                                                std::size_t series_limit) const {
  std::map<LabelSet, std::vector<Exemplar>> found;
  std::size_t count = 0;
  const auto within_limits = [&]() -> base::Status {
    if (found.size() > series_limit) {
      return base::fail(base::ErrorCode::kLimit, fmt::format("more than {} series have exemplars there "
                                                             "(query.series_limit): name more labels, or raise the "
                                                             "limit",
                                                             series_limit));
    }
    if (count > kExemplarsSelectedMax) {
      return base::fail(base::ErrorCode::kLimit,
                        fmt::format("there are more than {} exemplars there: name more labels, or a shorter time",
                                    kExemplarsSelectedMax));
    }
    return {};
  };

  // The ring before the segments: what is sealed between the two is in both.
  ExemplarRing::BySeries held = exemplars_.select(from_ms, to_ms);
  if (!held.empty()) {
    head_->with_index([&](const LabelIndex& index) {
      for (const auto& matchers : selectors) {
        for (const std::uint32_t position : index.select(matchers)) {
          const Slot slot = index.slots()[position];
          const auto its = held.find(head_->ref(slot));
          if (its == held.end()) continue;
          count += its->second.size();
          found.emplace(index.labels(slot), std::move(its->second));
          held.erase(its);
        }
      }
    });
    QD_TRY(within_limits());
  }
  const auto live = segments();
  std::vector<Exemplar> read;
  for (const LiveSegment& entry : *live) {
    const SegmentInfo& info = entry.segment->info();
    if (info.exemplars == 0 || info.exemplars_max_ms < from_ms || info.exemplars_min_ms > to_ms) continue;
    for (const auto& matchers : selectors) {
      QD_ASSIGN(const auto ids, entry.segment->find(matchers, model::kMinTimestampMs, model::kMaxTimestampMs));
      for (const std::uint32_t id : ids) {
        read.clear();
        QD_TRY(entry.segment->exemplars(id, from_ms, to_ms, read));
        if (read.empty()) continue;
        count += read.size();
        auto& all = found[entry.segment->labels(id)];
        all.insert(all.end(), std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
        QD_TRY(within_limits());
      }
    }
  }
  std::vector<SeriesExemplars> result;
  result.reserve(found.size());
  for (auto& [labels, exemplars] : found) {
    put_in_order(exemplars);
    result.push_back({labels, std::move(exemplars)});
  }
  return result;
}

}  // namespace qd::store::metrics
