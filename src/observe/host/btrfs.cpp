// What Btrfs tells of each file system below <sysfs>/fs/btrfs/<uuid> (fs/btrfs/sysfs.c), and of the devices of those
// that are mounted where we see them (linux/btrfs.h).

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/format.h"
#include "base/strings.h"
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

// What a mounted file system says of its devices over control calls; anybody who may open its directory may ask.
struct Device {
  std::string_view uuid;  // of the file system
  std::string name;       // "sda1"
  std::string device_uuid;
  double size = 0;
  bool asked = false;  // what follows is known
  double unused = 0;
  std::array<double, BTRFS_DEV_STAT_VALUES_MAX> errors{};
};

void append_uuid(std::string& text, const std::uint8_t* bytes) {
  text.clear();
  for (std::size_t i = 0; i < BTRFS_UUID_SIZE; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    base::append_format(text, "{:02x}", bytes[i]);
  }
}

class BtrfsPart final : public Part {
 public:
  BtrfsPart(FileReader& reader, const Roots& roots)
      : reader_(reader), roots_(roots), listing_(roots.sysfs + "/fs/btrfs"), rows_(reader) {}
  std::string_view name() const override { return "btrfs"; }

  Outcome collect(const Pass& pass) override {
    if (listing_.changed(pass)) find();
    if (listing_.error() != 0 && listing_.error() != ENOENT) {
      return Outcome::failed(listing_.error(), listing_.directory());
    }
    if (!rows_.tell(pass)) return Outcome::failed(ETIMEDOUT, listing_.directory());
    if (file_systems_.empty()) return {};
    if (pass.number >= mounts_read_ + kRarelyPasses || mounts_read_ == 0) {
      mounts_read_ = pass.number;
      find_mounts();
    }
    devices_.clear();
    for (FileSystem& file_system : file_systems_) read_devices(file_system);
    tell_devices(pass.sink);
    return {};
  }

 private:
  // With how many devices a file system is asked about each.
  static constexpr std::uint64_t kDeviceIdsMax = 1024;
  struct FileSystem {
    std::string fsid;                                     // the name of its directory
    std::string label;                                    // what it is told as
    std::string mount;                                    // where it is mounted, as we see it; empty when it is not
    std::vector<std::pair<std::string, KeptFile>> sizes;  // by device, from sysfs
  };

  static std::vector<std::string> entries(const std::string& directory) {
    return list_directory(directory).value_or(std::vector<std::string>());
  }

  void find() {
    rows_.clear();
    file_systems_.clear();
    mounts_read_ = 0;
    for (const std::string& name : listing_.names()) {
      // Beside the file systems there is "features".
      if (name.find('-') == std::string::npos) continue;
      const std::string path = listing_.directory() + "/" + name;
      // A file system that was given another uuid still has its first one on its devices.
      const std::string written = text_of(reader_, path + "/metadata_uuid").value_or("");
      FileSystem& file_system = file_systems_.emplace_back(name, written.empty() ? name : written);
      make_utf8(file_system.label);
      const Attributes::Labels labels = {{"uuid", file_system.label}};
      rows_.add_info({"node_btrfs_info", kGauge, "Filesystem information"}, labels,
                     {{.name = "label", .path = path + "/label"}});
      rows_.add({"node_btrfs_global_rsv_size_bytes", kGauge, "Size of global reserve."}, labels,
                path + "/allocation/global_rsv_size", read_integer);
      add_commits(labels, path + "/commit_stats");
      for (const std::string& device : entries(path + "/devices")) {
        file_system.sizes.emplace_back(device, KeptFile(reader_, path + "/devices/" + device + "/size"));
        make_utf8(file_system.sizes.back().first);
      }
      for (const char* kind : {"data", "metadata", "system"}) {
        add_allocation(with(labels, {{"block_group_type", kind}}), path + "/allocation/" + kind,
                       file_system.sizes.size());
      }
    }
    rows_.finish();
  }

  static Attributes::Labels with(Attributes::Labels labels, const Attributes::Labels& more) {
    labels.insert(labels.end(), more.begin(), more.end());
    return labels;
  }

  void add_commits(const Attributes::Labels& labels, const std::string& path) {
    rows_.add({"node_btrfs_commits_total", kCounter, "The total number of commits that have occurred."}, labels, path,
              read_commits<kCommits>);
    rows_.add({"node_btrfs_last_commit_seconds", kGauge, "Duration of the most recent commit, in seconds"}, labels,
              path, read_commits<kLast>);
    rows_.add({"node_btrfs_max_commit_seconds", kGauge, "Duration of the slowest commit, in seconds"}, labels, path,
              read_commits<kMax>);
    rows_.add({"node_btrfs_commit_seconds_total", kCounter, "Sum of the duration of all commits, in seconds"}, labels,
              path, read_commits<kTotal>);
  }

  void add_allocation(const Attributes::Labels& labels, const std::string& path, std::size_t devices) {
    rows_.add({"node_btrfs_reserved_bytes", kGauge, "Amount of space reserved for a data type"}, labels,
              path + "/bytes_reserved", read_integer);
    for (const std::string& mode : entries(path)) {
      const std::string layout = path + "/" + mode;
      if (!exists(layout + "/total_bytes")) continue;
      const Attributes::Labels of_mode = with(labels, {{"mode", mode}});
      rows_.add({"node_btrfs_size_bytes", kGauge, "Amount of space allocated for a layout/data type"}, of_mode,
                layout + "/total_bytes", read_integer);
      rows_.add({"node_btrfs_used_bytes", kGauge, "Amount of used space by a layout/data type"}, of_mode,
                layout + "/used_bytes", read_integer);
      rows_.add_value({"node_btrfs_allocation_ratio", kGauge, "Data allocation ratio for a layout/data type"}, of_mode,
                      allocation_ratio(mode, devices));
    }
  }

  // Some mount of each file system: "<id> <parent> <maj:min> <root> <mount point> … - btrfs <device> …".
  void find_mounts() {
    for (FileSystem& file_system : file_systems_) file_system.mount.clear();
    auto text = reader_.read_once((roots_.procfs + "/1/mountinfo").c_str());
    if (!text) text = reader_.read_once((roots_.procfs + "/self/mountinfo").c_str());
    if (!text) return;
    std::vector<std::string> points;
    Scanner lines(*text);
    while (!lines.at_end() && points.size() < kListedMax) {
      const std::string_view line = lines.line();
      if (line.find(" - btrfs ") == std::string_view::npos) continue;
      Scanner words(line);
      for (int skipped = 0; skipped < 4; ++skipped) words.word();
      points.push_back(roots_.rootfs + unescaped(words.word()));
    }
    std::string fsid;
    for (const std::string& point : points) {
      const int fd = open_directory(point);
      if (fd < 0) continue;
      btrfs_ioctl_fs_info_args about{};
      if (::ioctl(fd, BTRFS_IOC_FS_INFO, &about) == 0) {
        append_uuid(fsid, about.fsid);
        for (FileSystem& file_system : file_systems_) {
          if (file_system.fsid == fsid && file_system.mount.empty()) file_system.mount = point;
        }
      }
      ::close(fd);
    }
  }

  // Blanks and backslashes are "\040" in mountinfo.
  static std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      unsigned code = 0;
      const auto digits = text.substr(std::min(i + 1, text.size()), 3);
      const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code, 8);
      if (text[i] == '\\' && digits.size() == 3 && read.ptr == digits.data() + 3 && code < 256) {
        plain += static_cast<char>(code);
        i += 3;
      } else {
        plain += text[i];
      }
    }
    return plain;
  }

  // Not kept, since nothing could be unmounted then.
  static int open_directory(const std::string& path) {
    return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  }

  void read_devices(FileSystem& file_system) {
    if (!file_system.mount.empty() && ask_devices(file_system)) return;
    for (auto& [name, file] : file_system.sizes) {
      const auto text = file.read();
      const auto size = text ? read_sectors(base::trim(*text)) : std::nullopt;
      if (!size) continue;
      Device& device = devices_.add();
      device.uuid = file_system.label;
      device.name = name;
      device.size = *size;
      device.asked = false;
    }
  }

  // False where nothing is said, so that what sysfs has may be told.
  bool ask_devices(const FileSystem& file_system) {
    const int fd = open_directory(file_system.mount);
    if (fd < 0) return false;
    btrfs_ioctl_fs_info_args about{};
    bool good = ::ioctl(fd, BTRFS_IOC_FS_INFO, &about) == 0;
    if (good) append_uuid(fsid_, about.fsid);
    // Another file system may be mounted there by now.
    good = good && fsid_ == file_system.fsid;
    for (std::uint64_t id = 1; good && id <= std::min<std::uint64_t>(about.max_id, kDeviceIdsMax); ++id) {
      ask_device(fd, id, file_system);
    }
    ::close(fd);
    return good;
  }

  void ask_device(int fd, std::uint64_t id, const FileSystem& file_system) {
    btrfs_ioctl_dev_info_args about{};
    about.devid = id;
    btrfs_ioctl_get_dev_stats stats{};
    stats.devid = id;
    stats.nr_items = BTRFS_DEV_STAT_VALUES_MAX;
    // Numbers of devices that were removed stay unused.
    if (::ioctl(fd, BTRFS_IOC_DEV_INFO, &about) != 0) return;
    const bool counted = ::ioctl(fd, BTRFS_IOC_GET_DEV_STATS, &stats) == 0;
    Device& device = devices_.add();
    device.uuid = file_system.label;
    const auto* path = reinterpret_cast<const char*>(about.path);
    const std::string_view shown(path, ::strnlen(path, sizeof(about.path)));
    device.name = shown.substr(shown.rfind('/') + 1);
    make_utf8(device.name);
    append_uuid(device.device_uuid, about.uuid);
    device.asked = true;
    device.size = static_cast<double>(about.total_bytes);
    device.unused = static_cast<double>(about.total_bytes - std::min(about.bytes_used, about.total_bytes));
    for (std::size_t i = 0; i < device.errors.size(); ++i) {
      device.errors[i] = counted ? static_cast<double>(stats.values[i]) : 0;
    }
  }

  void tell_devices(Sink& sink) {
    if (devices_.size() == 0) return;
    sink.family("node_btrfs_device_size_bytes", kGauge, "Size of a device that is part of the filesystem.");
    bool asked = false;
    for (const Device& device : devices_) {
      asked = asked || device.asked;
      if (device.asked) {
        sink.sample({{"uuid", device.uuid}, {"device", device.name}, {"btrfs_dev_uuid", device.device_uuid}},
                    device.size);
      } else {
        sink.sample({{"uuid", device.uuid}, {"device", device.name}}, device.size);
      }
    }
    if (!asked) return;
    sink.family("node_btrfs_device_unused_bytes", kGauge,
                "Unused bytes unused on a device that is part of the filesystem.");
    for (const Device& device : devices_) {
      if (!device.asked) continue;
      sink.sample({{"uuid", device.uuid}, {"device", device.name}, {"btrfs_dev_uuid", device.device_uuid}},
                  device.unused);
    }
    // In the order of btrfs_dev_stat_values.
    static constexpr std::array<std::string_view, BTRFS_DEV_STAT_VALUES_MAX> kTypes = {"write", "read", "flush",
                                                                                       "corruption", "generation"};
    sink.family("node_btrfs_device_errors_total", kCounter, "Errors reported for the device");
    for (const Device& device : devices_) {
      if (!device.asked) continue;
      for (std::size_t i = 0; i < kTypes.size(); ++i) {
        sink.sample({{"uuid", device.uuid},
                     {"device", device.name},
                     {"btrfs_dev_uuid", device.device_uuid},
                     {"type", kTypes[i]}},
                    device.errors[i]);
      }
    }
  }

  FileReader& reader_;
  Roots roots_;
  Listing listing_;
  Attributes rows_;
  std::vector<FileSystem> file_systems_;
  std::uint64_t mounts_read_ = 0;  // the pass that read where they are mounted
  Rows<Device> devices_;
  std::string fsid_;
};

}  // namespace

std::unique_ptr<Part> btrfs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<BtrfsPart>(reader, roots);
}

}  // namespace qd::observe::host
