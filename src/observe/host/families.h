// Everything that the host collector can tell.
#pragma once

#include <span>

#include "observe/family_info.h"

namespace qd::observe::host {

std::span<const FamilyInfo> families();
std::span<const LeftOut> left_out();

}  // namespace qd::observe::host
