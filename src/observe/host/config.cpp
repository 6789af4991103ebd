#include "observe/host/config.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

base::Status must_be_absolute(const std::string& path) {
  if (path.starts_with('/')) return {};
  return base::fail(base::ErrorCode::kInvalid,
                    fmt::format("{:?} is not an absolute path: write it from the root on, like \"/proc\"", path));
}

}  // namespace

void declare(model::config::Schema& schema, HostOptions& options) {
  schema.section("observe.host", "The machine that Quarterdeck runs on, as node_exporter shows it.");
  schema.flag("observe.host.enabled", options.enabled, "Whether the machine is measured.").only_at_start();
  const auto path = [&](const char* key, std::string& target, const char* help) {
    schema.text(key, target, help).only_at_start();
    schema.check(key, [&target] { return must_be_absolute(target); });
  };
  path("observe.host.procfs", options.procfs,
       "Where the machine's /proc is seen; in a container, where it is mounted.");
  path("observe.host.sysfs", options.sysfs, "Where the machine's /sys is seen.");
  path("observe.host.rootfs", options.rootfs, "Where the machine's / is seen: file systems are asked below it.");
  schema.section("observe.host.textfile", "Metrics that other programs leave in files, as node_exporter reads them.");
  schema
      .strings(
          "observe.host.textfile.directories", options.textfile_directories,
          "Directories of files *.prom, which other programs write in the text format of Prometheus; with * and ?.")
      .example("[/var/lib/prometheus/node-exporter]")
      .only_at_start();
  schema.check("observe.host.textfile.directories", [&options]() -> base::Status {
    for (const std::string& path : options.textfile_directories) QD_TRY(must_be_absolute(path));
    return {};
  });
  schema.section("observe.host.collectors",
                 "What of the machine is measured, by the names that node_exporter has for its collectors.");
  for (const PartKind& kind : part_kinds()) {
    bool& on = options.collectors.try_emplace(std::string(kind.name), kind.on).first->second;
    schema
        .flag(fmt::format("observe.host.collectors.{}", kind.name), on,
              fmt::format("Whether this is measured: {}.", kind.subject))
        .only_at_start();
  }
}

base::Status check_roots(const HostOptions& options) {
  for (const auto& [key, path] :
       {std::pair("procfs", &options.procfs), {"sysfs", &options.sysfs}, {"rootfs", &options.rootfs}}) {
    std::error_code error;
    if (!std::filesystem::is_directory(*path, error))
      return base::fail(base::ErrorCode::kInvalid,
                        fmt::format("observe.host.{}: there is no directory {:?} here; mount it, or set "
                                    "observe.host.enabled: false",
                                    key, *path));
  }
  return {};
}

}  // namespace qd::observe::host
