#include "observe/host/stat_file.h"

#include <memory>

#include <algorithm>
#include <cstring>

#include "observe/host/parts.h"

namespace qd::observe::host {

void StatFile::read_cpu(std::string_view key, Scanner& words, std::size_t index) {
  const std::string_view digits = key.substr(3);
  if (index == cpus_.size()) {
    cpus_.emplace_back();
    ++cpus_changed_;
  }
  Cpu& cpu = cpus_[index];
  if (cpu.label() != digits) {
    cpu.number = *decimal(digits);
    cpu.digits_size = std::min(digits.size(), cpu.digits.size());
    std::memcpy(cpu.digits.data(), digits.data(), cpu.digits_size);
    ++cpus_changed_;
  }
  cpu.ticks.fill(0);
  for (std::uint64_t& ticks : cpu.ticks) {
    // Old kernels have fewer columns.
    if (!words.number(ticks)) break;
  }
}

Outcome StatFile::refresh(std::uint64_t number) {
  if (number == number_) return outcome_;
  number_ = number;
  interrupts = context_switches = boot_time_s = forks = running = blocked = std::nullopt;
  const auto text = file_.read();
  if (!text) return outcome_ = Outcome::failed(text.error(), file_.path());

  std::size_t cpus = 0;
  Scanner lines(*text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    const std::string_view key = words.word();
    if (key.starts_with("cpu")) {
      // The first line, "cpu", is the sum.
      if (key.size() > 3 && decimal(key.substr(3))) read_cpu(key, words, cpus++);
      continue;
    }
    std::uint64_t value = 0;
    if (!words.number(value)) continue;
    if (key == "intr") interrupts = value;
    if (key == "ctxt") context_switches = value;
    if (key == "btime") boot_time_s = value;
    if (key == "processes") forks = value;
    if (key == "procs_running") running = value;
    if (key == "procs_blocked") blocked = value;
  }
  if (cpus != cpus_.size()) {
    cpus_.resize(cpus);
    ++cpus_changed_;
  }
  return outcome_ = Outcome{};
}

namespace {

class StatPart final : public Part {
 public:
  explicit StatPart(std::shared_ptr<StatFile> stat) : stat_(std::move(stat)) {}
  std::string_view name() const override { return "stat"; }

  Outcome collect(const Pass& pass) override {
    if (const Outcome outcome = stat_->refresh(pass.number); !outcome.ok) return outcome;
    using enum model::MetricType;
    const auto tell = [&](const std::optional<std::uint64_t>& value, std::string_view name, model::MetricType type,
                          std::string_view help) {
      if (!value) return;
      pass.sink.family(name, type, help);
      pass.sink.sample(static_cast<double>(*value));
    };
    tell(stat_->interrupts, "node_intr_total", kCounter, "Total number of interrupts serviced.");
    tell(stat_->context_switches, "node_context_switches_total", kCounter, "Total number of context switches.");
    tell(stat_->forks, "node_forks_total", kCounter, "Total number of forks.");
    tell(stat_->boot_time_s, "node_boot_time_seconds", kGauge, "Node boot time, in unixtime.");
    tell(stat_->running, "node_procs_running", kGauge, "Number of processes in runnable state.");
    tell(stat_->blocked, "node_procs_blocked", kGauge, "Number of processes blocked waiting for I/O to complete.");
    return {};
  }

 private:
  std::shared_ptr<StatFile> stat_;
};

}  // namespace

std::unique_ptr<Part> stat_part(std::shared_ptr<StatFile> stat) {
  return std::make_unique<StatPart>(std::move(stat));
}

}  // namespace qd::observe::host
