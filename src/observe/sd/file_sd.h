// Targets that stand in files, JSON or YAML.
#pragma once

#include <map>
#include <string>

#include "base/counters.h"
#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Used by one thread at a time.
class FileDiscovery {
 public:
  FileDiscovery(const FileSdConfig& config, const Surroundings& surroundings);
  // A file that cannot be read keeps what it said before; that is logged and counted, and the other files count.
  base::Result<TargetGroups> look();
  bool changed() const;

 private:
  const FileSdConfig config_;
  base::Log& log_;
  base::Counter& read_errors_;
  std::uint64_t seen_ = 0;  // their fingerprint at the last look
  std::map<std::string, TargetGroups> known_;
};

}  // namespace qd::observe::sd
