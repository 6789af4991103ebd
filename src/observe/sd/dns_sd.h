// Targets that the name system names.
#pragma once

#include <map>
#include <string>

#include "base/counters.h"
#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Used by one thread at a time.
class DnsDiscovery {
 public:
  DnsDiscovery(const DnsSdConfig& config, const Surroundings& surroundings);
  // Waits. A name that could not be looked up keeps what it said before; an error only when none could.
  base::Result<TargetGroups> look();

 private:
  const DnsSdConfig config_;
  const base::Clock& clock_;
  const NameServers name_servers_;
  const base::CancelToken cancel_;
  base::Counter& lookups_;
  base::Counter& failures_;
  std::map<std::string, TargetGroup> known_;
};

}  // namespace qd::observe::sd
