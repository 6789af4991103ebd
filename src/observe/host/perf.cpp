#include "observe/host/perf.h"

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "observe/host/opt_in_families.h"
#include "observe/host/pace.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

constexpr auto kPerfFamilies = std::to_array<FamilyInfo>({
#define QD_FAMILY(name, help) {"node_perf_" name "_total", model::MetricType::kCounter, help, "cpu"}
    QD_FAMILY("cpucycles", "Number of CPU cycles (frequency scaled)"),
    QD_FAMILY("instructions", "Number of CPU instructions"),
    QD_FAMILY("branch_instructions", "Number of CPU branch instructions"),
    QD_FAMILY("branch_misses", "Number of CPU branch misses"),
    QD_FAMILY("cache_refs", "Number of cache references (non frequency scaled)"),
    QD_FAMILY("cache_misses", "Number of cache misses"),
    QD_FAMILY("ref_cpucycles", "Number of CPU cycles"),
    QD_FAMILY("stalled_cycles_backend", "Number of stalled backend CPU cycles"),
    QD_FAMILY("stalled_cycles_frontend", "Number of stalled frontend CPU cycles"),
    QD_FAMILY("page_faults", "Number of page faults"),
    QD_FAMILY("context_switches", "Number of context switches"),
    QD_FAMILY("cpu_migrations", "Number of CPU process migrations"),
    QD_FAMILY("minor_faults", "Number of minor page faults"),
    QD_FAMILY("major_faults", "Number of major page faults"),
    QD_FAMILY("cache_l1d_read_hits", "Number L1 data cache read hits"),
    QD_FAMILY("cache_l1d_read_misses", "Number L1 data cache read misses"),
    QD_FAMILY("cache_l1d_write_hits", "Number L1 data cache write hits"),
    QD_FAMILY("cache_l1_instr_read_misses", "Number instruction L1 instruction read misses"),
    QD_FAMILY("cache_tlb_instr_read_hits", "Number instruction TLB read hits"),
    QD_FAMILY("cache_tlb_instr_read_misses", "Number instruction TLB read misses"),
    QD_FAMILY("cache_tlb_data_read_hits", "Number of data TLB read hits"),
    QD_FAMILY("cache_tlb_data_read_misses", "Number of data TLB read misses"),
    QD_FAMILY("cache_tlb_data_write_hits", "Number of data TLB write hits"),
    QD_FAMILY("cache_tlb_data_write_misses", "Number of data TLB write misses"),
    QD_FAMILY("cache_ll_read_hits", "Number last level read hits"),
    QD_FAMILY("cache_ll_read_misses", "Number last level read misses"),
    QD_FAMILY("cache_ll_write_hits", "Number last level write hits"),
    QD_FAMILY("cache_ll_write_misses", "Number last level write misses"),
    QD_FAMILY("cache_bpu_read_hits", "Number BPU read hits"),
    QD_FAMILY("cache_bpu_read_misses", "Number BPU read misses"),
#undef QD_FAMILY
});

struct PerfEvent {
  std::uint32_t type;
  std::uint64_t config;
};

constexpr PerfEvent cache(std::uint64_t which, std::uint64_t operation, std::uint64_t result) {
  return {PERF_TYPE_HW_CACHE, which | operation << 8 | result << 16};
}

constexpr std::uint64_t kRead = PERF_COUNT_HW_CACHE_OP_READ;
constexpr std::uint64_t kWrite = PERF_COUNT_HW_CACHE_OP_WRITE;
// node_exporter calls an access a hit.
constexpr std::uint64_t kHit = PERF_COUNT_HW_CACHE_RESULT_ACCESS;
constexpr std::uint64_t kMiss = PERF_COUNT_HW_CACHE_RESULT_MISS;

// What is counted for each family, in their order.
constexpr std::array<PerfEvent, kPerfFamilies.size()> kEvents = {{
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    cache(PERF_COUNT_HW_CACHE_L1D, kRead, kHit),
    cache(PERF_COUNT_HW_CACHE_L1D, kRead, kMiss),
    cache(PERF_COUNT_HW_CACHE_L1D, kWrite, kHit),
    cache(PERF_COUNT_HW_CACHE_L1I, kRead, kMiss),
    cache(PERF_COUNT_HW_CACHE_ITLB, kRead, kHit),
    cache(PERF_COUNT_HW_CACHE_ITLB, kRead, kMiss),
    cache(PERF_COUNT_HW_CACHE_DTLB, kRead, kHit),
    cache(PERF_COUNT_HW_CACHE_DTLB, kRead, kMiss),
    cache(PERF_COUNT_HW_CACHE_DTLB, kWrite, kHit),
    cache(PERF_COUNT_HW_CACHE_DTLB, kWrite, kMiss),
    cache(PERF_COUNT_HW_CACHE_LL, kRead, kHit),
    cache(PERF_COUNT_HW_CACHE_LL, kRead, kMiss),
    cache(PERF_COUNT_HW_CACHE_LL, kWrite, kHit),
    cache(PERF_COUNT_HW_CACHE_LL, kWrite, kMiss),
    cache(PERF_COUNT_HW_CACHE_BPU, kRead, kHit),
    cache(PERF_COUNT_HW_CACHE_BPU, kRead, kMiss),
}};

constexpr std::string_view kNotAllowed =
    "perf_event_open: give the process CAP_PERFMON, or set kernel.perf_event_paranoid to 0 or less";
constexpr std::string_view kNoDescriptors =
    "perf_event_open: up to 30 descriptors a CPU are wanted, and more than half of RLIMIT_NOFILE is not taken";
constexpr std::string_view kNothing = "perf_event_open: neither hardware nor kernel has any of its events";

class KernelEvents final : public PerfEvents {
 public:
  int open(std::uint32_t cpu, std::uint32_t type, std::uint64_t config) override {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = type;
    attributes.config = config;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    const auto descriptor =
        ::syscall(SYS_perf_event_open, &attributes, -1, static_cast<int>(cpu), -1, PERF_FLAG_FD_CLOEXEC);
    return descriptor < 0 ? -errno : static_cast<int>(descriptor);
  }
  bool read(int descriptor, Reading& reading) override {
    return ::read(descriptor, &reading, sizeof(reading)) == sizeof(reading);
  }
  void close(int descriptor) override { ::close(descriptor); }
};

std::size_t descriptors_to_be_had() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<std::size_t>(limit.rlim_cur / 2) : 0;
}

class PerfPart final : public Part {
 public:
  PerfPart(FileReader& reader, const Roots& roots, std::unique_ptr<PerfEvents> events)
      : online_(reader, roots.sysfs + "/devices/system/cpu/online"), events_(std::move(events)) {}
  ~PerfPart() override { close(); }
  std::string_view name() const override { return "perf"; }

  Outcome collect(const Pass& pass) override {
    const std::int64_t from_ns = pass.clock.monotonic_ns();
    if (pace_.due(from_ns)) {
      if (const Outcome outcome = open_for_cpus(); !outcome.ok) return outcome;
      for (Cpu& cpu : cpus_) {
        if (pass.late()) break;
        read(cpu);
      }
      pace_.took(from_ns, pass.clock.monotonic_ns());
    }
    for (std::size_t i = 0; i < kPerfFamilies.size(); ++i) {
      LazyFamily family(pass.sink, kPerfFamilies[i]);
      for (const Cpu& cpu : cpus_) {
        if (cpu.counters[i].descriptor >= 0) family.sample({{"cpu", cpu.label}}, cpu.counters[i].sum);
      }
    }
    return {};
  }

 private:
  struct Counter {
    int descriptor = -1;
    PerfEvents::Reading last{};
    double sum = 0;
  };
  struct Cpu {
    std::string label;
    std::array<Counter, kEvents.size()> counters;
  };

  void close() {
    for (Cpu& cpu : cpus_) {
      for (Counter& counter : cpu.counters) {
        if (counter.descriptor >= 0) events_->close(counter.descriptor);
      }
    }
    cpus_.clear();
    seen_online_.clear();
  }

  // All counters anew when CPUs came or went.
  Outcome open_for_cpus() {
    const auto text = online_.read();
    if (!text) return Outcome::failed(text.error(), online_.path());
    if (!cpus_.empty() && *text == seen_online_) return {};
    close();
    if (!read_list(*text)) {
      cpus_.clear();
      return Outcome::not_understood(online_.path());
    }
    const std::string online(*text);
    if (cpus_.size() * kEvents.size() > descriptors_to_be_had()) {
      cpus_.clear();
      return Outcome::failed(EMFILE, kNoDescriptors);
    }
    bool any = false;
    for (Cpu& cpu : cpus_) {
      const auto number = static_cast<std::uint32_t>(*decimal(cpu.label));
      for (std::size_t i = 0; i < kEvents.size(); ++i) {
        const int descriptor = events_->open(number, kEvents[i].type, kEvents[i].config);
        if (descriptor == -EACCES || descriptor == -EPERM || descriptor == -EMFILE || descriptor == -ENFILE) {
          close();
          return Outcome::failed(-descriptor,
                                 descriptor == -EACCES || descriptor == -EPERM ? kNotAllowed : kNoDescriptors);
        }
        // An event that this CPU does not have is none.
        cpu.counters[i].descriptor = descriptor >= 0 ? descriptor : -1;
        any = any || descriptor >= 0;
      }
    }
    if (!any) {
      close();
      return Outcome::failed(ENOENT, kNothing);
    }
    seen_online_ = online;
    return {};
  }

  // "0-3,8,10-11"
  bool read_list(std::string_view text) {
    Scanner lines(text);
    std::string_view list = lines.line();
    constexpr std::uint64_t kCpusMax = 8192;
    while (!list.empty()) {
      const std::string_view range = list.substr(0, list.find(','));
      list.remove_prefix(std::min(range.size() + 1, list.size()));
      const auto dash = range.find('-');
      const auto first = decimal(range.substr(0, dash));
      const auto last = dash == std::string_view::npos ? first : decimal(range.substr(dash + 1));
      if (!first || !last || *first > *last || *last >= kCpusMax || cpus_.size() > kCpusMax) return false;
      for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) cpus_.emplace_back().label = std::to_string(cpu);
    }
    return !cpus_.empty();
  }

  // Where events take turns, what was counted stands for the whole time since the last reading. It is summed, as the
  // whole count scaled by the whole time might shrink.
  void read(Cpu& cpu) {
    for (Counter& counter : cpu.counters) {
      PerfEvents::Reading now{};
      if (counter.descriptor < 0 || !events_->read(counter.descriptor, now)) continue;
      const auto ran_ns = static_cast<double>(now.running_ns - counter.last.running_ns);
      const auto enabled_ns = static_cast<double>(now.enabled_ns - counter.last.enabled_ns);
      if (ran_ns > 0) counter.sum += static_cast<double>(now.value - counter.last.value) * (enabled_ns / ran_ns);
      counter.last = now;
    }
  }

  KeptFile online_;
  std::unique_ptr<PerfEvents> events_;
  Pace pace_;
  std::string seen_online_;
  std::vector<Cpu> cpus_;
};

}  // namespace

std::span<const FamilyInfo> perf_families() {
  return kPerfFamilies;
}

std::unique_ptr<Part> perf_part(FileReader& reader, const Roots& roots, std::unique_ptr<PerfEvents> events) {
  return std::make_unique<PerfPart>(reader, roots, std::move(events));
}

std::unique_ptr<Part> perf_part(FileReader& reader, const Roots& roots) {
  return perf_part(reader, roots, std::make_unique<KernelEvents>());
}

}  // namespace qd::observe::host
