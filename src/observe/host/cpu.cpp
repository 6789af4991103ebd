// Processor time (/proc/stat), throttling, isolation and frequency (/sys/devices/system/cpu).

#include <dirent.h>

#include <algorithm>
#include <array>

#include "observe/host/parts.h"
#include "observe/host/stat_file.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

constexpr double kTicksPerSecond = 100;
// When the idle time of a CPU falls by this much it was taken offline and came back, and all its times start anew. A
// smaller step back is a fault of the kernel's accounting and is not shown.
constexpr std::uint64_t kIdleRestartTicks = 300;

// Directories <sysfs>/devices/system/cpu/cpu<N>, in order of N.
std::vector<std::uint64_t> cpu_directories(const std::string& directory) {
  std::vector<std::uint64_t> numbers;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return numbers;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with("cpu")) continue;
    if (const auto number = decimal(name.substr(3))) numbers.push_back(*number);
  }
  ::closedir(dir);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

class CpuPart final : public Part {
 public:
  CpuPart(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat)
      : reader_(reader),
        directory_(roots.sysfs + "/devices/system/cpu"),
        stat_(std::move(stat)),
        isolated_(reader, directory_ + "/isolated") {}

  std::string_view name() const override { return "cpu"; }

  Outcome collect(const Pass& pass) override {
    const Outcome outcome = stat_->refresh(pass.number);
    if (!outcome.ok) return outcome;
    if (stat_->cpus_changed() != seen_change_) {
      seen_change_ = stat_->cpus_changed();
      keep_times_of_known_cpus();
      find_cores();
    }
    tell_times(pass.sink);
    tell_throttles(pass.sink);
    tell_isolated(pass.sink);
    return {};
  }

 private:
  struct Times {
    std::uint64_t number = 0;
    std::array<std::uint64_t, StatFile::kColumns> ticks{};
  };
  struct Core {
    std::string package;
    std::string core;
    KeptFile core_throttles;
    KeptFile package_throttles;
    bool first_of_package;
    bool first_of_core;
    std::optional<std::uint64_t> core_count;
    std::optional<std::uint64_t> package_count;
  };

  void keep_times_of_known_cpus() {
    std::vector<Times> times;
    for (const auto& cpu : stat_->cpus()) {
      const auto known = std::find_if(times_.begin(), times_.end(),
                                      [&](const Times& candidate) { return candidate.number == cpu.number; });
      times.push_back(known == times_.end() ? Times{cpu.number, {}} : *known);
    }
    times_ = std::move(times);
  }

  void find_cores() {
    cores_.clear();
    for (const std::uint64_t number : cpu_directories(directory_)) {
      const std::string cpu = directory_ + "/cpu" + std::to_string(number);
      const auto number_in = [&](const char* file) {
        const auto text = KeptFile(reader_, cpu + file).read();
        return text ? lone_number(*text) : std::nullopt;
      };
      const auto package = number_in("/topology/physical_package_id");
      const auto core = number_in("/topology/core_id");
      if (!package || !core) continue;
      Core row{std::to_string(*package),
               std::to_string(*core),
               KeptFile(reader_, cpu + "/thermal_throttle/core_throttle_count"),
               KeptFile(reader_, cpu + "/thermal_throttle/package_throttle_count"),
               true,
               true,
               {},
               {}};
      if (!row.core_throttles.read() && !row.package_throttles.read()) continue;
      for (const Core& other : cores_) {
        if (other.package != row.package) continue;
        row.first_of_package = false;
        if (other.core == row.core) row.first_of_core = false;
      }
      // Siblings of a core and of a package show the same counts.
      if (row.first_of_core) cores_.push_back(std::move(row));
    }
  }

  void tell_times(Sink& sink) {
    static constexpr std::array<std::string_view, 8> kModes = {"user",   "nice", "system",  "idle",
                                                               "iowait", "irq",  "softirq", "steal"};
    const auto& cpus = stat_->cpus();
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      Times& shown = times_[i];
      const auto& now = cpus[i].ticks;
      if (now[StatFile::kIdle] + kIdleRestartTicks <= shown.ticks[StatFile::kIdle]) shown.ticks.fill(0);
      for (std::size_t column = 0; column < now.size(); ++column) {
        shown.ticks[column] = std::max(shown.ticks[column], now[column]);
      }
    }
    sink.family("node_cpu_seconds_total", kCounter, "Seconds the CPUs spent in each mode.");
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      for (std::size_t mode = 0; mode < kModes.size(); ++mode) {
        sink.sample({{"cpu", cpus[i].label()}, {"mode", kModes[mode]}},
                    static_cast<double>(times_[i].ticks[mode]) / kTicksPerSecond);
      }
    }
    sink.family("node_cpu_guest_seconds_total", kCounter, "Seconds the CPUs spent in guests (VMs) for each mode.");
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      const auto& ticks = times_[i].ticks;
      sink.sample({{"cpu", cpus[i].label()}, {"mode", "user"}},
                  static_cast<double>(ticks[StatFile::kGuest]) / kTicksPerSecond);
      sink.sample({{"cpu", cpus[i].label()}, {"mode", "nice"}},
                  static_cast<double>(ticks[StatFile::kGuestNice]) / kTicksPerSecond);
    }
  }

  void tell_throttles(Sink& sink) {
    if (cores_.empty()) return;
    for (Core& core : cores_) {
      const auto count_in = [](KeptFile& file) -> std::optional<std::uint64_t> {
        const auto text = file.read();
        return text ? lone_number(*text) : std::nullopt;
      };
      core.core_count = count_in(core.core_throttles);
      core.package_count = core.first_of_package ? count_in(core.package_throttles) : std::nullopt;
    }
    sink.family("node_cpu_core_throttles_total", kCounter, "Number of times this CPU core has been throttled.");
    for (const Core& core : cores_) {
      if (!core.core_count) continue;
      sink.sample({{"core", core.core}, {"package", core.package}}, static_cast<double>(*core.core_count));
    }
    sink.family("node_cpu_package_throttles_total", kCounter, "Number of times this CPU package has been throttled.");
    for (const Core& core : cores_) {
      if (core.package_count) sink.sample({{"package", core.package}}, static_cast<double>(*core.package_count));
    }
  }

  // The boot parameter isolcpus as a list: "1,3-5,9".
  void tell_isolated(Sink& sink) {
    const auto text = isolated_.read();
    if (!text) return;
    bool begun = false;
    std::string_view list = Scanner(*text).line();
    while (!list.empty()) {
      const auto comma = list.find(',');
      const std::string_view range = list.substr(0, comma);
      list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
      const auto dash = range.find('-');
      const auto from = decimal(range.substr(0, dash));
      const auto to = dash == std::string_view::npos ? from : decimal(range.substr(dash + 1));
      if (!from || !to || *to - *from > kCpusMax) continue;
      for (std::uint64_t cpu = *from; cpu <= *to; ++cpu) {
        if (!begun)
          sink.family("node_cpu_isolated", kGauge,
                      "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.");
        begun = true;
        std::array<char, 20> digits;
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), cpu).ptr;
        sink.sample({{"cpu", std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()))}}, 1);
      }
    }
  }

  // More than Linux can be built for (NR_CPUS).
  static constexpr std::uint64_t kCpusMax = 8192;

  FileReader& reader_;
  std::string directory_;
  std::shared_ptr<StatFile> stat_;
  KeptFile isolated_;
  std::uint64_t seen_change_ = 0;
  std::vector<Times> times_;
  std::vector<Core> cores_;
};

class CpufreqPart final : public Part {
 public:
  CpufreqPart(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat)
      : reader_(reader), directory_(roots.sysfs + "/devices/system/cpu"), stat_(std::move(stat)) {}

  std::string_view name() const override { return "cpufreq"; }

  Outcome collect(const Pass& pass) override {
    // CPUs that come and go show in /proc/stat; where that cannot be read, what was found first stays.
    (void)stat_->refresh(pass.number);
    if (!searched_ || stat_->cpus_changed() != seen_change_) {
      searched_ = true;
      seen_change_ = stat_->cpus_changed();
      find_cpus();
    }
    for (Cpu& cpu : cpus_) {
      for (std::size_t i = 0; i < kKinds.size(); ++i) {
        cpu.hertz[i].reset();
        // Some drivers sleep for 10 ms a CPU to measure.
        if (pass.late()) return Outcome::failed(ETIMEDOUT, directory_);
        const auto text = cpu.files[i].read();
        if (!text) continue;
        if (const auto kilohertz = lone_number(*text)) cpu.hertz[i] = static_cast<double>(*kilohertz) * 1000;
      }
    }
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
      bool begun = false;
      for (const Cpu& cpu : cpus_) {
        if (!cpu.hertz[i]) continue;
        if (!begun) pass.sink.family(kKinds[i].metric, kGauge, kKinds[i].help);
        begun = true;
        pass.sink.sample({{"cpu", cpu.label}}, *cpu.hertz[i]);
      }
    }
    return {};
  }

 private:
  struct Kind {
    std::string_view file;
    std::string_view metric;
    std::string_view help;
  };
  static constexpr std::array<Kind, 6> kKinds = {{
      {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current cpu thread frequency in hertz."},
      {"cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum cpu thread frequency in hertz."},
      {"cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum cpu thread frequency in hertz."},
      {"scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."},
      {"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."},
      {"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."},
  }};
  struct Cpu {
    std::string label;
    std::vector<KeptFile> files;
    std::array<std::optional<double>, kKinds.size()> hertz;
  };

  void find_cpus() {
    cpus_.clear();
    for (const std::uint64_t number : cpu_directories(directory_)) {
      const std::string cpufreq = directory_ + "/cpu" + std::to_string(number) + "/cpufreq/";
      Cpu cpu{std::to_string(number), {}, {}};
      bool any = false;
      for (const Kind& kind : kKinds) {
        KeptFile file(reader_, cpufreq + std::string(kind.file));
        any = any || file.read().has_value();
        cpu.files.push_back(std::move(file));
      }
      if (any) cpus_.push_back(std::move(cpu));
    }
  }

  FileReader& reader_;
  std::string directory_;
  std::shared_ptr<StatFile> stat_;
  bool searched_ = false;
  std::uint64_t seen_change_ = 0;
  std::vector<Cpu> cpus_;
};

}  // namespace

std::unique_ptr<Part> cpu_part(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat) {
  return std::make_unique<CpuPart>(reader, roots, std::move(stat));
}

std::unique_ptr<Part> cpufreq_part(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat) {
  return std::make_unique<CpufreqPart>(reader, roots, std::move(stat));
}

}  // namespace qd::observe::host
