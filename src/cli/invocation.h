// What a start of the program was given, before anything of it is read.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "model/config/schema.h"

namespace qd::cli {

// Of each file that is named there: configuration, rules, queries.
inline constexpr std::size_t kFileBytesMax = 16 << 20;

// What the command line and the surroundings give.
struct Invocation {
  std::string config_file;
  std::vector<std::string> sets;
  std::vector<model::config::Sources::Flag> flags;
  std::map<std::string, std::string> environment;
};

}  // namespace qd::cli
