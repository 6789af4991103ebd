#include "observe/containers/config.h"

namespace qd::observe::containers {

void declare(model::config::Schema& schema, Options& options) {
  constexpr std::int64_t kCgroupsMax = 100'000;
  schema.section("observe.containers", "The machine's containers and other control groups, as cAdvisor shows them.");
  schema.flag("observe.containers.enabled", options.enabled, "Whether control groups are measured.").only_at_start();
  schema
      .strings("observe.containers.labels", options.labels,
               "Labels of containers that become labels of their samples, as container_label_<name>; `all` alone means "
               "every one.")
      .example("[com.docker.compose.project, com.docker.compose.service, team]")
      .only_at_start();
  schema
      .strings("observe.containers.environment", options.environment,
               "Variables of containers' environments that become labels of their samples, as container_env_<name>.")
      .example("[STAGE]")
      .only_at_start();
  schema
      .integer("observe.containers.limit", options.limit,
               "How many control groups are measured. With more of them, containers come first.", 1, kCgroupsMax)
      .only_at_start();
}

}  // namespace qd::observe::containers
