// A pass over this machine: how long it takes, what it allocates, and what Debian's prometheus-node-exporter needs for
// the same (CPU time of its process a scrape, with the same collectors; skipped where it is not installed).

#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <ctime>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "observe/host/host.h"
#include "observe/host/parts.h"
#include "observe/store_sink.h"
#include "observe/text_sink.h"

namespace {
std::atomic<std::uint64_t> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace qd::observe::host {
namespace {

class NullSink final : public Sink {
 public:
  void family(std::string_view, model::MetricType, std::string_view) override {}
  using Sink::sample;
  void sample(std::string_view, std::span<const model::Label>, double value) override {
    ++samples;
    benchmark::DoNotOptimize(value);
  }
  std::uint64_t samples = 0;
};

// Takes everything and keeps nothing.
class NullStore final : public store::metrics::Appendable {
 public:
  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(); }

 private:
  class Batch final : public store::metrics::Appender {
   public:
    base::Result<store::metrics::SeriesRef> series(const model::LabelSet&) override { return 1; }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs, double) override {
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs,
                                         const model::Histogram&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef, const model::Exemplar&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view, const model::Metadata&) override {}
    base::Status commit() override { return {}; }
    std::size_t pending() const override { return 0; }
  };
};

template <typename Pass>
void measure(benchmark::State& state, Pass pass, const base::Clock& clock = base::SystemClock(),
             const HostOptions& options = {}) {
  HostCollector collector(options, clock, base::Log::silent());
  pass(collector);
  pass(collector);
  const std::uint64_t before = allocations;
  for (auto _ : state) pass(collector);
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(allocations - before), benchmark::Counter::kAvgIterations);
}

void host_pass(benchmark::State& state) {
  NullSink sink;
  measure(state, [&](HostCollector& collector) {
    sink.samples = 0;
    (void)collector.collect(INT64_MAX, sink);
  });
  state.counters["samples"] = static_cast<double>(sink.samples);
}
BENCHMARK(host_pass)->Unit(benchmark::kMicrosecond);

// Each part alone, those that are off by default too; on a clock that stands still, so that what is dear is read at
// each pass.
void host_part(benchmark::State& state, std::string_view only) {
  HostOptions options;
  for (const PartKind& kind : part_kinds()) options.collectors[std::string(kind.name)] = kind.name == only;
  NullSink sink;
  const auto pass = [&](HostCollector& collector) {
    sink.samples = 0;
    (void)collector.collect(INT64_MAX, sink);
  };
  measure(state, pass, base::ManualClock(), options);
  state.counters["samples"] = static_cast<double>(sink.samples);
}

const bool kPartsRegistered = [] {
  for (const PartKind& kind : part_kinds()) {
    benchmark::RegisterBenchmark(("host_part/" + std::string(kind.name)).c_str(), host_part, kind.name)
        ->Unit(benchmark::kMicrosecond);
  }
  return true;
}();

void host_pass_as_text(benchmark::State& state) {
  std::string text;
  measure(state, [&](HostCollector& collector) {
    text.clear();
    TextSink sink(text, model::exposition::Format::kPrometheusText);
    (void)collector.collect(INT64_MAX, sink);
    sink.finish();
  });
  state.counters["bytes"] = static_cast<double>(text.size());
}
BENCHMARK(host_pass_as_text)->Unit(benchmark::kMicrosecond);

// Without the store's own work.
void host_pass_to_store_sink(benchmark::State& state) {
  NullStore store;
  StoreSink sink(store, {{"job", "node"}, {"instance", "vm"}});
  std::int64_t time_ms = 0;
  measure(state, [&](HostCollector& collector) {
    sink.begin(++time_ms);
    (void)collector.collect(INT64_MAX, sink);
    (void)sink.commit();
  });
}
BENCHMARK(host_pass_to_store_sink)->Unit(benchmark::kMicrosecond);

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

// The size of the answer; 0 when there was none.
std::size_t scrape(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::size_t size = 0;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    if (::write(fd, request.data(), request.size()) > 0) {
      std::array<char, 65536> buffer;
      while (true) {
        const auto got = ::read(fd, buffer.data(), buffer.size());
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
      }
    }
  }
  ::close(fd);
  return size;
}

std::optional<pid_t> start_node_exporter(int port) {
  std::vector<std::string> arguments = {"prometheus-node-exporter", "--collector.disable-defaults",
                                        "--web.disable-exporter-metrics", "--log.level=error",
                                        "--web.listen-address=127.0.0.1:" + std::to_string(port)};
  for (const char* part :
       {"arp",      "bcache",           "bonding",  "btrfs",      "cgroups", "conntrack",    "cpu",
        "cpufreq",  "diskstats",        "dmi",      "edac",       "entropy", "ethtool",      "fibrechannel",
        "filefd",   "filesystem",       "hwmon",    "infiniband", "ipvs",    "loadavg",      "mdadm",
        "meminfo",  "netclass",         "netdev",   "netstat",    "nfs",     "nfsd",         "nvme",
        "os",       "powersupplyclass", "pressure", "processes",  "rapl",    "schedstat",    "selinux",
        "sockstat", "softnet",          "stat",     "tapestats",  "tcpstat", "thermal_zone", "time",
        "timex",    "udp_queues",       "uname",    "vmstat",     "xfs",     "zfs"}) {
    arguments.push_back(std::string("--collector.") + part);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  return pid;
}

double cpu_seconds(pid_t pid) {
  clockid_t clock = 0;
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

// The time shown is CPU time of the exporter's process.
void node_exporter_scrape(benchmark::State& state) {
  const int port = free_port();
  const auto pid = start_node_exporter(port);
  std::size_t size = 0;
  for (int i = 0; pid && i < 200 && size == 0; ++i) {
    ::usleep(20'000);
    size = scrape(port);
  }
  if (size == 0) {
    state.SkipWithError("prometheus-node-exporter is not here");
  }
  for (auto _ : state) {
    const double before = cpu_seconds(*pid);
    size = scrape(port);
    state.SetIterationTime(cpu_seconds(*pid) - before);
  }
  state.counters["bytes"] = static_cast<double>(size);
  if (pid) {
    ::kill(*pid, SIGTERM);
    ::waitpid(*pid, nullptr, 0);
  }
}
BENCHMARK(node_exporter_scrape)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace qd::observe::host
