// The rest of the section query of quarterdeck.yaml: queries among each other, and what is written of them.
#pragma once

#include <cstdint>
#include <string>

#include "model/config/schema.h"

namespace qd::query::running {

struct RunnerSettings {
  std::string log_file;                        // query.log_file; empty: none
  std::int64_t slow_threshold_ms = 10'000;     // query.slow_threshold; 0: none is slow
  std::int64_t concurrency = 20;               // query.concurrency
  std::int64_t concurrency_per_principal = 0;  // query.concurrency_per_principal; 0: no limit of its own
  std::uint64_t cache_bytes = 64ULL << 20;     // query.cache_bytes; 0: none
};

// After promql::declare, which begins the section.
void declare(model::config::Schema& schema, RunnerSettings& settings);

}  // namespace qd::query::running
