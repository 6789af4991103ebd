// Settings of the section `observe.blackbox`.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "model/config/schema.h"
#include "observe/probe/module.h"
#include "observe/probe/probe_collector.h"

namespace qd::observe::probe {

struct ProbeSettings {
  std::string modules_file;
  std::vector<TargetOptions> targets;
  ModulesPtr modules;  // of the file, or the default ones
};

// observe.blackbox.
void declare(model::config::Schema& schema, ProbeSettings& settings);
// Reads the modules file, and gives each target its module. kInvalid names what is not there.
base::Status load(ProbeSettings& settings, base::Files& files);

}  // namespace qd::observe::probe
