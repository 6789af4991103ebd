// What the commands share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/invocation.h"

namespace qd::cli {

inline constexpr int kExitYes = 0;
inline constexpr int kExitNo = 1;
inline constexpr int kExitFailed = 2;

// --output of a command: a table for people or JSON for programs.
struct Output {
  std::string format = "table";
  bool json() const { return format == "json"; }
  void add_to(CommandLine& command);
};

// The flags that stand for settings, wherever a command reads them: --config, --data-dir, --set.
struct SettingFlags {
  std::string config_file;
  std::optional<std::string> data_dir;
  std::vector<std::string> sets;
  void add_to(CommandLine& command);
  // With the environment of this process.
  Invocation invocation() const;
};

// Prints what went wrong to standard error; gives kExitFailed.
int failed(const base::Error& error);

// Each adds its command.
void add_run(CommandLine& root);
void add_check(CommandLine& root);
void add_query(CommandLine& root);
void add_targets(CommandLine& root);
void add_token(CommandLine& root);
void add_promql(CommandLine& root);
void add_rules(CommandLine& root);
void add_tsdb(CommandLine& root);
void add_config(CommandLine& root);
void add_version(CommandLine& root);

}  // namespace qd::cli
