// Appenders, and how their batches become one write.
//
// Whoever commits queues its request; the first becomes the leader, takes what is queued as one group, writes it to the
// log and applies it, while the next group gathers. Batches of one group touch different series, so that each can be
// judged against what is committed. Batches are applied in the order in which the log has them: replay finds the same.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "store/metrics/histogram_bytes.h"
#include "store/metrics/late_judge.h"
#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using base::MutexLock;
using model::TimestampMs;

namespace {

constexpr std::size_t kGroupBytesMax = 16 << 20;
// What late samples that wait for the next maintenance may weigh; beyond it batches with such are refused, to be sent
// again.
constexpr std::size_t kLateWeightMax = 4'000'000;
// Families that are remembered; further ones have no metadata.
constexpr std::size_t kMetadataFamiliesMax = 200'000;
// Of their names, helps and units together; what does not fit is not remembered.
constexpr std::size_t kMetadataBytesMax = 64 << 20;
// Of one batch; further ones are dropped, and counted.
constexpr std::size_t kExemplarsPendingMax = 100'000;

class StoreAppender final : public Appender {
 public:
  explicit StoreAppender(StoreImpl& store)
      : store_(store), judge_([&store](SeriesRef ref, TimestampMs from_ms, TimestampMs to_ms, Columns& out) {
          return store.stored(ref, from_ms, to_ms, out);
        }) {}

  base::Result<SeriesRef> series(const model::LabelSet& labels) override { return store_.series(labels); }

  void take_late() override { take_late_ = true; }
  bool takes_starts() const override { return store_.takes_starts(); }
  bool is_newest(SeriesRef ref, TimestampMs time_ms) override {
    bool repeated = false;
    if (store_.head().judge(ref, time_ms, 0, repeated) != AppendOutcome::kOk || repeated) return false;
    if (batch_.refs.empty() || ref > max_ref_) return true;
    return judge_again(ref, time_ms, 0, repeated) == AppendOutcome::kOk && !repeated;
  }

  AppendOutcome append(SeriesRef ref, TimestampMs time_ms, double value) override {
    const AppendOutcome outcome = add(ref, time_ms, value, nullptr);
    if (!batch_.histograms.empty()) batch_.histograms.resize(batch_.size());
    return outcome;
  }

  AppendOutcome append(SeriesRef ref, TimestampMs time_ms, const model::Histogram& histogram) override {
    if (model::is_stale_nan(histogram.sum)) return append(ref, time_ms, model::stale_nan());
    if (!storable(histogram)) return AppendOutcome::kInvalid;
    const std::size_t before = batch_.size();
    const AppendOutcome outcome = add(ref, time_ms, histogram_mark(histogram), &histogram);
    if (batch_.size() == before) return outcome;
    batch_.histograms.resize(before);
    batch_.histograms.push_back(std::make_shared<const model::Histogram>(histogram));
    return outcome;
  }

  AppendOutcome exemplar(SeriesRef ref, const model::Exemplar& exemplar) override {
    bool repeated = false;
    const AppendOutcome outcome = store_.judge_exemplar(ref, exemplar, repeated);
    if (outcome != AppendOutcome::kOk || repeated) return outcome;
    if (exemplars_.size() < kExemplarsPendingMax) {
      exemplars_.push_back({ref, exemplar});
    } else {
      store_.exemplars_dropped().add();
    }
    return outcome;
  }

  void metadata(std::string_view family, const model::Metadata& metadata) override {
    store_.set_metadata(family, metadata);
  }

  base::Status commit() override {
    base::Status status = write_records();
    if (!request_.record.empty() && status) {
      const SampleBatch& late = judge_.late();
      request_.batch = &batch_;
      request_.late = &late;
      request_.exemplars = exemplars_;
      // Without samples it shares series with no other.
      request_.min_ref = std::numeric_limits<SeriesRef>::max();
      request_.max_ref = 0;
      request_.min_ms = std::numeric_limits<TimestampMs>::max();
      for (const SampleBatch* const part : {&std::as_const(batch_), &late}) {
        if (part->refs.empty()) continue;
        const auto [min, max] = std::minmax_element(part->refs.begin(), part->refs.end());
        request_.min_ref = std::min(request_.min_ref, *min);
        request_.max_ref = std::max(request_.max_ref, *max);
        request_.min_ms = std::min(request_.min_ms, *std::min_element(part->times.begin(), part->times.end()));
      }
      status = store_.commit(request_);
    }
    request_.record.clear();
    request_.done = false;
    request_.status = {};
    batch_.clear();
    judge_.clear();
    exemplars_.clear();
    by_ref_.clear();
    return status;
  }

  std::size_t pending() const override { return batch_.size() + judge_.late().size(); }

 private:
  base::Status write_records() {
    const SampleBatch& late = judge_.late();
    std::string& record = request_.record;
    if (late.refs.empty()) {
      if (!batch_.refs.empty()) QD_TRY(append_samples_record(record, batch_));
    } else {
      QD_TRY(append_late_record(record, late, batch_));
    }
    append_exemplars_records(record, exemplars_);
    return {};
  }

  // A number, or what stands for a histogram, and it: both are judged alike.
  AppendOutcome add(SeriesRef ref, TimestampMs time_ms, double value, const model::Histogram* histogram) {
    if (batch_.refs.empty()) request_.judged_at = store_.changes();
    bool repeated = false;
    bool in_batch = false;
    AppendOutcome outcome = store_.head().judge(ref, time_ms, value, repeated);
    if (outcome == AppendOutcome::kOk && !repeated) {
      if (batch_.refs.empty() || ref > max_ref_) {
        max_ref_ = ref;
      } else {
        outcome = judge_again(ref, time_ms, value, repeated);
        in_batch = true;
      }
    }
    // What the head has at that time may have been deleted.
    const bool there = !in_batch && (repeated || outcome == AppendOutcome::kDuplicate);
    if (outcome == AppendOutcome::kOutOfOrder || outcome == AppendOutcome::kTooOld ||
        (there && store_.tombstones()->covers_head(ref, time_ms, time_ms)))
      return append_late(ref, time_ms, value, histogram, outcome, in_batch);
    if (outcome != AppendOutcome::kOk || repeated) return outcome;
    if (take_late_ && time_ms < store_.late_from_ms(true)) return AppendOutcome::kTooOld;
    if (!by_ref_.empty()) remember(ref, batch_.size());
    judge_.note_in_order(ref, time_ms, value);
    batch_.refs.push_back(ref);
    batch_.times.push_back(time_ms);
    batch_.values.push_back(value);
    return AppendOutcome::kOk;
  }

  // A reference that does not rise may stand in the batch already.
  AppendOutcome judge_again(SeriesRef ref, TimestampMs time_ms, double value, bool& repeated) {
    if (by_ref_.empty()) {
      for (std::size_t i = 0; i < batch_.size(); ++i) remember(batch_.refs[i], i);
    }
    const auto it = by_ref_.find(ref);
    if (it == by_ref_.end()) return AppendOutcome::kOk;
    const std::size_t i = it->second;
    if (time_ms > batch_.times[i]) return AppendOutcome::kOk;
    if (time_ms < batch_.times[i]) return AppendOutcome::kOutOfOrder;
    if (std::bit_cast<std::uint64_t>(value) != std::bit_cast<std::uint64_t>(batch_.values[i]))
      return AppendOutcome::kDuplicate;
    repeated = true;
    return AppendOutcome::kOk;
  }

  // `why` it is late; `in_batch` when only because of what the batch holds.
  AppendOutcome append_late(SeriesRef ref, TimestampMs time_ms, double value, const model::Histogram* histogram,
                            AppendOutcome why, bool in_batch) {
    if (!take_late_ && store_.out_of_order_window_ms() == 0) return why;
    if (time_ms < store_.late_from_ms(take_late_)) return AppendOutcome::kTooOld;
    if (judge_.late().refs.empty()) request_.late_judged_at = store_.late().commits();
    bool repeated = false;
    return judge_.append(ref, time_ms, value, histogram, batch_, in_batch, repeated);
  }

  void remember(SeriesRef ref, std::size_t i) { by_ref_[ref] = i; }

  StoreImpl& store_;
  SampleBatch batch_;  // in order
  LateJudge judge_;    // the others
  bool take_late_ = false;
  std::vector<RefExemplar> exemplars_;
  CommitRequest request_;
  SeriesRef max_ref_ = 0;
  // Where each series stands last; filled once a reference does not rise.
  std::unordered_map<SeriesRef, std::size_t> by_ref_;
};

}  // namespace

std::unique_ptr<Appender> StoreImpl::appender() {
  return std::make_unique<StoreAppender>(*this);
}

base::Result<SeriesRef> StoreImpl::series(const model::LabelSet& labels) {
  const StoreOptions now = options();
  auto ref = head_->series(labels, now.series_limit, now.labels_limit_bytes);
  if (!ref && ref.error().code() == base::ErrorCode::kLimit) series_refused_.add();
  return ref;
}

void StoreImpl::set_metadata(std::string_view family, const model::Metadata& metadata) {
  if (metadata.help.size() > model::kHelpBytesMax || metadata.unit.size() > model::kHelpBytesMax)
    return set_metadata(family, {.type = metadata.type, .help = "", .unit = ""});
  const auto bytes_of = [](const model::Metadata& one) { return one.help.size() + one.unit.size(); };
  MutexLock lock(metadata_mutex_);
  const auto it = metadata_.find(family);
  const bool known = it != metadata_.end();
  if (known && it->second == metadata) return;
  const std::size_t others = metadata_bytes_ - (known ? bytes_of(it->second) : 0);
  const std::size_t all = others + bytes_of(metadata) + (known ? 0 : family.size());
  if (all > kMetadataBytesMax || (!known && metadata_.size() >= kMetadataFamiliesMax)) return;
  metadata_bytes_ = all;
  if (known) {
    it->second = metadata;
  } else {
    metadata_.emplace(family, metadata);
  }
}

std::vector<CommitRequest*> StoreImpl::take_group() {
  std::size_t n = 0;
  for (std::size_t bytes = 0; n < queue_.size(); ++n) {
    bytes += queue_[n]->record.size();
    if (n > 0 && bytes > kGroupBytesMax) break;
  }
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(n);
  std::vector<CommitRequest*> group(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return group;
}

base::Status StoreImpl::commit(CommitRequest& request) {
  {
    MutexLock lock(queue_mutex_);
    queue_.push_back(&request);
  }
  while (true) {
    std::vector<CommitRequest*> group;
    {
      MutexLock lock(queue_mutex_);
      while (!request.done && leading_) queue_wake_.wait(queue_mutex_);
      if (request.done) return request.status;
      leading_ = true;
      group = take_group();
    }
    const std::vector<CommitRequest*> deferred = write_group(group);
    MutexLock lock(queue_mutex_);
    for (CommitRequest* const written : group) written->done = true;
    for (CommitRequest* const waiting : deferred) waiting->done = false;
    queue_.insert(queue_.begin(), deferred.begin(), deferred.end());
    leading_ = false;
    queue_wake_.notify_all();
  }
}

// Most batches lie apart by their references alone; only where those overlap are the series compared.
bool StoreImpl::shares_series(const CommitRequest& request, std::span<CommitRequest* const> earlier) {
  const bool apart = std::all_of(earlier.begin(), earlier.end(), [&](const CommitRequest* other) {
    return request.max_ref < other->min_ref || request.min_ref > other->max_ref;
  });
  if (apart) return false;
  if (++group_mark_ == 0) {
    group_marks_.clear();
    group_mark_ = 1;
  }
  for (const CommitRequest* const other : earlier) {
    for (const SampleBatch* const batch : {other->batch, other->late}) {
      for (const SeriesRef ref : batch->refs) {
        const std::uint32_t slot = slot_of(ref);
        if (slot >= group_marks_.size()) group_marks_.resize(slot + slot / 4 + 1);
        group_marks_[slot] = group_mark_;
      }
    }
  }
  for (const SampleBatch* const batch : {request.batch, request.late}) {
    for (const SeriesRef ref : batch->refs) {
      const std::uint32_t slot = slot_of(ref);
      if (slot < group_marks_.size() && group_marks_[slot] == group_mark_) return true;
    }
  }
  return false;
}

// What was judged may have been overtaken since: by other batches, by sealing.
base::Status StoreImpl::judge_anew(const CommitRequest& request) const {
  const SampleBatch& late = *request.late;
  const bool overtaken =
      (request.judged_at != changes() && !head_->still_fits(*request.batch)) ||
      (!late.refs.empty() && late_.overtaken(late, request.late_judged_at)) ||
      !std::all_of(late.refs.begin(), late.refs.end(), [&](SeriesRef ref) { return head_->knows(ref); });
  if (overtaken) {
    return base::fail(base::ErrorCode::kConflict,
                      "another batch or sealing overtook samples of this one while it was gathered: nothing "
                      "of it was stored; append it again");
  }
  // However large it is, a batch is taken once those before it are sealed.
  if (!late.refs.empty() && late_due() && late_.weight() + late_weight(late) > kLateWeightMax) {
    return base::fail(base::ErrorCode::kUnavailable,
                      "too many late samples wait to be sealed, and nothing of this batch was stored: append it again "
                      "in a second");
  }
  return {};
}

std::vector<CommitRequest*> StoreImpl::write_group(std::vector<CommitRequest*> group) {
  const bool synced = options().sync == StoreOptions::Sync::kCommit;
  MutexLock lock(commit_mutex_);
  group_buffer_.clear();
  std::vector<SeriesRef> new_series = head_->take_unlogged(group_buffer_);
  std::vector<CommitRequest*> deferred;
  std::size_t kept = 0;
  bool any = false;
  for (CommitRequest* const request : group) {
    if (kept > 0 && shares_series(*request, std::span(group).first(kept))) {
      deferred.push_back(request);
      continue;
    }
    group[kept++] = request;
    request->status = judge_anew(*request);
    if (request->status) any = true;
  }
  group.resize(kept);
  // One batch alone is written from where it stands.
  const bool alone = group.size() == 1 && group_buffer_.empty();
  if (!alone) {
    for (const CommitRequest* const request : group) {
      if (request->status) group_buffer_ += request->record;
    }
  }
  const std::string_view bytes = alone ? std::string_view(group.front()->record) : group_buffer_;
  base::Status written;
  if (any) written = synced ? wal_->append_synced(bytes) : wal_->append(bytes);
  if (!any || !written) head_->give_back_unlogged(std::move(new_series));
  for (CommitRequest* const request : group) {
    if (!request->status) {
      failed_commits_.add();
    } else if (!written) {
      failed_commits_.add();
      request->status = base::fail(base::ErrorCode::kUnavailable,
                                   fmt::format("the samples could not be written to the log, and nothing of them was "
                                               "stored: {}",
                                               written.error().message()));
    } else {
      const SampleBatch& late = *request->late;
      std::function<void()> apply_late;
      if (!late.refs.empty()) apply_late = [&] { late_.apply(late); };
      const std::size_t stored = head_->apply(*request->batch, apply_late).stored + late.size();
      change_log_.note(request->min_ms);
      commits_.add();
      samples_appended_.add(stored);
      late_samples_.add(late.size());
      log_samples_.fetch_add(request->batch->size() + late.size(), std::memory_order_relaxed);
      for (const auto& [ref, exemplar] : request->exemplars) add_exemplar(ref, exemplar);
      changes_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  // A buffer that one large group needed is not kept for ever.
  if (group_buffer_.capacity() > kGroupBytesMax / 4) group_buffer_ = std::string();
  return deferred;
}

}  // namespace qd::store::metrics
