#include "cli/prometheus_names.h"

#include <string>
#include <string_view>

#include "base/build.h"

namespace qd::cli {

namespace {

using store::metrics::Store;
using store::metrics::StoreStats;

// A counter of the store, under another name; both together where there are two.
void counter_as(base::Registry& registry, std::string_view name, std::string_view help, std::string_view of,
                std::string_view and_of = {}) {
  const base::Counter& one = registry.counter(of, "");
  const base::Counter* const other = and_of.empty() ? nullptr : &registry.counter(and_of, "");
  registry.counter_function(
      name, help, [&one, other] { return static_cast<double>(one.value() + (other == nullptr ? 0 : other->value())); });
}

void gauge_as(base::Registry& registry, std::string_view name, std::string_view help, std::string_view of) {
  const base::Gauge& gauge = registry.gauge(of, "");
  registry.gauge_function(name, help, [&gauge] { return gauge.value(); });
}

}  // namespace

DirectoryReadings::DirectoryReadings(base::Registry& registry)
    : all(registry.counter("prometheus_tsdb_reloads_total",
                           "Number of times the database reloaded block data from disk.")),
      failed(registry.counter("prometheus_tsdb_reloads_failures_total",
                              "Number of times the database failed to reload block data from disk.")) {}

void add_prometheus_names(base::Registry& registry, const Store& store, const std::function<ReloadFigures()>& reload) {
  counter_as(registry, "prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.",
             "quarterdeck_store_samples_appended_total");
  counter_as(registry, "prometheus_tsdb_exemplar_exemplars_appended_total", "Total number of appended exemplars.",
             "quarterdeck_store_exemplars_appended_total");
  counter_as(registry, "prometheus_tsdb_compactions_total",
             "Total number of compactions that were executed for the partition.", "quarterdeck_store_seals_total",
             "quarterdeck_store_merges_total");
  counter_as(registry, "prometheus_tsdb_compactions_failed_total",
             "Total number of compactions that failed for the partition.",
             "quarterdeck_store_maintenance_failed_total");
  gauge_as(registry, "prometheus_tsdb_head_series", "Total number of series in the head block.",
           "quarterdeck_store_head_series");
  gauge_as(registry, "prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks",
           "quarterdeck_store_segments");
  gauge_as(registry, "prometheus_tsdb_storage_blocks_bytes",
           "The number of bytes that are currently used for local storage by all blocks.",
           "quarterdeck_store_segment_bytes");
  gauge_as(registry, "prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory.",
           "quarterdeck_store_log_bytes");
  const auto of_head = [&](std::string_view name, std::string_view help, double (*read)(const StoreStats&)) {
    registry.gauge_function(name, help, [&store, read] { return read(store.stats()); });
  };
  of_head("prometheus_tsdb_head_chunks", "Total number of chunks in the head block.",
          [](const StoreStats& s) { return static_cast<double>(s.head_chunks); });
  of_head("prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars currently in circular storage.",
          [](const StoreStats& s) { return static_cast<double>(s.head_exemplars); });
  of_head("prometheus_tsdb_head_min_time", "Minimum time bound of the head block. In milliseconds.",
          [](const StoreStats& s) { return static_cast<double>(s.head_min_ms); });
  of_head("prometheus_tsdb_head_max_time", "Maximum timestamp of the head block. In milliseconds.",
          [](const StoreStats& s) { return static_cast<double>(s.head_max_ms); });
  of_head("prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.",
          [](const StoreStats& s) { return static_cast<double>(s.head_min_ms) / 1e3; });
  of_head("prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.",
          [](const StoreStats& s) { return static_cast<double>(s.head_max_ms) / 1e3; });
  registry.gauge_function("prometheus_config_last_reload_successful",
                          "Whether the last configuration reload attempt was successful.",
                          [reload] { return reload().succeeded ? 1.0 : 0.0; });
  registry.gauge_function("prometheus_config_last_reload_success_timestamp_seconds",
                          "Timestamp of the last successful configuration reload.",
                          [reload] { return static_cast<double>(reload().succeeded_ms) / 1e3; });
  // Dashboards find the servers that there are by it.
  registry
      .gauge("prometheus_build_info",
             "A metric with a constant '1' value labeled by version and revision, of Quarterdeck.",
             {{"revision", std::string(base::build_revision())}, {"version", std::string(base::build_version())}})
      .set(1);
}

}  // namespace qd::cli
