#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "cli/command.h"

namespace qd::cli {
namespace {

void shape(CLI::Option& option, const OptionForm& form) {
  if (form.required) option.required();
  if (form.shows_default) option.capture_default_str();
  if (!form.value_name.empty()) option.type_name(form.value_name);
  if (!form.environment.empty()) option.envname(form.environment);
  if (!form.one_of.empty()) option.check(CLI::IsMember(form.one_of));
}

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
                      meant ? fmt::format(", did you mean \"{}\"?", *meant) : "", base::join(names, ", ")));
    }
    place = found;
  }
  return {};
}

}  // namespace

CommandLine CommandLine::add_command(const std::string& name, const std::string& help, const std::string& examples) {
  app_->require_subcommand(1);
  auto* command = app_->add_subcommand(name, help);
  command->footer(examples);
  return {*command, *exit_code_};
}

void CommandLine::option(const std::string& name, std::string& target, const std::string& help,
                         const OptionForm& form) {
  shape(*app_->add_option(name, target, help), form);
}

void CommandLine::option(const std::string& name, std::optional<std::string>& target, const std::string& help,
                         const OptionForm& form) {
  shape(*app_->add_option(name, target, help), form);
}

void CommandLine::option(const std::string& name, std::vector<std::string>& target, const std::string& help,
                         const OptionForm& form) {
  auto* option = app_->add_option(name, target, help);
  if (name.starts_with('-')) option->allow_extra_args(false);
  shape(*option, form);
}

void CommandLine::flag(const std::string& name, bool& target, const std::string& help) {
  app_->add_flag(name, target, help);
}

void CommandLine::action(std::function<int()> run) {
  app_->callback([run = std::move(run), exit_code = exit_code_] { *exit_code = run(); });
}

int parse(const std::string& help, const std::string& examples, std::span<char* const> words,
          const std::function<void(CommandLine&)>& declare) {
  CLI::App app(help);
  app.footer(examples);
  int exit_code = kExitFailed;
  CommandLine root(app, exit_code);
  declare(root);
  if (const auto known = check_commands(app, words.subspan(1)); !known) return failed(known.error());
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& error) {
    // Asking for help is no failure; anything else could not run.
    return app.exit(error) == 0 ? kExitYes : kExitFailed;
  }
  return exit_code;
}

}  // namespace qd::cli
