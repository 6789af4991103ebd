// Disks that are caches of others (Documentation/admin-guide/bcache.rst): <sysfs>/fs/bcache/<uuid>, with bdev<N> for
// each disk that is cached and cache<N> for each that caches.

#include <array>
#include <span>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// A number as bch_hprint (drivers/md/bcache/util.c) writes it: "20.4G" is (20 * 1024 + 4 * 100) * 1024^2, since the
// digit behind the point counts hundreds of 1024.
std::optional<double> read_shortened(std::string_view text) {
  if (text.ends_with("/sec")) text.remove_suffix(4);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  static constexpr std::string_view kUnits = "kMGTPEZY";
  const auto unit = kUnits.find(text.back());
  double value = 0;
  if (unit == std::string_view::npos) {
    const auto whole = decimal(text);
    if (!whole) return std::nullopt;
    value = static_cast<double>(*whole);
  } else {
    text.remove_suffix(1);
    const auto point = text.find('.');
    const auto whole = decimal(text.substr(0, point));
    const auto hundreds =
        point == std::string_view::npos ? std::optional<std::uint64_t>(0) : decimal(text.substr(point + 1));
    if (!whole || !hundreds) return std::nullopt;
    value = static_cast<double>(*whole) * 1024 + static_cast<double>(*hundreds) * 100;
    for (std::size_t i = 0; i < unit; ++i) value *= 1024;
  }
  return negative ? -value : value;
}

// The kernel's file says microseconds; node_exporter takes them for nanoseconds.
std::optional<double> read_duration(std::string_view text) {
  const auto value = read_integer(text);
  return value ? std::optional(*value * 1e-9) : std::nullopt;
}

// Of writeback_rate_debug, lines like "proportional:   427.5k".
enum DebugLine { kRate, kTarget, kProportional, kIntegral, kChange };
template <DebugLine Line>
std::optional<double> read_debug(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kKeys = {
      "rate:", "target:", "proportional:", "integral:", "change:"};
  Scanner lines(text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    if (words.word() == kKeys[Line]) return read_shortened(words.word());
  }
  return std::nullopt;
}

struct File {
  std::string_view path;
  std::string_view metric;
  model::MetricType type;
  ReadNumber read;
  std::string_view help;
};

class BcachePart final : public AttributesPart {
 public:
  BcachePart(FileReader& reader, const Roots& roots)
      : AttributesPart(reader, roots.sysfs + "/fs/bcache", Absent::kIsNothing) {}
  std::string_view name() const override { return "bcache"; }

 private:
  static constexpr auto kOfSet = std::to_array<File>({
      {"average_key_size", "node_bcache_average_key_size_sectors", kGauge, read_shortened,
       "Average data per key in the btree (sectors)."},
      {"btree_cache_size", "node_bcache_btree_cache_size_bytes", kGauge, read_shortened,
       "Amount of memory currently used by the btree cache."},
      {"cache_available_percent", "node_bcache_cache_available_percent", kGauge, read_shortened,
       "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data)."},
      {"congested", "node_bcache_congested", kGauge, read_shortened, "Congestion."},
      {"root_usage_percent", "node_bcache_root_usage_percent", kGauge, read_shortened,
       "Percentage of the root btree node in use (tree depth increases if too high)."},
      {"tree_depth", "node_bcache_tree_depth", kGauge, read_shortened, "Depth of the btree."},
      {"internal/active_journal_entries", "node_bcache_active_journal_entries", kGauge, read_shortened,
       "Number of journal entries that are newer than the index."},
      {"internal/btree_nodes", "node_bcache_btree_nodes", kGauge, read_shortened, "Total nodes in the btree."},
      {"internal/btree_read_average_duration_us", "node_bcache_btree_read_average_duration_seconds", kGauge,
       read_duration, "Average btree read duration."},
      {"internal/cache_read_races", "node_bcache_cache_read_races_total", kCounter, read_shortened,
       "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. "
       "where the pointer was stale after the read completed."},
  });
  static constexpr auto kOfBacking = std::to_array<File>({
      {"dirty_data", "node_bcache_dirty_data_bytes", kGauge, read_shortened,
       "Amount of dirty data for this backing device in the cache."},
      {"stats_total/bypassed", "node_bcache_bypassed_bytes_total", kCounter, read_shortened,
       "Amount of IO (both reads and writes) that has bypassed the cache."},
      {"stats_total/cache_bypass_hits", "node_bcache_cache_bypass_hits_total", kCounter, read_shortened,
       "Hits for IO intended to skip the cache."},
      {"stats_total/cache_bypass_misses", "node_bcache_cache_bypass_misses_total", kCounter, read_shortened,
       "Misses for IO intended to skip the cache."},
      {"stats_total/cache_hits", "node_bcache_cache_hits_total", kCounter, read_shortened,
       "Hits counted per individual IO as bcache sees them."},
      {"stats_total/cache_miss_collisions", "node_bcache_cache_miss_collisions_total", kCounter, read_shortened,
       "Instances where data insertion from cache miss raced with write (data already present)."},
      {"stats_total/cache_misses", "node_bcache_cache_misses_total", kCounter, read_shortened,
       "Misses counted per individual IO as bcache sees them."},
      {"stats_total/cache_readaheads", "node_bcache_cache_readaheads_total", kCounter, read_shortened,
       "Count of times readahead occurred."},
      {"writeback_rate_debug", "node_bcache_writeback_rate", kGauge, read_debug<kRate>,
       "Current writeback rate for this backing device in bytes."},
      {"writeback_rate_debug", "node_bcache_dirty_target_bytes", kGauge, read_debug<kTarget>,
       "Current dirty data target threshold for this backing device in bytes."},
      {"writeback_rate_debug", "node_bcache_writeback_rate_proportional_term", kGauge, read_debug<kProportional>,
       "Current result of proportional controller, part of writeback rate"},
      {"writeback_rate_debug", "node_bcache_writeback_rate_integral_term", kGauge, read_debug<kIntegral>,
       "Current result of integral controller, part of writeback rate"},
      {"writeback_rate_debug", "node_bcache_writeback_change", kGauge, read_debug<kChange>,
       "Last writeback rate change step for this backing device."},
  });
  static constexpr auto kOfCache = std::to_array<File>({
      {"io_errors", "node_bcache_io_errors", kGauge, read_shortened,
       "Number of errors that have occurred, decayed by io_error_halflife."},
      {"metadata_written", "node_bcache_metadata_written_bytes_total", kCounter, read_shortened,
       "Sum of all non data writes (btree writes and all other metadata)."},
      {"written", "node_bcache_written_bytes_total", kCounter, read_shortened,
       "Sum of all data that has been written to the cache."},
  });

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& uuid : names) {
      // Beside the sets there are files to register disks.
      if (uuid.find('-') == std::string::npos) continue;
      const std::string set = directory + "/" + uuid;
      add(rows, kOfSet, {{"uuid", uuid}}, set);
      for (const std::string& entry : list_directory(set).value_or(std::vector<std::string>())) {
        if (entry.starts_with("bdev"))
          add(rows, kOfBacking, {{"uuid", uuid}, {"backing_device", entry}}, set + "/" + entry);
        if (entry.starts_with("cache") && decimal(std::string_view(entry).substr(5))) {
          add(rows, kOfCache, {{"uuid", uuid}, {"cache_device", entry}}, set + "/" + entry);
        }
      }
    }
  }

  static void add(Attributes& rows, std::span<const File> files, const Attributes::Labels& labels,
                  const std::string& directory) {
    for (const auto& [path, metric, type, read, help] : files) {
      rows.add({std::string(metric), type, std::string(help)}, labels, directory + "/" + std::string(path), read);
    }
  }
};

}  // namespace

std::unique_ptr<Part> bcache_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<BcachePart>(reader, roots);
}

}  // namespace qd::observe::host
