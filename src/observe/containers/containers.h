// The container collector: what the machine's control groups use and may use, under the metric names, types and labels
// of cAdvisor.
//
// It reads cgroupfs itself (version 1, version 2, or both side by side, whichever driver made the groups), and asks the
// engine for nothing: names, images and labels come from the list that discovery keeps, joined by the 64 hexadecimal
// digits in a cgroup's path. A container that the list does not have is told with its id only. Every cgroup is told, as
// cAdvisor does: "/", "/system.slice", … up to `kDepthMax` levels and `Options::limit` cgroups, containers first.
//
// Descriptors of cgroupfs are kept from pass to pass, up to a quarter of what the process may open. Limits are read
// every minute, each cgroup at its own time; open files and sockets, which cost a call each, in turn. Runs
// unprivileged; other users' open files take CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "observe/collector.h"
#include "observe/container.h"

namespace qd::observe::containers {

// A container's own cgroups lie up to five levels below the root with every engine that is known, a user's services
// up to six.
inline constexpr std::size_t kDepthMax = 10;

struct Options {
  bool enabled = true;           // observe.containers.enabled
  std::string procfs = "/proc";  // as observe.host has them
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  // Labels of containers that are told as container_label_*; "all" alone stands for all of them.
  std::vector<std::string> labels = {"com.docker.compose.project", "com.docker.compose.service",
                                     "com.docker.swarm.service.name"};
  // Variables of containers' environments that are told as container_env_*.
  std::vector<std::string> environment;
  std::int64_t limit = 2'000;  // cgroups that are told; observe.containers.limit
};

class ContainersCollector final : public Collector {
 public:
  // `containers` is called once a pass, on its thread. `clock` outlives the collector.
  ContainersCollector(const Options& options, std::function<ContainerList()> containers, const base::Clock& clock);
  ~ContainersCollector() override;
  ContainersCollector(const ContainersCollector&) = delete;
  ContainersCollector& operator=(const ContainersCollector&) = delete;

  std::string_view name() const override { return "cadvisor"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  class Machinery;

  std::unique_ptr<Machinery> machinery_;
  std::optional<base::Error> trouble_;
};

}  // namespace qd::observe::containers
