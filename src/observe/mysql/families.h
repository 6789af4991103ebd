// Every family that the mysql collector can tell, and what of mysqld_exporter's it does not.
#pragma once

#include <span>
#include <string_view>

#include "observe/collector.h"
#include "observe/family_info.h"

namespace qd::observe::mysql {

// In order of their names, but for those with '*', which come last.
std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

// The family of a name that stands in the table as it is.
const FamilyInfo& family(std::string_view name);
// Begins it.
void tell(Sink& sink, const FamilyInfo& info);

}  // namespace qd::observe::mysql
