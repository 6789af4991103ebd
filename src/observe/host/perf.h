// Counts of the CPUs' performance counters and of the kernel's events, by perf_event_open(2).
//
// Off unless it is asked for: hardware counters are few, so that they are taken from whoever profiles this machine, and
// each is read by interrupting its CPU.
#pragma once

#include <cstdint>
#include <memory>

#include "observe/host/part.h"

namespace qd::observe::host {

// The kernel's counters, or a test's.
class PerfEvents {
 public:
  struct Reading {
    std::uint64_t value;
    std::uint64_t enabled_ns;
    std::uint64_t running_ns;  // less than enabled where events take turns on a counter
  };
  virtual ~PerfEvents() = default;
  // A descriptor that counts on one CPU, whatever runs there; or a negative errno.
  virtual int open(std::uint32_t cpu, std::uint32_t type, std::uint64_t config) = 0;
  virtual bool read(int descriptor, Reading& reading) = 0;
  virtual void close(int descriptor) = 0;
};

// The part, for the CPUs in <sysfs>/devices/system/cpu/online.
std::unique_ptr<Part> perf_part(FileReader& reader, const Roots& roots, std::unique_ptr<PerfEvents> events);

}  // namespace qd::observe::host
