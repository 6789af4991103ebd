// Small files of the kernel: load, pressure, open files, entropy and control groups.

#include <array>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class LoadavgPart final : public Part {
 public:
  LoadavgPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/loadavg") {}
  std::string_view name() const override { return "loadavg"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    Scanner words(*text);
    const auto load1 = real(words.word()), load5 = real(words.word()), load15 = real(words.word());
    if (!load1 || !load5 || !load15) return Outcome::not_understood(file_.path());
    const auto tell = [&](std::string_view metric, std::string_view help, double value) {
      pass.sink.family(metric, kGauge, help);
      pass.sink.sample(value);
    };
    tell("node_load1", "1m load average.", *load1);
    tell("node_load5", "5m load average.", *load5);
    tell("node_load15", "15m load average.", *load15);
    return {};
  }

 private:
  KeptFile file_;
};

// Documentation/accounting/psi.rst: "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781", in microseconds.
class PressurePart final : public Part {
 public:
  PressurePart(FileReader& reader, const Roots& roots) {
    for (const Kind& kind : kKinds) files_.emplace_back(reader, roots.procfs + "/pressure/" + std::string(kind.file));
  }
  std::string_view name() const override { return "pressure"; }

  Outcome collect(const Pass& pass) override {
    Outcome outcome;
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
      const auto text = files_[i].read();
      if (!text) {
        // EOPNOTSUPP: built in, but off (psi=0). "irq" came with Linux 6.1, and only where interrupts are accounted.
        if (kKinds[i].file != "irq") outcome = Outcome::failed(text.error(), files_[i].path());
        continue;
      }
      Scanner lines(*text);
      while (!lines.at_end()) {
        Scanner words(lines.line());
        const std::string_view line = words.word();
        const bool some = line == "some";
        if (!some && line != "full") continue;
        const std::string_view metric = some ? kKinds[i].waiting : kKinds[i].stalled;
        if (metric.empty()) continue;
        for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
          if (!word.starts_with("total=")) continue;
          const auto microseconds = decimal(word.substr(6));
          if (!microseconds) continue;
          pass.sink.family(metric, kCounter, some ? kKinds[i].waiting_help : kKinds[i].stalled_help);
          pass.sink.sample(static_cast<double>(*microseconds) / 1000 / 1000);
        }
      }
    }
    return outcome;
  }

 private:
  struct Kind {
    std::string_view file;
    std::string_view waiting, waiting_help;  // from "some"
    std::string_view stalled, stalled_help;  // from "full"
  };
  // "full" of cpu is always 0 for the whole machine.
  static constexpr std::array<Kind, 4> kKinds = {{
      {"cpu", "node_pressure_cpu_waiting_seconds_total",
       "Total time in seconds that processes have waited for CPU time", "", ""},
      {"io", "node_pressure_io_waiting_seconds_total",
       "Total time in seconds that processes have waited due to IO congestion",
       "node_pressure_io_stalled_seconds_total",
       "Total time in seconds no process could make progress due to IO congestion"},
      {"memory", "node_pressure_memory_waiting_seconds_total",
       "Total time in seconds that processes have waited for memory", "node_pressure_memory_stalled_seconds_total",
       "Total time in seconds no process could make progress due to memory congestion"},
      {"irq", "", "", "node_pressure_irq_stalled_seconds_total",
       "Total time in seconds no process could make progress due to IRQ congestion"},
  }};

  std::vector<KeptFile> files_;
};

class FilefdPart final : public Part {
 public:
  FilefdPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/sys/fs/file-nr") {}
  std::string_view name() const override { return "filefd"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    Scanner words(*text);
    std::uint64_t allocated = 0, unused = 0, maximum = 0;
    if (!words.number(allocated) || !words.number(unused) || !words.number(maximum)) {
      return Outcome::not_understood(file_.path());
    }
    pass.sink.family("node_filefd_allocated", kGauge, "File descriptor statistics: allocated.");
    pass.sink.sample(static_cast<double>(allocated));
    pass.sink.family("node_filefd_maximum", kGauge, "File descriptor statistics: maximum.");
    pass.sink.sample(static_cast<double>(maximum));
    return {};
  }

 private:
  KeptFile file_;
};

class EntropyPart final : public Part {
 public:
  EntropyPart(FileReader& reader, const Roots& roots)
      : available_(reader, roots.procfs + "/sys/kernel/random/entropy_avail"),
        pool_(reader, roots.procfs + "/sys/kernel/random/poolsize") {}
  std::string_view name() const override { return "entropy"; }

  Outcome collect(const Pass& pass) override {
    const auto tell = [&](KeptFile& file, std::string_view metric, std::string_view help) -> Outcome {
      const auto text = file.read();
      if (!text) return Outcome::failed(text.error(), file.path());
      const auto value = lone_number(*text);
      if (!value) return Outcome::not_understood(file.path());
      pass.sink.family(metric, kGauge, help);
      pass.sink.sample(static_cast<double>(*value));
      return {};
    };
    const Outcome available = tell(available_, "node_entropy_available_bits", "Bits of available entropy.");
    const Outcome pool = tell(pool_, "node_entropy_pool_size_bits", "Bits of entropy pool.");
    return available.ok ? pool : available;
  }

 private:
  KeptFile available_;
  KeptFile pool_;
};

// /proc/cgroups (cgroups(7)): controllers of version 1 and 2 alike, "cpu 3 172 1": name, hierarchy, groups, enabled.
class CgroupsPart final : public Part {
 public:
  CgroupsPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs + "/cgroups") {}
  std::string_view name() const override { return "cgroups"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    rows_.clear();
    Scanner lines(*text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view name = words.word();
      std::uint64_t hierarchy = 0, groups = 0, enabled = 0;
      if (!words.number(hierarchy) || !words.number(groups) || !words.number(enabled)) continue;
      rows_.add() = {name, groups, enabled};
    }
    if (rows_.size() == 0) return Outcome::not_understood(file_.path());
    pass.sink.family("node_cgroups_cgroups", kGauge, "Current cgroup number of the subsystem.");
    for (const Row& row : rows_) pass.sink.sample({{"subsys_name", row.name}}, static_cast<double>(row.groups));
    pass.sink.family("node_cgroups_enabled", kGauge, "Current cgroup number of the subsystem.");
    for (const Row& row : rows_) pass.sink.sample({{"subsys_name", row.name}}, static_cast<double>(row.enabled));
    return {};
  }

 private:
  struct Row {
    std::string_view name;  // in the reader's buffer
    std::uint64_t groups = 0;
    std::uint64_t enabled = 0;
  };
  KeptFile file_;
  Rows<Row> rows_;
};

}  // namespace

std::unique_ptr<Part> loadavg_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<LoadavgPart>(reader, roots);
}

std::unique_ptr<Part> pressure_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<PressurePart>(reader, roots);
}

std::unique_ptr<Part> filefd_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<FilefdPart>(reader, roots);
}

std::unique_ptr<Part> entropy_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<EntropyPart>(reader, roots);
}

std::unique_ptr<Part> cgroups_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<CgroupsPart>(reader, roots);
}

}  // namespace qd::observe::host
