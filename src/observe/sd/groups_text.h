// Groups of targets as file_sd and http_sd write them: a list of {"targets": ["host:port", …], "labels": {…}}.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "observe/sd/target_group.h"

namespace qd::observe::sd {

// `from` is the source of each group, with its place in the list, and the value of the label `from_label`. kInvalid for
// another form, keys that are unknown, a name that is none; kLimit past kTargetsMax.
base::Result<TargetGroups> read_json_groups(std::string_view text, const std::string& from,
                                            std::string_view from_label);
base::Result<TargetGroups> read_yaml_groups(std::string_view text, const std::string& from,
                                            std::string_view from_label);

}  // namespace qd::observe::sd
