// What drivers of network devices count and say, by SIOCETHTOOL (linux/ethtool.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "observe/host/part.h"

namespace qd::observe::host {

// The kernel's answers, or a test's.
class EthtoolCalls {
 public:
  virtual ~EthtoolCalls() = default;
  // `command` is one of linux/ethtool.h's structures, filled with the answer. Returns an errno.
  virtual int call(const char* device, void* command) = 0;
};

// The part, for the devices in <sysfs>/class/net; it fails with ENOENT where `calls` is null.
std::unique_ptr<Part> ethtool_part(const Roots& roots, std::unique_ptr<EthtoolCalls> calls);

// A driver's name for a count as node_exporter writes it, "Queue[0] rx_errors" as "Queue_0_rx_errors"; and the metric
// of that, "node_ethtool_queue_0_received_errors".
std::string ethtool_clean_name(std::string_view name);
std::string ethtool_metric_name(std::string_view clean_name);

}  // namespace qd::observe::host
