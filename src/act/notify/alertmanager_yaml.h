// What is wrong in a configuration file of Alertmanager: keys, receivers, routes, matchers, intervals, each fault with
// its place. Quarterdeck tells Alertmanagers and is none, so nothing is done with the file but to judge it.
//
// Thread-safe. Source: Alertmanager documentation, "Configuration" (up to 0.28), and the verdicts of
// `amtool check-config`. Where a value may come from a file, that is not opened.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/config/node.h"

namespace qd::act::notify {

// A file that is all right, in numbers.
struct AlertmanagerYaml {
  std::size_t routes = 0;
  std::size_t receivers = 0;
  std::size_t inhibit_rules = 0;
  std::size_t time_intervals = 0;
  std::vector<std::string> templates;  // patterns of files; the caller finds them and has check_notification_template
};

// `file` is where it stands: patterns are relative to its folder. kInvalid with all faults, one a line.
base::Result<AlertmanagerYaml> check_alertmanager_yaml(const model::config::Node& node,
                                                       const std::filesystem::path& file);

// Whether a file of notification templates parses; kInvalid with the place.
base::Status check_notification_template(const std::string& name, std::string_view text);

}  // namespace qd::act::notify
