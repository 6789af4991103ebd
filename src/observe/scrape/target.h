// One address to scrape, with everything that says how.
//
// Built from a scrape_config as Prometheus does: what discovery said becomes labels (`__address__`, `__scheme__`,
// `__metrics_path__`, `__param_…`, `__scrape_interval__`, `__scrape_timeout__`, `job`, and those of the group), these
// say where to go, and those without leading `__` are put on every sample.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "observe/scrape/config.h"

namespace qd::observe::scrape {

struct Target {
  std::string job;
  model::LabelSet discovered;
  model::LabelSet labels;
  std::string url;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
  std::shared_ptr<const ScrapeConfig> config;

  // Two targets of the same identity give the same series: one may take the other's place without a gap.
  std::string identity() const;
  bool operator==(const Target& other) const;
};

// Of all static groups, each once. kInvalid names the job and what is wrong with the target; kLimit for target_limit.
base::Result<std::vector<Target>> make_targets(const std::shared_ptr<const ScrapeConfig>& config);

// The URL with `host_name` for an address of loopback, which means something else to whoever reads it elsewhere.
std::string global_url(const Target& target, std::string_view host_name);

enum class Health { kUnknown, kUp, kDown };
std::string_view to_string(Health health);

struct TargetStatus {
  model::LabelSet discovered_labels;
  model::LabelSet labels;
  std::string scrape_pool;
  std::string scrape_url;
  std::string global_url;           // as others reach it
  std::string last_error;           // empty when there was none
  std::int64_t last_scrape_ms = 0;  // wall clock; 0 before the first
  double last_scrape_duration_s = 0;
  std::size_t last_scrape_samples = 0;
  Health health = Health::kUnknown;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
};

}  // namespace qd::observe::scrape
