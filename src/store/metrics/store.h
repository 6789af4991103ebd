// The metrics store: the head and the segments as one.
// Samples that come late, older than the newest of their series or than what is sealed, are taken where the appender or
// store.metrics.out_of_order_window allows it; they go to segments of their own, which may lie over others in time.
// A time of a series has one value: another one is refused as a duplicate wherever the first stands. Where two stand
// all the same (the log was damaged), what came in order wins, then what was sealed first.
//
// Thread-safe. Owns its data directory (<data>/metrics) from open to destruction; the caller holds the lock of the data
// directory. The store outlives its appenders and series sets. Time comes in as an argument: maintain() is called about
// every second by the App and does what is due.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "model/metadata.h"
#include "store/metrics/appender.h"
#include "store/metrics/change_log.h"
#include "store/metrics/querier.h"

namespace qd::store::metrics {

struct StoreOptions {
  enum class Sync { kInterval, kCommit };

  std::int64_t seal_interval_ms = 2 * 60 * 60 * 1000;      // store.metrics.seal_interval
  std::int64_t retention_ms = 15LL * 24 * 60 * 60 * 1000;  // store.metrics.retention; 0 keeps all
  std::uint64_t retention_bytes = 0;                       // store.metrics.retention_bytes; 0 is no bound
  Sync sync = Sync::kInterval;                             // store.metrics.wal.sync
  std::int64_t sync_interval_ms = 1000;                    // how far behind kInterval may be
  std::uint64_t wal_segment_bytes = 64ULL << 20;
  std::size_t series_limit = 20'000'000;          // store.metrics.series_limit
  std::size_t labels_limit_bytes = 64 << 10;      // of one series' label set
  std::int64_t out_of_order_window_ms = 0;        // store.metrics.out_of_order_window
  bool created_timestamp_zero_ingestion = false;  // store.metrics.created_timestamp_zero_ingestion
  std::int64_t future_limit_ms = 10 * 60 * 1000;  // ahead of the wall clock given to maintain
  std::size_t exemplars_limit = 100'000;          // store.metrics.exemplars_limit; in memory, 0 keeps none
};

struct StoreStats {
  std::uint64_t head_series = 0;
  std::uint64_t head_samples = 0;
  std::uint64_t head_chunks = 0;
  std::uint64_t late_samples = 0;                           // that came late and are not in segments yet
  model::TimestampMs late_min_ms = model::kMaxTimestampMs;  // of those
  model::TimestampMs late_max_ms = model::kMinTimestampMs;
  model::TimestampMs head_min_ms = 0;
  model::TimestampMs head_max_ms = 0;
  std::uint64_t segments = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t segment_samples = 0;
  std::uint64_t wal_bytes = 0;
  std::uint64_t tombstones = 0;  // deletions whose samples still stand in files
  std::uint64_t samples_appended = 0;
  std::uint64_t head_exemplars = 0;
};

// One row of what status/tsdb shows.
struct CardinalityRow {
  std::string name;
  std::uint64_t value;
};
struct TargetCardinality {
  std::string job;
  std::string instance;
  std::uint64_t series;
};
// Where the series of the head come from: the largest first, equal ones by name.
struct Cardinality {
  std::uint64_t series = 0;
  std::uint64_t series_limit = 0;
  std::uint64_t label_pairs = 0;
  std::uint64_t label_names = 0;
  std::uint64_t jobs = 0;
  std::uint64_t targets = 0;  // pairs of job and instance
  std::vector<CardinalityRow> series_by_metric;
  std::vector<CardinalityRow> values_by_label;
  std::vector<CardinalityRow> bytes_by_label;
  std::vector<CardinalityRow> series_by_pair;
  std::vector<CardinalityRow> series_by_job;
  std::vector<TargetCardinality> series_by_target;
};

class Store : public Appendable, public Querier, public ExemplarQuerier {
 public:
  // Opens or creates. Replays the log: a torn tail is cut and logged; a bad checksum elsewhere sets the damaged part
  // aside (`*.damaged`), says which, and goes on with the rest. kConflict/kInvalid with the cure when the directory was
  // written by a newer version.
  static base::Result<std::unique_ptr<Store>> open(base::Files& files, const std::filesystem::path& dir,
                                                   const StoreOptions& options, base::Log& log,
                                                   base::Registry& registry);

  // Syncs, seals when due (the head reaches back further than one and a half seal intervals), merges, drops what is
  // past retention, cuts the log. One thread at a time. A failure is logged, counted and tried again; it is returned
  // for tests.
  virtual base::Status maintain(model::TimestampMs now_ms) = 0;
  // Options that may change at run time: retention, limits, sync.
  virtual void set_options(const StoreOptions& options) = 0;

  // Deletes the samples in [from_ms, to_ms], both ends inside, of the series that any of `selectors` accepts: what is
  // there now, not what comes later. Once this returns success they are gone for every reader, and stay so over a
  // crash; their bytes go when segments are merged or cleaned. kLimit when too many deletions wait for that.
  virtual base::Status delete_series(std::span<const std::vector<Matcher>> selectors, TimestampMs from_ms,
                                     TimestampMs to_ms) = 0;
  // Writes segments that hold deleted samples anew without them.
  virtual base::Status clean_tombstones() = 0;
  // Fills the new directory `into` with what is there now, for another store to open: all that is acknowledged, or,
  // with `skip_head`, what is sealed. Nothing is left of it on failure.
  virtual base::Status snapshot(const std::filesystem::path& into, bool skip_head) = 0;

  // From which time on samples changed; told after they are visible and before commit() and the like return.
  // Who serves more beside the store notes its changes there too.
  virtual ChangeLog& change_log() = 0;
  virtual StoreStats stats() const = 0;
  // At most `rows` of each kind. Walks the index piece by piece, so that appending goes on; what is made or dropped
  // meanwhile may be in it or not.
  virtual Cardinality cardinality(std::size_t rows) const = 0;
  virtual std::map<std::string, model::Metadata, std::less<>> metadata() const = 0;
};

}  // namespace qd::store::metrics
