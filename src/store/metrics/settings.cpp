#include "store/metrics/settings.h"

namespace qd::store::metrics {

namespace {
constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;
}  // namespace

void declare(model::config::Schema& schema, StoreOptions& options) {
  schema.section("store.metrics", "Where samples are kept.");
  schema.duration_ms("store.metrics.retention", options.retention_ms,
                     "How long samples are kept; `0` keeps them as long as `retention_bytes` allows.");
  schema.bytes(
      "store.metrics.retention_bytes", options.retention_bytes,
      "How many bytes segments, log and chunk files may take together; the oldest segments go first. `0` is no bound.");
  schema
      .duration_ms("store.metrics.seal_interval", options.seal_interval_ms,
                   "How often the newest samples are sealed into a segment on disk.", 1000, kDayMs)
      .only_at_start();
  schema.duration_ms("store.metrics.out_of_order_window", options.out_of_order_window_ms,
                     "How far behind the newest sample of all a scraped or computed one may be that is older than its "
                     "series' newest. Remote write takes samples as old as `retention` allows.");
  schema.flag("store.metrics.created_timestamp_zero_ingestion", options.created_timestamp_zero_ingestion,
              "Have counters, sums, buckets and native histograms begin with a zero at the time when they were "
              "created, where targets (`_created` of OpenMetrics, protobuf) or remote write 2.0 tell it, and it is "
              "newer than what the series has: what was counted before the first sample is not lost to `rate` and "
              "`increase`. `_created` is no series then.");
  // A choice binds to a text; the enum follows it once all is filled.
  auto sync = std::make_shared<std::string>(options.sync == StoreOptions::Sync::kCommit ? "commit" : "interval");
  schema.choice("store.metrics.wal.sync", *sync, {"interval", "commit"},
                "When what was acknowledged is on the device: within `sync_interval`, or before the answer.");
  schema.check("store.metrics.wal.sync", [sync, &options]() -> base::Status {
    options.sync = *sync == "commit" ? StoreOptions::Sync::kCommit : StoreOptions::Sync::kInterval;
    return {};
  });
  schema.duration_ms("store.metrics.wal.sync_interval", options.sync_interval_ms,
                     "How far the device may be behind with `sync: interval`.", 10, 60'000);
  auto series_limit = std::make_shared<std::int64_t>(static_cast<std::int64_t>(options.series_limit));
  schema.integer("store.metrics.series_limit", *series_limit, "Active series; more are refused.", 1, 1'000'000'000);
  schema.check("store.metrics.series_limit", [series_limit, &options]() -> base::Status {
    options.series_limit = static_cast<std::size_t>(*series_limit);
    return {};
  });
  auto exemplars_limit = std::make_shared<std::int64_t>(static_cast<std::int64_t>(options.exemplars_limit));
  schema.integer("store.metrics.exemplars_limit", *exemplars_limit,
                 "Newest exemplars of all series that are kept until they are sealed; older ones give way. `0` takes "
                 "none.",
                 0, 10'000'000);
  schema.check("store.metrics.exemplars_limit", [exemplars_limit, &options]() -> base::Status {
    options.exemplars_limit = static_cast<std::size_t>(*exemplars_limit);
    return {};
  });
}

}  // namespace qd::store::metrics
