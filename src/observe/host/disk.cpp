// Block devices: /proc/diskstats (Documentation/admin-guide/iostats.rst) and what udev knows about them.

#include <array>

#include "observe/host/parts.h"
#include "observe/host/udev.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// /proc/diskstats counts sectors of 512 bytes whatever the device's own are.
constexpr double kSectorBytes = 512;
constexpr double kSecondsPerMs = 0.001;

struct DiskColumn {
  std::string_view metric;
  model::MetricType type;
  double scale;
  std::string_view help;
};
// In the order of the file, behind major, minor and name. Linux 4.18 added discards, 5.5 flushes.
constexpr std::array<DiskColumn, 17> kDiskColumns = {{
    {"node_disk_reads_completed_total", kCounter, 1, "The total number of reads completed successfully."},
    {"node_disk_reads_merged_total", kCounter, 1, "The total number of reads merged."},
    {"node_disk_read_bytes_total", kCounter, kSectorBytes, "The total number of bytes read successfully."},
    {"node_disk_read_time_seconds_total", kCounter, kSecondsPerMs, "The total number of seconds spent by all reads."},
    {"node_disk_writes_completed_total", kCounter, 1, "The total number of writes completed successfully."},
    {"node_disk_writes_merged_total", kCounter, 1, "The number of writes merged."},
    {"node_disk_written_bytes_total", kCounter, kSectorBytes, "The total number of bytes written successfully."},
    {"node_disk_write_time_seconds_total", kCounter, kSecondsPerMs,
     "This is the total number of seconds spent by all writes."},
    {"node_disk_io_now", kGauge, 1, "The number of I/Os currently in progress."},
    {"node_disk_io_time_seconds_total", kCounter, kSecondsPerMs, "Total seconds spent doing I/Os."},
    {"node_disk_io_time_weighted_seconds_total", kCounter, kSecondsPerMs,
     "The weighted # of seconds spent doing I/Os."},
    {"node_disk_discards_completed_total", kCounter, 1, "The total number of discards completed successfully."},
    {"node_disk_discards_merged_total", kCounter, 1, "The total number of discards merged."},
    {"node_disk_discarded_sectors_total", kCounter, 1, "The total number of sectors discarded successfully."},
    {"node_disk_discard_time_seconds_total", kCounter, kSecondsPerMs,
     "This is the total number of seconds spent by all discards."},
    {"node_disk_flush_requests_total", kCounter, 1, "The total number of flush requests completed successfully"},
    {"node_disk_flush_requests_time_seconds_total", kCounter, kSecondsPerMs,
     "This is the total number of seconds spent by all flush requests."},
}};

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// RAM disks, loop devices, floppies, and partitions, whose I/O is also that of their disk. node_exporter's default:
// ^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$
bool excluded(std::string_view name) {
  for (const std::string_view kind : {"ram", "loop", "fd"}) {
    if (name.starts_with(kind) && all_digits(name.substr(kind.size()))) return true;
  }
  for (const std::string_view kind : {"hd", "sd", "vd", "xvd"}) {
    if (!name.starts_with(kind) || name.size() < kind.size() + 2) continue;
    const char letter = name[kind.size()];
    if (letter >= 'a' && letter <= 'z' && all_digits(name.substr(kind.size() + 1))) return true;
  }
  if (!name.starts_with("nvme")) return false;
  const std::string_view numbers = name.substr(4);
  const auto n = numbers.find('n');
  const auto p = numbers.find('p');
  return n != std::string_view::npos && p != std::string_view::npos && n < p && all_digits(numbers.substr(0, n)) &&
         all_digits(numbers.substr(n + 1, p - n - 1)) && all_digits(numbers.substr(p + 1));
}

class DiskstatsPart final : public Part {
 public:
  DiskstatsPart(FileReader& reader, const Roots& roots)
      : file_(reader, roots.procfs + "/diskstats", Shows::kShortRecords),
        udev_(reader, roots.rootfs + "/run/udev/data") {}

  std::string_view name() const override { return "diskstats"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    read_rows(*text);
    const bool udev = udev_.present();
    for (Disk& disk : disks_) disk.properties = udev ? &udev_.device(disk.major, disk.minor) : &kNothing;

    tell_info(pass.sink);
    for (std::size_t column = 0; column < kDiskColumns.size(); ++column) {
      bool begun = false;
      for (const Disk& disk : disks_) {
        if (column >= disk.columns) continue;
        if (!begun) pass.sink.family(kDiskColumns[column].metric, kDiskColumns[column].type, kDiskColumns[column].help);
        begun = true;
        pass.sink.sample({{"device", disk.name}},
                         static_cast<double>(disk.values[column]) * kDiskColumns[column].scale);
      }
    }
    if (udev) tell_udev(pass.sink);
    return {};
  }

 private:
  struct Disk {
    std::string name, major_text, minor_text;
    std::uint64_t major = 0, minor = 0;
    std::size_t columns = 0;
    std::array<std::uint64_t, kDiskColumns.size()> values{};
    const UdevProperties* properties = nullptr;
  };

  void read_rows(std::string_view text) {
    disks_.clear();
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view major = words.word(), minor = words.word(), name = words.word();
      if (name.empty() || excluded(name)) continue;
      const auto major_number = decimal(major), minor_number = decimal(minor);
      if (!major_number || !minor_number) continue;
      Disk& disk = disks_.add();
      disk.name = name;
      disk.major_text = major;
      disk.minor_text = minor;
      disk.major = *major_number;
      disk.minor = *minor_number;
      disk.columns = 0;
      while (disk.columns < kDiskColumns.size() && words.number(disk.values[disk.columns])) ++disk.columns;
      // Partitions of Linux 2.6 before 2.6.25 have four columns of another meaning.
      if (disk.columns < 11) disks_.drop_last();
    }
  }

  void tell_info(Sink& sink) {
    if (disks_.size() == 0) return;
    sink.family("node_disk_info", kGauge, "Info of /sys/block/<block_device>.");
    for (const Disk& disk : disks_) {
      const UdevProperties& is = *disk.properties;
      sink.sample({{"device", disk.name},
                   {"major", disk.major_text},
                   {"minor", disk.minor_text},
                   {"path", is.path},
                   {"wwn", is.wwn},
                   {"model", is.model},
                   {"serial", is.serial()},
                   {"revision", is.revision}},
                  1);
    }
  }

  void tell_udev(Sink& sink) {
    tell_those(sink, &UdevProperties::fs_type, "node_disk_filesystem_info", "Info about disk filesystem.",
               [&](const Disk& disk) {
                 const UdevProperties& is = *disk.properties;
                 sink.sample({{"device", disk.name},
                              {"type", is.fs_type},
                              {"usage", is.fs_usage},
                              {"uuid", is.fs_uuid},
                              {"version", is.fs_version}},
                             1);
               });
    tell_those(sink, &UdevProperties::dm_name, "node_disk_device_mapper_info", "Info about disk device mapper.",
               [&](const Disk& disk) {
                 const UdevProperties& is = *disk.properties;
                 sink.sample({{"device", disk.name},
                              {"name", is.dm_name},
                              {"uuid", is.dm_uuid},
                              {"vg_name", is.dm_vg_name},
                              {"lv_name", is.dm_lv_name},
                              {"lv_layer", is.dm_lv_layer}},
                             1);
               });
    tell_ata(sink, &UdevProperties::ata_write_cache, "node_disk_ata_write_cache", "ATA disk has a write cache.");
    tell_ata(sink, &UdevProperties::ata_write_cache_enabled, "node_disk_ata_write_cache_enabled",
             "ATA disk has its write cache enabled.");
    tell_ata(sink, &UdevProperties::ata_rotation_rate_rpm, "node_disk_ata_rotation_rate_rpm",
             "ATA disk rotation rate in RPMs (0 for SSDs).");
  }

  template <typename Tell>
  void tell_those(Sink& sink, std::string UdevProperties::* having, std::string_view metric, std::string_view help,
                  Tell tell) {
    bool begun = false;
    for (const Disk& disk : disks_) {
      if ((disk.properties->*having).empty()) continue;
      if (!begun) sink.family(metric, kGauge, help);
      begun = true;
      tell(disk);
    }
  }

  void tell_ata(Sink& sink, std::string UdevProperties::* member, std::string_view metric, std::string_view help) {
    bool begun = false;
    for (const Disk& disk : disks_) {
      if (disk.properties->ata.empty()) continue;
      const auto value = real(disk.properties->*member);
      if (!value) continue;
      if (!begun) sink.family(metric, kGauge, help);
      begun = true;
      sink.sample({{"device", disk.name}}, *value);
    }
  }

  static inline const UdevProperties kNothing;

  KeptFile file_;
  UdevData udev_;
  Rows<Disk> disks_;
};

}  // namespace

std::unique_ptr<Part> diskstats_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<DiskstatsPart>(reader, roots);
}

}  // namespace qd::observe::host
