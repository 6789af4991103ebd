// The command line as commands declare it.
//
//   auto command = root.add_command("check", "Find what is wrong", "Example: quarterdeck check FILE");
//   command.option("FILE", *names, "what to look at", {.required = true});
//   command.action([names] { return check_all(*names); });
//
// CLI11 reads it, and stays in command_line.cpp: each file that includes it takes six seconds longer to compile.
// What options are read into outlives the call of parse.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace qd::cli {

struct OptionForm {
  bool required = false;
  bool shows_default = false;            // in the help
  std::string value_name = {};           // in the help: "HOST:PORT"
  std::string environment = {};          // a variable that stands for it
  std::vector<std::string> one_of = {};  // no other values
};

class CommandLine {
 public:
  // A command below this one, of which one must be chosen then. `examples` stand at the end of its help.
  CommandLine add_command(const std::string& name, const std::string& help, const std::string& examples);

  // "--name", or without dashes a word where it stands. A list takes "--name" again and again, or one word or more.
  void option(const std::string& name, std::string& target, const std::string& help, const OptionForm& form = {});
  void option(const std::string& name, std::optional<std::string>& target, const std::string& help,
              const OptionForm& form = {});
  void option(const std::string& name, std::vector<std::string>& target, const std::string& help,
              const OptionForm& form = {});
  void flag(const std::string& name, bool& target, const std::string& help);

  // What runs when the command is chosen; gives the exit status.
  void action(std::function<int()> run);

 private:
  friend int parse(const std::string& help, const std::string& examples, std::span<char* const> words,
                   const std::function<void(CommandLine&)>& declare);
  CommandLine(CLI::App& app, int& exit_code) : app_(&app), exit_code_(&exit_code) {}

  CLI::App* app_;
  int* exit_code_;
};

// Has `declare` add the commands, and runs the one that `words` (the program's name first) choose. kExitYes as well for
// --help, kExitFailed with a message for words that make no sense.
int parse(const std::string& help, const std::string& examples, std::span<char* const> words,
          const std::function<void(CommandLine&)>& declare);

}  // namespace qd::cli
