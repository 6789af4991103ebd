// One probe of one target by one module.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "observe/probe/module.h"
#include "observe/probe/samples.h"

namespace qd::observe::probe {

struct ProbeTarget {
  std::string target;    // a URL, host:port, or a host, as the prober has it
  std::string hostname;  // what http and tcp ask it for, where that is another; usually empty
};

struct Outcome {
  Samples samples;      // with probe_success and probe_duration_seconds
  base::Status status;  // why it failed, in words
  std::string journal;  // what happened, line by line, where it was wanted
};

// Blocks until the deadline at most, or until it is cancelled. Any number of threads may probe.
Outcome probe(const Module& module, const ProbeTarget& target, const base::Clock& clock, std::int64_t deadline_ns,
              const base::CancelToken& cancel, bool with_journal);

}  // namespace qd::observe::probe
