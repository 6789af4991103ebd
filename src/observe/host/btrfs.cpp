// What Btrfs tells of each file system below <sysfs>/fs/btrfs/<uuid> (fs/btrfs/sysfs.c).

#include <array>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// How many bytes of the devices one byte of data takes, with `devices` of them.
double allocation_ratio(std::string_view mode, std::size_t devices) {
  const auto n = static_cast<double>(devices);
  if (mode == "single" || mode == "raid0") return 1;
  if (mode == "dup" || mode == "raid1" || mode == "raid10") return 2;
  if (mode == "raid1c3") return 3;
  if (mode == "raid1c4") return 4;
  if (mode == "raid5") return devices > 1 ? n / (n - 1) : 0;
  if (mode == "raid6") return devices > 2 ? n / (n - 2) : 0;
  return 0;
}

// Counted in sectors of 512 bytes.
std::optional<double> read_sectors(std::string_view text) {
  const auto sectors = decimal(text);
  return sectors ? std::optional(static_cast<double>(*sectors) * 512) : std::nullopt;
}

// commit_stats has lines "commits 258051", "last_commit_ms 1000", …
enum CommitLine { kCommits, kLast, kMax, kTotal };
template <CommitLine Line>
std::optional<double> read_commits(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kKeys = {"commits", "last_commit_ms", "max_commit_ms",
                                                            "total_commit_ms"};
  Scanner lines(text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    if (words.word() != kKeys[Line]) continue;
    const auto value = decimal(words.word());
    if (!value) return std::nullopt;
    return Line == kCommits ? static_cast<double>(*value) : static_cast<double>(*value) / 1000;
  }
  return std::nullopt;
}

class BtrfsPart final : public AttributesPart {
 public:
  BtrfsPart(FileReader& reader, const Roots& roots)
      : AttributesPart(reader, roots.sysfs + "/fs/btrfs", Absent::kIsNothing) {}
  std::string_view name() const override { return "btrfs"; }

 private:
  static std::vector<std::string> entries(const std::string& directory) {
    return list_directory(directory).value_or(std::vector<std::string>());
  }

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& name : names) {
      // Beside the file systems there is "features".
      if (name.find('-') == std::string::npos) continue;
      const std::string path = directory + "/" + name;
      // A file system that was given another uuid still has its first one on its devices.
      const std::string written = text_of(reader(), path + "/metadata_uuid").value_or("");
      const Attributes::Labels labels = {{"uuid", written.empty() ? name : written}};
      rows.add_info({"node_btrfs_info", kGauge, "Filesystem information"}, labels,
                    {{.name = "label", .path = path + "/label"}});
      rows.add({"node_btrfs_global_rsv_size_bytes", kGauge, "Size of global reserve."}, labels,
               path + "/allocation/global_rsv_size", read_integer);
      add_commits(labels, path + "/commit_stats", rows);
      const auto devices = entries(path + "/devices");
      for (const std::string& device : devices) {
        rows.add({"node_btrfs_device_size_bytes", kGauge, "Size of a device that is part of the filesystem."},
                 with(labels, {{"device", device}}), path + "/devices/" + device + "/size", read_sectors);
      }
      for (const char* kind : {"data", "metadata", "system"}) {
        add_allocation(with(labels, {{"block_group_type", kind}}), path + "/allocation/" + kind, devices.size(), rows);
      }
    }
  }

  static Attributes::Labels with(Attributes::Labels labels, const Attributes::Labels& more) {
    labels.insert(labels.end(), more.begin(), more.end());
    return labels;
  }

  static void add_commits(const Attributes::Labels& labels, const std::string& path, Attributes& rows) {
    rows.add({"node_btrfs_commits_total", kCounter, "The total number of commits that have occurred."}, labels, path,
             read_commits<kCommits>);
    rows.add({"node_btrfs_last_commit_seconds", kGauge, "Duration of the most recent commit, in seconds"}, labels, path,
             read_commits<kLast>);
    rows.add({"node_btrfs_max_commit_seconds", kGauge, "Duration of the slowest commit, in seconds"}, labels, path,
             read_commits<kMax>);
    rows.add({"node_btrfs_commit_seconds_total", kCounter, "Sum of the duration of all commits, in seconds"}, labels,
             path, read_commits<kTotal>);
  }

  static void add_allocation(const Attributes::Labels& labels, const std::string& path, std::size_t devices,
                             Attributes& rows) {
    rows.add({"node_btrfs_reserved_bytes", kGauge, "Amount of space reserved for a data type"}, labels,
             path + "/bytes_reserved", read_integer);
    for (const std::string& mode : entries(path)) {
      const std::string layout = path + "/" + mode;
      if (!exists(layout + "/total_bytes")) continue;
      const Attributes::Labels of_mode = with(labels, {{"mode", mode}});
      rows.add({"node_btrfs_size_bytes", kGauge, "Amount of space allocated for a layout/data type"}, of_mode,
               layout + "/total_bytes", read_integer);
      rows.add({"node_btrfs_used_bytes", kGauge, "Amount of used space by a layout/data type"}, of_mode,
               layout + "/used_bytes", read_integer);
      rows.add_value({"node_btrfs_allocation_ratio", kGauge, "Data allocation ratio for a layout/data type"}, of_mode,
                     allocation_ratio(mode, devices));
    }
  }
};

}  // namespace

std::unique_ptr<Part> btrfs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<BtrfsPart>(reader, roots);
}

}  // namespace qd::observe::host
