// Whether the machine's network, as its /proc shows it, is that of this process: only then does the kernel answer for
// the machine when it is asked by a call.
#pragma once

#include "observe/host/part.h"

namespace qd::observe::host {

bool is_own_network(const Roots& roots);

}  // namespace qd::observe::host
