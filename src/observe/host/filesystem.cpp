// File systems: the mounts of process 1 (/proc/1/mountinfo, proc(5)) and statfs on each.

#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "observe/host/parts.h"
#include "observe/host/slow_mounts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// A slow mount has this long before the pass goes on without it.
constexpr std::chrono::milliseconds kSlowMountPatience{1000};
// Machines with more mounts than this show the first ones.
constexpr std::size_t kMountsMax = 10'000;

bool is_at_or_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// node_exporter's default: ^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)
bool mount_point_excluded(std::string_view path) {
  for (const std::string_view directory : {"/dev", "/proc", "/sys"}) {
    if (is_at_or_below(path, directory)) return true;
  }
  for (const std::string_view inside : {"/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"}) {
    if (path.starts_with(inside) && path.size() > inside.size()) return true;
  }
  return false;
}

// node_exporter's default, too.
bool fs_type_excluded(std::string_view type) {
  static constexpr std::array<std::string_view, 24> kTypes = {
      "autofs",   "binfmt_misc", "bpf",        "cgroup",     "cgroup2",   "configfs", "debugfs", "devpts",
      "devtmpfs", "fusectl",     "hugetlbfs",  "iso9660",    "mqueue",    "nsfs",     "overlay", "proc",
      "procfs",   "pstore",      "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs",   "tracefs"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// The kernel writes blanks, tabs, line ends and backslashes of a path as \ooo.
void append_unescaped(std::string& out, std::string_view text) {
  const auto octal = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '7'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const auto comma = options.find(',');
    if (options.substr(0, comma) == wanted) return true;
    if (comma == std::string_view::npos) return false;
    options.remove_prefix(comma + 1);
  }
  return false;
}

struct MountLine {
  std::string_view device, mount_point, type;
  bool read_only = false;
};

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
bool parse_mountinfo(std::string_view line, MountLine& mount) {
  Scanner words(line);
  for (int skipped = 0; skipped < 4; ++skipped) words.word();
  mount.mount_point = words.word();
  const std::string_view options = words.word();
  std::string_view optional = words.word();
  while (!optional.empty() && optional != "-") optional = words.word();
  mount.type = words.word();
  mount.device = words.word();
  mount.read_only = has_option(options, "ro") || has_option(words.word(), "ro");
  return !mount.device.empty();
}

// /dev/root /mnt2 ext3 rw,noatime 0 0
bool parse_mounts(std::string_view line, MountLine& mount) {
  Scanner words(line);
  mount.device = words.word();
  mount.mount_point = words.word();
  mount.type = words.word();
  mount.read_only = has_option(words.word(), "ro");
  return !mount.type.empty();
}

int ask_kernel(const std::string& path, struct statfs& answer) {
  return ::statfs(path.c_str(), &answer) == 0 ? 0 : errno;
}

class FilesystemPart final : public Part {
 public:
  FilesystemPart(FileReader& reader, const Roots& roots) : rootfs_(roots.rootfs), slow_(ask_kernel) {
    // Where process 1 is out of sight (hidepid), the reader's own mounts.
    sources_.push_back({KeptFile(reader, roots.procfs + "/1/mountinfo"), parse_mountinfo});
    sources_.push_back({KeptFile(reader, roots.procfs + "/1/mounts"), parse_mounts});
    sources_.push_back({KeptFile(reader, roots.procfs + "/self/mountinfo"), parse_mountinfo});
    sources_.push_back({KeptFile(reader, roots.procfs + "/mounts"), parse_mounts});
  }

  std::string_view name() const override { return "filesystem"; }

  Outcome collect(const Pass& pass) override {
    if (const Outcome outcome = read_mounts(); !outcome.ok) return outcome;
    for (const Mount& mount : mounts_) {
      if (mount.slow) slow_.ask(mount.path);
    }
    for (Mount& mount : mounts_) {
      if (!mount.slow) mount.error = ask_kernel(mount.path, mount.answer);
    }
    slow_.wait(patience(pass));
    for (Mount& mount : mounts_) {
      if (mount.slow) mount.error = slow_.answer(mount.path, mount.answer);
    }
    slow_.forget_others();
    tell(pass.sink);
    return {};
  }

 private:
  struct Source {
    KeptFile file;
    bool (*parse)(std::string_view line, MountLine& mount);
  };
  struct Mount {
    std::string device, mount_point, type;
    std::string path;  // with the root file system's directory in front
    bool read_only = false;
    bool slow = false;
    int error = 0;
    struct statfs answer{};
  };

  static std::chrono::milliseconds patience(const Pass& pass) {
    const auto left_ms = (pass.deadline_ns - pass.clock.monotonic_ns()) / 1'000'000;
    return std::clamp(std::chrono::milliseconds(left_ms), std::chrono::milliseconds(0), kSlowMountPatience);
  }

  Outcome read_mounts() {
    auto text = sources_[source_].file.read();
    for (std::size_t i = 0; !text && i < sources_.size(); ++i) {
      source_ = i;
      text = sources_[i].file.read();
    }
    if (!text) {
      const int error = text.error();
      source_ = 0;
      return Outcome::failed(error, sources_[0].file.path());
    }
    if (mounts_read_ && *text == text_) return {};
    text_ = *text;
    mounts_read_ = true;
    mounts_.clear();
    Scanner lines(text_);
    while (!lines.at_end() && mounts_.size() < kMountsMax) {
      MountLine line;
      if (sources_[source_].parse(lines.line(), line)) add(line);
    }
    return {};
  }

  void add(const MountLine& line) {
    if (fs_type_excluded(line.type)) return;
    Mount& mount = mounts_.add();
    mount.mount_point.clear();
    append_unescaped(mount.mount_point, line.mount_point);
    // Seen from a container, the machine's mounts may show below where its root is mounted.
    if (!rootfs_.empty() && is_at_or_below(mount.mount_point, rootfs_)) mount.mount_point.erase(0, rootfs_.size());
    if (mount.mount_point.empty()) mount.mount_point = "/";
    mount.device.clear();
    append_unescaped(mount.device, line.device);
    mount.type = line.type;
    if (mount_point_excluded(mount.mount_point)) return mounts_.drop_last();
    mount.path = rootfs_ + mount.mount_point;
    make_utf8(mount.mount_point);
    make_utf8(mount.device);
    for (Mount& other : mounts_) {
      if (&other == &mount || other.mount_point != mount.mount_point || other.device != mount.device ||
          other.type != mount.type) {
        continue;
      }
      // Mounted again over itself: one series, with the state of what is on top.
      other.read_only = line.read_only;
      return mounts_.drop_last();
    }
    mount.read_only = line.read_only;
    mount.slow = may_hang(line.type);
    mount.error = 0;
  }

  void tell(Sink& sink) {
    if (mounts_.size() == 0) return;
    // statfs counts blocks in units of f_frsize; file systems that have no fragments leave it 0.
    const auto unit = [](const Mount& mount) {
      return static_cast<double>(mount.answer.f_frsize != 0 ? mount.answer.f_frsize : mount.answer.f_bsize);
    };
    const auto family = [&](std::string_view name, std::string_view help, bool faulty_too, auto value) {
      sink.family(name, kGauge, help);
      for (const Mount& mount : mounts_) {
        if (mount.error != 0 && !faulty_too) continue;
        sink.sample({{"device", mount.device}, {"fstype", mount.type}, {"mountpoint", mount.mount_point}},
                    value(mount));
      }
    };
    family("node_filesystem_size_bytes", "Filesystem size in bytes.", false,
           [&](const Mount& mount) { return static_cast<double>(mount.answer.f_blocks) * unit(mount); });
    family("node_filesystem_free_bytes", "Filesystem free space in bytes.", false,
           [&](const Mount& mount) { return static_cast<double>(mount.answer.f_bfree) * unit(mount); });
    family("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", false,
           [&](const Mount& mount) { return static_cast<double>(mount.answer.f_bavail) * unit(mount); });
    family("node_filesystem_files", "Filesystem total file nodes.", false,
           [](const Mount& mount) { return static_cast<double>(mount.answer.f_files); });
    family("node_filesystem_files_free", "Filesystem total free file nodes.", false,
           [](const Mount& mount) { return static_cast<double>(mount.answer.f_ffree); });
    family("node_filesystem_readonly", "Filesystem read-only status.", false,
           [](const Mount& mount) { return mount.read_only ? 1.0 : 0.0; });
    family("node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.",
           true, [](const Mount& mount) { return mount.error != 0 ? 1.0 : 0.0; });
  }

  std::string rootfs_;
  std::vector<Source> sources_;
  std::size_t source_ = 0;
  SlowMounts slow_;
  bool mounts_read_ = false;
  std::string text_;
  Rows<Mount> mounts_;
};

}  // namespace

std::unique_ptr<Part> filesystem_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<FilesystemPart>(reader, roots);
}

}  // namespace qd::observe::host
