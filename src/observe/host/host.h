// The host collector: what the machine does, read from /proc and /sys, under the metric names, types and labels of
// node_exporter.
//
// A pass asks the parts that read the kernel's memory first, and then those that devices, drivers or other programs may
// keep waiting, each within a time of its own: a sensor that is slow loses its own values alone.
//
// One pass opens each file at most once, reads into one buffer that is kept, and allocates next to nothing once the
// machine has been seen. Each part (cpu, diskstats, …) fails alone: node_scrape_collector_success{collector} is 0 then,
// and what changed is logged once. A file that this kernel or container does not have is normal. It runs unprivileged;
// the current hardware frequency of CPUs is for root only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "observe/collector.h"
#include "observe/kept_file.h"

namespace qd::observe::host {

struct HostOptions {
  bool enabled = true;           // observe.host.enabled
  std::string procfs = "/proc";  // observe.host.procfs
  std::string sysfs = "/sys";    // observe.host.sysfs
  std::string rootfs = "/";      // observe.host.rootfs: where the machine's / is seen
  // observe.host.collectors: parts by name, on or off; for one that is not in it part_kinds() says it.
  std::map<std::string, bool, std::less<>> collectors;
  // observe.host.textfile.directories: of *.prom files; patterns of the shell.
  std::vector<std::string> textfile_directories;
};

class Part;
class ToldFamilies;

class HostCollector final : public Collector {
 public:
  // `clock` and `log` outlive it.
  HostCollector(const HostOptions& options, const base::Clock& clock, base::Log& log);
  ~HostCollector() override;
  HostCollector(const HostCollector&) = delete;
  HostCollector& operator=(const HostCollector&) = delete;

  std::string_view name() const override { return "node"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;

  // The most time that a part has which may be kept waiting, where a pass has twice as much left.
  static constexpr std::int64_t kLatePartNs = 2'000'000'000;

 private:
  struct Entry {
    std::unique_ptr<Part> part;
    bool late = false;  // asked after those that are not, within kLatePartNs
    double seconds = 0;
    bool ok = true;
  };

  const base::Clock& clock_;
  base::Log& log_;
  FileReader reader_;
  std::vector<Entry> parts_;
  std::unique_ptr<ToldFamilies> told_;  // where a part asks for it
  std::uint64_t passes_ = 0;
};

}  // namespace qd::observe::host
