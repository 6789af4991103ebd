// What the PostgreSQL collector tells: names, types, HELP texts and labels are those of postgres_exporter 0.20, and
// what 0.11 (Debian 12's) has besides.
#pragma once

#include <span>
#include <string_view>

#include "observe/family_info.h"

namespace qd::observe::postgres {

std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

// The row of the table, or nullptr; a name of the form pg_settings_* finds that row.
const FamilyInfo* find_family(std::string_view name);
// The row of the table; it must be there.
const FamilyInfo& family(std::string_view name);

}  // namespace qd::observe::postgres
