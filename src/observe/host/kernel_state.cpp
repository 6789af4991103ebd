// States and counts of the kernel: hung tasks, scheduling (Documentation/scheduler/sched-stats.rst), SELinux.

#include <array>

#include "base/strings.h"
#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// Linux 6.13 on, where tasks that hang are looked for.
class KernelHungPart final : public Part {
 public:
  KernelHungPart(FileReader& reader, const Roots& roots)
      : file_(reader, roots.procfs + "/sys/kernel/hung_task_detect_count", Shows::kEverything) {}
  std::string_view name() const override { return "kernel_hung"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read(pass);
    if (!text) return Outcome::failed(text.error(), file_.path());
    const auto count = lone_number(*text);
    if (!count) return Outcome::not_understood(file_.path());
    pass.sink.family("node_kernel_hung_tasks_total", kCounter,
                     "Total number of tasks that have been detected as hung since the system booted.");
    pass.sink.sample(static_cast<double>(*count));
    return {};
  }

 private:
  RareFile file_;
};

class SchedstatPart final : public Part {
 public:
  SchedstatPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/schedstat") {}
  std::string_view name() const override { return "schedstat"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read(pass);
    if (!text) return Outcome::failed(text.error(), file_.path());
    read_rows(*text);
    tell(pass.sink, "node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", kRunning,
         kNanosecondsPerSecond);
    tell(pass.sink, "node_schedstat_waiting_seconds_total",
         "Number of seconds spent by processing waiting for this CPU.", kWaiting, kNanosecondsPerSecond);
    tell(pass.sink, "node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", kTimeslices, 1);
    return {};
  }

 private:
  static constexpr double kNanosecondsPerSecond = 1e9;
  // Of the nine numbers behind "cpu<N>".
  enum Column { kRunning = 6, kWaiting = 7, kTimeslices = 8, kColumns = 9 };
  struct Cpu {
    std::string number;
    std::array<std::uint64_t, kColumns> values{};
  };

  void read_rows(std::string_view text) {
    cpus_.clear();
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = words.word();
      if (!key.starts_with("cpu") || !decimal(key.substr(3))) continue;
      Cpu& cpu = cpus_.add();
      cpu.number = key.substr(3);
      std::size_t read = 0;
      while (read < kColumns && words.number(cpu.values[read])) ++read;
      if (read < kColumns) cpus_.drop_last();
    }
  }

  void tell(Sink& sink, std::string_view metric, std::string_view help, Column column, double scale) {
    if (cpus_.size() == 0) return;
    sink.family(metric, kCounter, help);
    for (const Cpu& cpu : cpus_) {
      sink.sample({{"cpu", cpu.number}}, static_cast<double>(cpu.values[column]) / scale);
    }
  }

  RareFile file_;
  Rows<Cpu> cpus_;
};

class SelinuxPart final : public Part {
 public:
  SelinuxPart(FileReader& reader, const Roots& roots)
      : enforce_(reader, roots.sysfs + "/fs/selinux/enforce"), config_(reader, roots.rootfs + "/etc/selinux/config") {}
  std::string_view name() const override { return "selinux"; }

  Outcome collect(const Pass& pass) override {
    const auto text = enforce_.read(pass);
    const auto enforce = text ? lone_number(*text) : std::nullopt;
    const auto tell = [&](std::string_view metric, std::string_view help, double value) {
      pass.sink.family(metric, kGauge, help);
      pass.sink.sample(value);
    };
    tell("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false", enforce ? 1 : 0);
    if (!enforce) return {};
    tell("node_selinux_config_mode", "Configured SELinux enforcement mode", configured(pass));
    tell("node_selinux_current_mode", "Current SELinux enforcement mode", *enforce == 0 ? kPermissive : kEnforcing);
    return {};
  }

 private:
  static constexpr double kDisabled = -1, kPermissive = 0, kEnforcing = 1;

  double configured(const Pass& pass) {
    const auto text = config_.read(pass);
    if (!text) return kDisabled;
    Scanner lines(*text);
    while (!lines.at_end()) {
      const std::string_view line = base::trim(lines.line());
      if (!line.starts_with("SELINUX=")) continue;
      const std::string_view mode = base::trim(line.substr(8));
      return mode == "enforcing" ? kEnforcing : mode == "permissive" ? kPermissive : kDisabled;
    }
    return kDisabled;
  }

  RareFile enforce_;
  RareFile config_;
};

}  // namespace

std::unique_ptr<Part> kernel_hung_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<KernelHungPart>(reader, roots);
}

std::unique_ptr<Part> schedstat_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<SchedstatPart>(reader, roots);
}

std::unique_ptr<Part> selinux_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<SelinuxPart>(reader, roots);
}

}  // namespace qd::observe::host
