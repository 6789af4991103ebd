#include "observe/registry_collector.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <vector>

namespace qd::observe {
namespace {

using enum model::MetricType;

// The beginning of a file of /proc, which the kernel writes anew on each read.
std::string_view read_start(const char* path, std::span<char> buffer) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::size_t size = 0;
  while (size < buffer.size()) {
    const auto got = ::read(fd, buffer.data() + size, buffer.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  ::close(fd);
  return {buffer.data(), size};
}

std::optional<double> number_at(std::string_view text) {
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return static_cast<double>(value);
}

double boot_time_s() {
  std::vector<char> buffer(1 << 20);
  const std::string_view text = read_start("/proc/stat", buffer);
  const auto at = text.find("\nbtime ");
  return at == std::string_view::npos ? 0 : number_at(text.substr(at + 7)).value_or(0);
}

std::optional<double> open_descriptors() {
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return std::nullopt;
  double count = 0;
  while (const dirent* entry = ::readdir(dir)) count += entry->d_name[0] != '.';
  ::closedir(dir);
  // One of them was the directory's.
  return count - 1;
}

model::MetricType type_of(base::Registry::Kind kind) {
  switch (kind) {
    case base::Registry::Kind::kCounter:
      return kCounter;
    case base::Registry::Kind::kGauge:
      return kGauge;
    case base::Registry::Kind::kHistogram:
      return kHistogram;
    case base::Registry::Kind::kSummary:
      return kSummary;
  }
  return kUnknown;
}

}  // namespace

RegistryCollector::RegistryCollector(const base::Registry& registry, BuildInfo build)
    : registry_(registry), build_(std::move(build)), boot_time_s_(boot_time_s()) {}

base::Status RegistryCollector::collect(std::int64_t, Sink& sink) {
  std::vector<model::Label> labels;
  for (const auto& family : registry_.collect()) {
    sink.family(family.name, type_of(family.kind), family.help);
    for (const auto& sample : family.samples) {
      labels.clear();
      for (const auto& [name, value] : sample.labels) labels.push_back({name, value});
      sink.sample(std::string_view(sample.name).substr(family.name.size()), labels, sample.value);
    }
  }
  sink.family("quarterdeck_build_info", kGauge, "Which Quarterdeck this is; always 1.");
  sink.sample({{"version", build_.version}, {"revision", build_.revision}, {"build", build_.build}}, 1);
  tell_process(sink);
  return {};
}

// Names and meaning as Prometheus' client libraries have them. Fields of /proc/self/stat: proc(5).
void RegistryCollector::tell_process(Sink& sink) const {
  const auto tell = [&](std::string_view name, model::MetricType type, std::string_view help,
                        std::optional<double> value) {
    if (!value) return;
    sink.family(name, type, help);
    sink.sample(*value);
  };
  timespec cpu{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
    tell("process_cpu_seconds_total", kCounter, "CPU time that this process has used, in seconds.",
         static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9);
  }
  std::array<char, 2048> buffer;
  std::string_view stat = read_start("/proc/self/stat", buffer);
  // The second field, the program's name in parentheses, may hold blanks.
  const auto parenthesis = stat.rfind(')');
  if (parenthesis != std::string_view::npos) {
    constexpr int kStartTime = 22, kVirtualBytes = 23, kResidentPages = 24;
    stat.remove_prefix(parenthesis + 1);
    std::optional<double> start_ticks, virtual_bytes, resident_pages;
    for (int field = 3; field <= kResidentPages; ++field) {
      const auto blank = stat.find(' ');
      if (blank == std::string_view::npos) break;
      stat.remove_prefix(blank + 1);
      if (field == kStartTime) start_ticks = number_at(stat);
      if (field == kVirtualBytes) virtual_bytes = number_at(stat);
      if (field == kResidentPages) resident_pages = number_at(stat);
    }
    tell("process_virtual_memory_bytes", kGauge, "Virtual memory of this process in bytes.", virtual_bytes);
    if (resident_pages) {
      tell("process_resident_memory_bytes", kGauge, "Resident memory of this process in bytes.",
           *resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    }
    if (start_ticks && boot_time_s_ > 0) {
      tell("process_start_time_seconds", kGauge, "When this process started, as Unix time.",
           boot_time_s_ + *start_ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)));
    }
  }
  tell("process_open_fds", kGauge, "Open file descriptors of this process.", open_descriptors());
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    tell("process_max_fds", kGauge, "Most file descriptors that this process may have open.",
         static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace qd::observe
