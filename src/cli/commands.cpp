#include "cli/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <span>

#include "base/build.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/metrics_reference.h"
#include "model/config/render.h"

namespace qd::cli {

void Output::add_to(CLI::App& command) {
  command.add_option("--output", format, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

void SettingFlags::add_to(CLI::App& command) {
  command.add_option("--config", config_file, "the configuration file, quarterdeck.yaml (docs/configuration.md)");
  command.add_option("--data-dir", data_dir, "the data directory (store.dir), ./data by default");
  command.add_option("--set", sets, "any setting, as observe.interval=10s; may be given again")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
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

void add_version(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("version", "Print version, commit and build");
  command->footer("Example: quarterdeck version --output json");
  auto output = std::make_shared<Output>();
  output->add_to(*command);
  command->callback([output, &exit_code] {
    const auto* form = output->json() ? R"({{"version":"{}","commit":"{}","build":"{}"}})"
                                        "\n"
                                      : "quarterdeck {} (commit {}, build {})\n";
    fmt::print(fmt::runtime(form), base::build_version(), base::build_revision(), base::build_kind());
    exit_code = kExitYes;
  });
}

void add_config(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("config", "Print the configuration in force, or the reference of all settings");
  command->footer("Example: quarterdeck config --config quarterdeck.yaml --set observe.interval=10s");
  auto flags = std::make_shared<SettingFlags>();
  flags->add_to(*command);
  auto reference = std::make_shared<bool>(false);
  command->add_flag("--reference", *reference, "print docs/configuration.md instead");
  auto metrics = std::make_shared<bool>(false);
  command->add_flag("--metrics", *metrics, "print docs/exporters.md instead: every metric of the built-in collectors");
  command->callback([flags, reference, metrics, &exit_code] {
    exit_code = kExitYes;
    if (*metrics) {
      fmt::print("{}", metrics_reference());
      return;
    }
    if (*reference) {
      Settings settings;
      declare(settings);
      fmt::print("{}", model::config::render_reference(settings.schema));
      return;
    }
    base::PosixFiles files;
    const auto settings = load_settings(flags->invocation(), files);
    if (!settings) {
      exit_code = failed(settings.error());
      return;
    }
    fmt::print("{}", model::config::render_effective((*settings)->schema));
  });
}

namespace {

// A word where a command stands that is none: CLI11 would only call it unexpected.
base::Status check_commands(const CLI::App& app, std::span<char* const> words) {
  const CLI::App* place = &app;
  for (const std::string_view word : words) {
    const auto commands = place->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty() || word.starts_with('-')) return {};
    std::vector<std::string> names;
    const CLI::App* found = nullptr;
    for (const auto* command : commands) {
      names.push_back(command->get_name());
      if (names.back() == word) found = command;
    }
    if (!found) {
      const auto meant = base::nearest(word, names);
      return base::fail(
          base::ErrorCode::kInvalid,
          fmt::format("there is no command \"{}\"{}; the commands are {}", word,
                      meant ? fmt::format(", did you mean \"{}\"?", *meant) : "", fmt::join(names, ", ")));
    }
    place = found;
  }
  return {};
}

}  // namespace

int run_command(int argc, char** argv) {
  CLI::App app("Quarterdeck: the operations deck of a container platform");
  app.footer("Example: quarterdeck run --listen 127.0.0.1:9090");
  app.require_subcommand(1);
  int exit_code = kExitFailed;
  add_run(app, exit_code);
  add_check(app, exit_code);
  add_query(app, exit_code);
  add_targets(app, exit_code);
  add_token(app, exit_code);
  add_promql(app, exit_code);
  add_config(app, exit_code);
  add_version(app, exit_code);
  if (const auto known = check_commands(app, std::span(argv, static_cast<std::size_t>(argc)).subspan(1)); !known)
    return failed(known.error());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Asking for help is no failure; anything else could not run.
    return app.exit(error) == 0 ? kExitYes : kExitFailed;
  }
  return exit_code;
}

}  // namespace qd::cli
