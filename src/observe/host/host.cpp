#include "observe/host/host.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "observe/host/parts.h"
#include "observe/host/stat_file.h"

namespace qd::observe::host {
namespace {

std::string without_slash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

Roots roots_of(const HostOptions& options) {
  Roots roots{without_slash(options.procfs), without_slash(options.sysfs), without_slash(options.rootfs), {}};
  roots.procfs_net = roots.procfs + "/net";
  if (roots.procfs != "/proc") {
    const std::string machine = roots.procfs + "/1/net";
    if (::access((machine + "/dev").c_str(), R_OK) == 0) roots.procfs_net = machine;
  }
  return roots;
}

}  // namespace

HostCollector::HostCollector(const HostOptions& options, const base::Clock& clock, base::Log& log)
    : clock_(clock), log_(log) {
  const Roots roots = roots_of(options);
  const auto stat = std::make_shared<StatFile>(reader_, roots);
  const auto devices = std::make_shared<NetworkDevices>();
  const PartContext context{reader_, roots, options, stat, devices, log};
  if (!options.textfile_directories.empty()) told_ = std::make_unique<ToldFamilies>();
  for (const PartKind& kind : part_kinds()) {
    const auto told = options.collectors.find(kind.name);
    if (told == options.collectors.end() ? kind.on : told->second) {
      parts_.push_back({kind.make(context), kind.turn == Turn::kLate});
    }
  }
  std::stable_partition(parts_.begin(), parts_.end(), [](const Entry& entry) { return !entry.late; });
}

HostCollector::~HostCollector() = default;

base::Status HostCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  if (told_) told_->begin(sink);
  Pass pass{told_ ? *told_ : sink, clock_, deadline_ns, ++passes_, told_.get()};
  std::int64_t from_ns = clock_.monotonic_ns();
  for (Entry& entry : parts_) {
    // Half of what is left at most, so that something is left for those that follow.
    if (entry.late) pass.deadline_ns = from_ns + std::min(kLatePartNs, (deadline_ns - from_ns) / 2);
    const Outcome outcome =
        from_ns >= deadline_ns ? Outcome::failed(ETIMEDOUT, "the pass's deadline") : entry.part->collect(pass);
    const std::int64_t to_ns = clock_.monotonic_ns();
    entry.seconds = static_cast<double>(to_ns - from_ns) / 1e9;
    from_ns = to_ns;
    if (entry.ok && !outcome.ok) {
      const std::string why = outcome.error == 0 ? std::string("its content is not understood")
                                                 : std::error_code(outcome.error, std::generic_category()).message();
      // What a kernel or container does not have, or does not show to this user, is no fault; the sample says it, the
      // log needs not.
      if (outcome.error == ENOENT || outcome.error == EACCES) {
        log_.debug("nothing to read for a part of the host collector",
                   {{"part", entry.part->name()}, {"what", outcome.what}, {"error", why}});
      } else {
        log_.warn("a part of the host collector fails",
                  {{"part", entry.part->name()}, {"what", outcome.what}, {"error", why}});
      }
    } else if (!entry.ok && outcome.ok) {
      log_.info("a part of the host collector works again", {{"part", entry.part->name()}});
    }
    entry.ok = outcome.ok;
  }

  sink.family("node_scrape_collector_duration_seconds", model::MetricType::kGauge,
              "node_exporter: Duration of a collector scrape.");
  for (const Entry& entry : parts_) sink.sample({{"collector", entry.part->name()}}, entry.seconds);
  sink.family("node_scrape_collector_success", model::MetricType::kGauge,
              "node_exporter: Whether a collector succeeded.");
  for (const Entry& entry : parts_) sink.sample({{"collector", entry.part->name()}}, entry.ok ? 1 : 0);
  return {};
}

}  // namespace qd::observe::host
