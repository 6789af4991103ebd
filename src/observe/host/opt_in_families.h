// The families of the parts that node_exporter has switched off: what they tell and what the documentation lists.
//
// A part begins its families from these tables, so both say the same. They live as long as the program.
#pragma once

#include <span>

#include "observe/family_info.h"

namespace qd::observe::host {

std::span<const FamilyInfo> ethtool_families();
std::span<const FamilyInfo> perf_families();
std::span<const FamilyInfo> processes_families();
std::span<const FamilyInfo> systemd_families();
std::span<const FamilyInfo> tcpstat_families();

// What node_exporter tells beyond them, or otherwise.
std::span<const LeftOut> opt_in_left_out();

}  // namespace qd::observe::host
