# Writes which build this is into a source of its own, only when it changes. Run at each build.
execute_process(COMMAND git rev-parse --short=12 HEAD WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE revision
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git status --porcelain --untracked-files=no WORKING_DIRECTORY ${SOURCE_DIR}
                OUTPUT_VARIABLE changes ERROR_QUIET)
if(NOT revision)
  set(revision "unknown")
elseif(changes)
  set(revision "${revision}-dirty")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [=[// Made by cmake/build_info.cmake.
#include "base/build.h"

namespace qd::base {

std::string_view build_version() { return "@VERSION@"; }
std::string_view build_revision() { return "@revision@"; }
std::string_view build_kind() { return "@KIND@"; }

}  // namespace qd::base
]=] @ONLY)
