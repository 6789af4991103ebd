// Targets that belong together: what a discovery tells.
#pragma once

#include <string>
#include <vector>

#include "model/labels.h"

namespace qd::observe::sd {

struct TargetGroup {
  std::string source;                    // which of a discovery's groups this is
  std::vector<model::LabelSet> targets;  // each with __address__ and what is known of it alone
  model::LabelSet labels;                // of all; a target's own win
  bool operator==(const TargetGroup&) const = default;
};
using TargetGroups = std::vector<TargetGroup>;

}  // namespace qd::observe::sd
