#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <span>

#include "base/build.h"
#include "cli/command.h"
#include "cli/metrics_reference.h"
#include "cli/settings.h"
#include "model/config/render.h"

namespace qd::cli {

void Output::add_to(CommandLine& command) {
  command.option("--output", format, "table for people, json for programs",
                 {.shows_default = true, .one_of = {"table", "json"}});
}

void SettingFlags::add_to(CommandLine& command) {
  command.option("--config", config_file, "the configuration file, quarterdeck.yaml (docs/configuration.md)");
  command.option("--data-dir", data_dir, "the data directory (store.dir), ./data by default");
  command.option("--set", sets, "any setting, as observe.interval=10s; may be given again",
                 {.value_name = "KEY=VALUE"});
}

Invocation SettingFlags::invocation() const {
  Invocation invocation{.config_file = config_file, .sets = sets};
  invocation.environment = model::config::environment_of(environ);
  if (data_dir) invocation.flags.push_back({.origin = "--data-dir", .path = "store.dir", .value = *data_dir});
  return invocation;
}

int failed(const base::Error& error) {
  fmt::print(stderr, "quarterdeck: {}\n", error.message());
  return kExitFailed;
}

void add_version(CommandLine& root) {
  auto command =
      root.add_command("version", "Print version, commit and build", "Example: quarterdeck version --output json");
  auto output = std::make_shared<Output>();
  output->add_to(command);
  command.action([output] {
    const auto* form = output->json() ? R"({{"version":"{}","commit":"{}","build":"{}"}})"
                                        "\n"
                                      : "quarterdeck {} (commit {}, build {})\n";
    fmt::print(fmt::runtime(form), base::build_version(), base::build_revision(), base::build_kind());
    return kExitYes;
  });
}

void add_config(CommandLine& root) {
  auto command = root.add_command("config", "Print the configuration in force, or the reference of all settings",
                                  "Example: quarterdeck config --config quarterdeck.yaml --set observe.interval=10s");
  auto flags = std::make_shared<SettingFlags>();
  flags->add_to(command);
  auto reference = std::make_shared<bool>(false);
  command.flag("--reference", *reference, "print docs/configuration.md instead");
  auto metrics = std::make_shared<bool>(false);
  command.flag("--metrics", *metrics, "print docs/exporters.md instead: every metric of the built-in collectors");
  command.action([flags, reference, metrics] {
    if (*metrics) {
      fmt::print("{}", metrics_reference());
      return kExitYes;
    }
    if (*reference) {
      Settings settings;
      declare(settings);
      fmt::print("{}", model::config::render_reference(settings.schema));
      return kExitYes;
    }
    base::PosixFiles files;
    const auto settings = load_settings(flags->invocation(), files);
    if (!settings) return failed(settings.error());
    fmt::print("{}", model::config::render_effective((*settings)->schema));
    return kExitYes;
  });
}

int run_command(int argc, char** argv) {
  return parse("Quarterdeck: the operations deck of a container platform",
               "Example: quarterdeck run --listen 127.0.0.1:9090", std::span(argv, static_cast<std::size_t>(argc)),
               [](CommandLine& root) {
                 add_run(root);
                 add_check(root);
                 add_query(root);
                 add_targets(root);
                 add_token(root);
                 add_promql(root);
                 add_rules(root);
                 add_tsdb(root);
                 add_config(root);
                 add_version(root);
               });
}

}  // namespace qd::cli
