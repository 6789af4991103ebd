// What the commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/settings.h"

namespace qd::cli {

inline constexpr int kExitYes = 0;
inline constexpr int kExitNo = 1;
inline constexpr int kExitFailed = 2;

// --output of a command: a table for people or JSON for programs.
struct Output {
  std::string format = "table";
  bool json() const { return format == "json"; }
  void add_to(CLI::App& command);
};

// The flags that stand for settings, wherever a command reads them: --config, --data-dir, --set.
struct SettingFlags {
  std::string config_file;
  std::optional<std::string> data_dir;
  std::vector<std::string> sets;
  void add_to(CLI::App& command);
  // With the environment of this process.
  Invocation invocation() const;
};

// Prints what went wrong to standard error; gives kExitFailed.
int failed(const base::Error& error);

// Each adds its command; when it is chosen, `exit_code` is what it ended with.
void add_run(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_query(CLI::App& app, int& exit_code);
void add_targets(CLI::App& app, int& exit_code);
void add_token(CLI::App& app, int& exit_code);
void add_promql(CLI::App& app, int& exit_code);
void add_config(CLI::App& app, int& exit_code);
void add_version(CLI::App& app, int& exit_code);

}  // namespace qd::cli
