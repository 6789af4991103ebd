// Opening, and what the store says about itself.

#include "store/metrics/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "store/metrics/store_impl.h"
#include "store/metrics/wal_reader.h"

namespace qd::store::metrics {

using base::ErrorCode;
using base::MutexLock;
using base::Status;
using model::TimestampMs;

base::Result<std::unique_ptr<Store>> Store::open(base::Files& files, const std::filesystem::path& dir,
                                                 const StoreOptions& options, base::Log& log,
                                                 base::Registry& registry) {
  if (options.seal_interval_ms <= 0)
    return base::fail(ErrorCode::kInvalid, "store.metrics.seal_interval must be more than zero");
  auto store = std::make_unique<StoreImpl>(files, dir, options, log, registry);
  QD_TRY(store->load());
  return store;
}

StoreImpl::StoreImpl(base::Files& files, std::filesystem::path dir, const StoreOptions& options, base::Log& log,
                     base::Registry& registry)
    : files_(files),
      dir_(std::move(dir)),
      wal_dir_(dir_ / "wal"),
      head_dir_(dir_ / "head"),
      segment_dir_(dir_ / "segments"),
      tombstone_dir_(dir_ / "tombstones"),
      manifest_path_(dir_ / "MANIFEST"),
      log_(log),
      options_(options),
      out_of_order_window_ms_(options.out_of_order_window_ms),
      takes_starts_(options.created_timestamp_zero_ingestion),
      exemplars_(options.exemplars_limit),
      segments_(std::make_shared<const SegmentList>()),
      tombstones_(std::make_shared<const Tombstones>()),
      samples_appended_(registry.counter("quarterdeck_store_samples_appended_total", "Samples stored.")),
      late_samples_(registry.counter("quarterdeck_store_late_samples_total",
                                     "Samples stored that were older than the newest of their series, or sealed.")),
      exemplars_appended_(registry.counter("quarterdeck_store_exemplars_appended_total", "Exemplars stored.")),
      exemplars_dropped_(registry.counter("quarterdeck_store_exemplars_dropped_total",
                                          "Exemplars that gave way to newer ones before they were sealed.")),
      commits_(registry.counter("quarterdeck_store_commits_total", "Batches acknowledged.")),
      failed_commits_(registry.counter("quarterdeck_store_commits_failed_total", "Batches refused as a whole.")),
      series_refused_(registry.counter("quarterdeck_store_series_refused_total",
                                       "Times that a new series was refused: store.metrics.series_limit was met.")),
      torn_tails_(registry.counter("quarterdeck_store_torn_tails_total", "Torn records cut off the log at start-up.")),
      damaged_parts_(registry.counter("quarterdeck_store_damaged_parts_total",
                                      "Parts of files that were found damaged or missing.")),
      seals_(registry.counter("quarterdeck_store_seals_total", "Windows of the head sealed into segments.")),
      merges_(registry.counter("quarterdeck_store_merges_total", "Merges of segments.")),
      failed_maintenance_(registry.counter("quarterdeck_store_maintenance_failed_total",
                                           "Steps of maintenance that failed and will be tried again.")),
      series_gauge_(registry.gauge("quarterdeck_store_head_series", "Series in the head.")),
      late_gauge_(
          registry.gauge("quarterdeck_store_late_samples_waiting", "Late samples that are not in segments yet.")),
      wal_bytes_gauge_(registry.gauge("quarterdeck_store_log_bytes", "Size of the write-ahead log.")),
      segment_bytes_gauge_(registry.gauge("quarterdeck_store_segment_bytes", "Size of the segments.")),
      segments_gauge_(registry.gauge("quarterdeck_store_segments", "Segments.")),
      tombstones_gauge_(
          registry.gauge("quarterdeck_store_tombstones", "Deletions whose samples still stand in files, hidden.")) {}

StoreImpl::~StoreImpl() {
  // What kInterval has not brought to the device yet. Nothing can be done about a failure, and the log says so.
  if (wal_ == nullptr) return;
  if (const Status synced = wal_->sync(); !synced)
    log_.error("the last sync of the log failed", {{"error", synced.error()}});
}

StoreOptions StoreImpl::options() const {
  MutexLock lock(options_mutex_);
  return options_;
}

void StoreImpl::set_options(const StoreOptions& options) {
  MutexLock lock(options_mutex_);
  options_.retention_ms = options.retention_ms;
  options_.retention_bytes = options.retention_bytes;
  options_.series_limit = options.series_limit;
  options_.labels_limit_bytes = options.labels_limit_bytes;
  options_.future_limit_ms = options.future_limit_ms;
  options_.out_of_order_window_ms = options.out_of_order_window_ms;
  out_of_order_window_ms_ = options.out_of_order_window_ms;
  options_.created_timestamp_zero_ingestion = options.created_timestamp_zero_ingestion;
  takes_starts_ = options.created_timestamp_zero_ingestion;
  options_.sync = options.sync;
  options_.sync_interval_ms = options.sync_interval_ms;
  options_.exemplars_limit = options.exemplars_limit;
  exemplars_.set_limit(options.exemplars_limit);
}

// --- Opening ---

// Puts what the log and the series files hold into the head. Batches are applied on a thread of their own, in order,
// while the next ones are decoded: start-up is waiting for this.
class StoreImpl::Replay final : public WalSink {
 public:
  // Late samples of log files before `late_first` are in segments.
  Replay(StoreImpl& store, std::uint64_t late_first)
      : store_(store), head_(*store.head_), late_first_(late_first), applier_([this] { work(); }) {}
  ~Replay() override { finish(); }

  // Returns once everything is in the head; nothing may come after it.
  void finish() {
    {
      MutexLock lock(mutex_);
      ended_ = true;
      wake_.notify_all();
    }
    if (applier_.joinable()) applier_.join();
  }

  void series(std::span<const LoggedSeries> series) override {
    for (const LoggedSeries& logged : series) {
      const auto labels = model::LabelSet::from_bytes(logged.label_bytes);
      if (!labels) continue;
      const SeriesRef ref = head_.restore(logged.ref, *labels);
      if (ref != logged.ref && ref != 0) renamed_[logged.ref] = ref;
    }
  }

  void file(std::uint64_t number) override { file_ = number; }
  void samples(const SampleBatch& batch) override { add(batch, false); }
  void late(const SampleBatch& batch) override {
    if (file_ >= late_first_) add(batch, true);
  }
  void exemplars(std::span<const RefExemplar> exemplars) override {
    // Some may be sealed already, and are told once all the same. Counted they were when they came.
    for (const auto& [ref, exemplar] : exemplars) {
      const auto renamed = renamed_.find(ref);
      (void)store_.exemplars_.add(renamed == renamed_.end() ? ref : renamed->second, exemplar);
    }
  }

  std::uint64_t read() const { return read_; }
  // After finish(): samples that belong to no series, and are not sealed either.
  std::uint64_t unknown() const { return unknown_; }
  bool any_renamed() const { return !renamed_.empty(); }

 private:
  static constexpr std::size_t kBatchesWaiting = 8;

  struct Waiting {
    SampleBatch batch;
    bool late;
  };

  void add(const SampleBatch& batch, bool late) {
    read_ += batch.size();
    SampleBatch own;
    {
      // Memory of a batch that has been applied.
      MutexLock lock(mutex_);
      if (!used_.empty()) {
        own = std::move(used_.back());
        used_.pop_back();
      }
    }
    own = batch;
    if (!renamed_.empty()) {
      for (SeriesRef& ref : own.refs) {
        if (const auto it = renamed_.find(ref); it != renamed_.end()) ref = it->second;
      }
    }
    MutexLock lock(mutex_);
    while (waiting_.size() >= kBatchesWaiting) wake_.wait(mutex_);
    waiting_.push_back({std::move(own), late});
    wake_.notify_all();
  }

  void apply_late(SampleBatch& batch) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!head_.knows(batch.refs[i])) continue;
      batch.refs[kept] = batch.refs[i];
      batch.times[kept] = batch.times[i];
      batch.values[kept] = batch.values[i];
      if (!batch.histograms.empty()) batch.histograms[kept] = std::move(batch.histograms[i]);
      ++kept;
    }
    unknown_ += batch.size() - kept;
    batch.refs.resize(kept);
    batch.times.resize(kept);
    batch.values.resize(kept);
    if (!batch.histograms.empty()) batch.histograms.resize(kept);
    store_.late_.apply(batch);
  }

  void work() {
    while (true) {
      SampleBatch batch;
      bool late = false;
      {
        MutexLock lock(mutex_);
        while (waiting_.empty() && !ended_) wake_.wait(mutex_);
        if (waiting_.empty()) return;
        batch = std::move(waiting_.front().batch);
        late = waiting_.front().late;
        waiting_.pop_front();
        wake_.notify_all();
      }
      if (late) {
        apply_late(batch);
      } else {
        unknown_ += head_.apply(batch).unknown;
      }
      MutexLock lock(mutex_);
      used_.push_back(std::move(batch));
    }
  }

  StoreImpl& store_;
  Head& head_;
  const std::uint64_t late_first_;
  std::uint64_t file_ = 0;
  std::unordered_map<SeriesRef, SeriesRef> renamed_;
  std::uint64_t read_ = 0;
  std::uint64_t unknown_ = 0;  // the applier's, until it has ended

  base::Mutex mutex_;
  base::CondVar wake_;
  bool ended_ QD_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> waiting_ QD_GUARDED_BY(mutex_);
  std::vector<SampleBatch> used_ QD_GUARDED_BY(mutex_);
  std::thread applier_;
};

Status StoreImpl::load() {
  for (const auto& dir : {dir_, wal_dir_, head_dir_, segment_dir_, tombstone_dir_})
    QD_TRY(files_.create_directories(dir));
  QD_TRY(read_manifest());
  QD_TRY(remove_left_overs());
  QD_TRY(load_segments());
  QD_TRY(load_tombstones());
  head_ = std::make_unique<Head>(manifest_.generation);
  head_->accept_from(manifest_.sealed_until_ms);
  head_->publish(manifest_.sealed_until_ms, [] {});
  QD_TRY(load_head());
  if (damaged_) {
    // So that damage that has been told and set aside is not met again.
    if (const Status cut = checkpoint(); !cut) log_.warn("the damaged log stays for now", {{"error", cut.error()}});
  }
  update_gauges();
  return {};
}

Status StoreImpl::read_manifest() {
  auto manifest = Manifest::read(files_, manifest_path_);
  if (!manifest && manifest.error().code() != ErrorCode::kCorrupt) return base::fail(manifest.error());
  if (!manifest) {
    damaged_parts_.add();
    const std::filesystem::path aside = manifest_path_.native() + ".damaged";
    log_.error("the manifest is damaged: it was set aside, and everything that the directory holds is used",
               {{"error", manifest.error()}, {"copy", aside.native()}});
    QD_TRY(files_.rename(manifest_path_, aside));
    QD_ASSIGN(manifest_, rebuilt_manifest());
    damaged_ = true;
    return manifest_.write(files_, manifest_path_);
  }
  if (*manifest) {
    manifest_ = **manifest;
    return {};
  }
  // A new directory, or one whose manifest was lost.
  QD_ASSIGN(manifest_, rebuilt_manifest());
  return manifest_.write(files_, manifest_path_);
}

// Everything there is. Left-overs may be among it, but those of the head only repeat what the log says, and a segment
// that another one has been merged from lies inside that one's time.
base::Result<Manifest> StoreImpl::rebuilt_manifest() {
  Manifest all;
  QD_ASSIGN(all.series_files, list_numbered(files_, head_dir_, ".series"));
  QD_ASSIGN(all.chunk_files, list_numbered(files_, head_dir_, ".chunks"));
  QD_ASSIGN(all.tombstones, list_numbered(files_, tombstone_dir_, ".tomb"));
  QD_ASSIGN(const std::vector<std::uint64_t> segments, list_numbered(files_, segment_dir_, ".seg"));
  QD_ASSIGN(const std::vector<std::uint64_t> log, list_numbered(files_, wal_dir_, ".wal"));
  if (!log.empty()) all.log_first = all.late_first = log.front();
  struct Found {
    std::uint64_t number;
    SegmentInfo info;
  };
  std::vector<Found> found;
  for (const std::uint64_t number : segments) {
    const auto segment = Segment::open(files_, numbered(segment_dir_, number, ".seg"));
    found.push_back({number, segment ? (*segment)->info() : SegmentInfo{}});
    if (segment && !(*segment)->info().late())
      all.sealed_until_ms = std::max(all.sealed_until_ms, (*segment)->info().max_ms + 1);
  }
  for (const Found& one : found) {
    // Late ones may lie inside others without being part of them: they only repeat what was merged into those.
    const bool merged = !one.info.late() && std::any_of(found.begin(), found.end(), [&](const Found& other) {
      return !other.info.late() && other.info.level > one.info.level && other.info.min_ms <= one.info.min_ms &&
             other.info.max_ms >= one.info.max_ms;
    });
    if (!merged) all.segments.push_back(one.number);
  }
  return all;
}

Status StoreImpl::remove_left_overs() {
  const auto remove_unnamed = [&](const std::filesystem::path& dir, std::string_view suffix,
                                  const std::vector<std::uint64_t>& named) -> Status {
    QD_ASSIGN(const std::vector<std::uint64_t> there, list_numbered(files_, dir, suffix));
    for (const std::uint64_t number : there) {
      if (!std::binary_search(named.begin(), named.end(), number)) QD_TRY(files_.remove(numbered(dir, number, suffix)));
    }
    return {};
  };
  QD_TRY(remove_unnamed(segment_dir_, ".seg", manifest_.segments));
  QD_TRY(remove_unnamed(head_dir_, ".chunks", manifest_.chunk_files));
  QD_TRY(remove_unnamed(head_dir_, ".series", manifest_.series_files));
  QD_TRY(remove_unnamed(tombstone_dir_, ".tomb", manifest_.tombstones));
  for (const auto& dir : {dir_, wal_dir_, head_dir_, segment_dir_, tombstone_dir_}) {
    QD_ASSIGN(const std::vector<std::string> names, files_.list(dir));
    for (const std::string& name : names) {
      if (name.ends_with(".tmp")) QD_TRY(files_.remove(dir / name));
    }
  }
  QD_ASSIGN(const std::vector<std::uint64_t> log, Wal::list(files_, wal_dir_));
  for (const std::uint64_t number : log) {
    if (number < manifest_.log_first) QD_TRY(files_.remove(Wal::segment_path(wal_dir_, number)));
  }
  return {};
}

Status set_aside(base::Files& files, base::Log& log, const std::filesystem::path& path, const base::Error& error) {
  if (error.code() != ErrorCode::kCorrupt && error.code() != ErrorCode::kNotFound) return base::fail(error);
  const std::filesystem::path aside = path.native() + ".damaged";
  log.error("a file of the metrics store is damaged and was set aside; the rest is used",
            {{"error", error}, {"copy", aside.native()}});
  return error.code() == ErrorCode::kNotFound ? Status{} : files.rename(path, aside);
}

Status StoreImpl::load_segments() {
  auto list = std::make_shared<SegmentList>();
  for (const std::uint64_t number : manifest_.segments) {
    next_segment_ = std::max(next_segment_, number + 1);
    const auto path = numbered(segment_dir_, number, ".seg");
    auto segment = Segment::open(files_, path);
    if (segment) {
      list->push_back({number, std::move(*segment)});
      continue;
    }
    if (segment.error().code() == ErrorCode::kNotFound) {
      log_.warn("a segment is not there any more", {{"file", path.native()}});
      continue;
    }
    damaged_parts_.add();
    QD_TRY(set_aside(files_, log_, path, segment.error()));
  }
  std::sort(list->begin(), list->end(), [](const LiveSegment& a, const LiveSegment& b) {
    return a.segment->info().min_ms < b.segment->info().min_ms;
  });
  manifest_.segments.clear();
  for (const LiveSegment& entry : *list) manifest_.segments.push_back(entry.number);
  std::sort(manifest_.segments.begin(), manifest_.segments.end());
  MutexLock lock(segments_mutex_);
  segments_ = std::move(list);
  return {};
}

Status StoreImpl::load_head() {
  Replay replay(*this, manifest_.late_first);
  std::vector<std::uint64_t> series_files;
  for (const std::uint64_t number : manifest_.series_files) {
    next_series_file_ = std::max(next_series_file_, number + 1);
    const auto path = numbered(head_dir_, number, ".series");
    const auto mapping = files_.map(path);
    if (!mapping) {
      damaged_parts_.add();
      QD_TRY(set_aside(files_, log_, path, mapping.error()));
      continue;
    }
    std::uint64_t records = 0;
    for (const DamagedPart& part : read_wal_segment((*mapping)->bytes(), replay, records)) {
      damaged_parts_.add();
      damaged_ = true;
      log_.error("a part of a file of series is damaged: samples of the series that it named are lost",
                 {{"file", path.native()}, {"offset", part.offset}, {"bytes", part.bytes}});
    }
    series_files.push_back(number);
  }
  manifest_.series_files = std::move(series_files);
  series_written_ = damaged_ ? 0 : head_->series_count();

  std::vector<std::uint64_t> chunk_files;
  for (const std::uint64_t number : manifest_.chunk_files) {
    head_->start_blocks_at(static_cast<std::uint32_t>(number) + 1);
    const auto path = numbered(head_dir_, number, ".chunks");
    auto block = ChunkBlock::open(files_, path, static_cast<std::uint32_t>(number));
    base::Result<std::vector<ChunkEntry>> entries = base::fail(base::ErrorCode::kInternal, "not read");
    if (block) entries = (*block)->read_directory(files_);
    if (!block) entries = base::fail(block.error());
    if (!entries) {
      damaged_parts_.add();
      QD_TRY(set_aside(files_, log_, path, entries.error()));
      continue;
    }
    head_->restore_block(std::move(*block), *entries);
    chunk_files.push_back(number);
  }
  manifest_.chunk_files = std::move(chunk_files);

  QD_ASSIGN(const WalReport report, read_wal(files_, wal_dir_, manifest_.log_first, log_, replay));
  replay.finish();
  torn_tails_.add(report.torn_tails);
  damaged_parts_.add(report.damaged_parts);
  if (replay.unknown() > 0) {
    log_.error("samples of the log are lost: nothing says which series they belong to",
               {{"samples", replay.unknown()}, {"dir", wal_dir_.native()}});
    // Told by itself where no damage was found, such as a file that was cut between two records.
    if (!damaged_ && report.damaged_parts == 0) damaged_parts_.add();
  }
  damaged_ = damaged_ || report.damaged_parts > 0 || replay.unknown() > 0 || replay.any_renamed();
  log_samples_ = replay.read();
  // Chunks and records of series that were lost may be met again: a new series must not be called as they were.
  if (damaged_) head_->begin_generation();
  head_->finish_restore();
  QD_ASSIGN(wal_, Wal::create(files_, wal_dir_, report.next_segment, options().wal_segment_bytes));
  log_.info("metrics store opened", {{"series", head_->series_count()},
                                     {"head_samples", head_->samples()},
                                     {"log_samples", replay.read()},
                                     {"segments", manifest_.segments.size()}});
  return {};
}

// --- What it says about itself ---

StoreStats StoreImpl::stats() const {
  StoreStats stats;
  stats.head_series = head_->series_count();
  stats.head_samples = head_->samples();
  stats.head_chunks = head_->chunk_count();
  stats.late_samples = late_.samples();
  std::tie(stats.late_min_ms, stats.late_max_ms) = late_.reach();
  const bool empty = head_->first_ms() > head_->last_ms();
  stats.head_min_ms = empty ? 0 : head_->first_ms();
  stats.head_max_ms = empty ? 0 : head_->last_ms();
  const auto live = segments();
  stats.segments = live->size();
  for (const LiveSegment& entry : *live) {
    stats.segment_bytes += entry.segment->info().bytes;
    stats.segment_samples += entry.segment->info().samples;
  }
  stats.wal_bytes = wal_->bytes();
  stats.tombstones = tombstones()->list().size();
  stats.samples_appended = samples_appended_.value();
  stats.head_exemplars = exemplars_.size();
  return stats;
}

std::map<std::string, model::Metadata, std::less<>> StoreImpl::metadata() const {
  MutexLock lock(metadata_mutex_);
  return metadata_;
}

void StoreImpl::update_gauges() {
  series_gauge_.set(static_cast<double>(head_->series_count()));
  late_gauge_.set(static_cast<double>(late_.samples()));
  wal_bytes_gauge_.set(static_cast<double>(wal_->bytes()));
  const auto live = segments();
  double bytes = 0;
  for (const LiveSegment& entry : *live) bytes += static_cast<double>(entry.segment->info().bytes);
  segment_bytes_gauge_.set(bytes);
  tombstones_gauge_.set(static_cast<double>(tombstones()->list().size()));
  segments_gauge_.set(static_cast<double>(live->size()));
}

}  // namespace qd::store::metrics
