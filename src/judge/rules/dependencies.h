// Which rules of a group read what others of it write, told by the names of metrics.
//
// A rule that reads the metric of another (also through ALERTS and ALERTS_FOR_STATE, or by a pattern that its name
// fits) sees what that one wrote just now where it stands further down, and what it wrote the last time where it
// stands further up. Rules that share nothing may be evaluated at the same time. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "judge/rules/rule.h"

namespace qd::judge::rules {

// The indices of `rules` in steps: the rules of a step may run at the same time, once the steps before are done, and
// then every rule reads exactly what it would read if all ran one after the other. A rule whose templates ask queries,
// or whose expression names no metric, may read anything.
std::vector<std::vector<std::size_t>> evaluation_steps(std::span<const Rule> rules);

// The rings of recording rules, each reading the next and the last one the first, as the names in them: such a file is
// evaluated (each reads what the other wrote the last time), but is rarely meant. A rule that reads itself alone is
// none.
std::vector<std::vector<std::string>> cycles(std::span<const Group> groups);

}  // namespace qd::judge::rules
