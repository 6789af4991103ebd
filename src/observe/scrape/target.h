// One address to scrape, with everything that says how.
//
// Built from a scrape_config as Prometheus does: what discovery said becomes labels (`__address__`, `__scheme__`,
// `__metrics_path__`, `__param_…`, `__scrape_interval__`, `__scrape_timeout__`, `job`, and those of the group),
// relabel_configs change them, what is left says where to go, and those without leading `__` are put on every sample.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "observe/scrape/config.h"
#include "observe/sd/target_group.h"

namespace qd::observe::scrape {

// A scrape config with its rules compiled. Cheap to copy.
struct Job {
  std::shared_ptr<const ScrapeConfig> config;
  model::Relabeller target_rules;
  model::Relabeller metric_rules;
  std::uint64_t metric_rules_hash = 0;

  // kInvalid for a rule that is none; files that were read have none such.
  static base::Result<Job> compile(std::shared_ptr<const ScrapeConfig> config);
  // Of static_configs.
  sd::TargetGroups static_groups() const;
};

struct Target {
  std::string job;
  model::LabelSet discovered;
  model::LabelSet labels;
  std::string url;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
  std::shared_ptr<const ScrapeConfig> config;
  model::Relabeller metric_rules;
  std::uint64_t metric_rules_hash = 0;
  std::string fault;  // why it is not scraped and always down; empty when it is

  // Two targets of the same identity give the same series: one may take the other's place without a gap.
  std::string identity() const;
  bool operator==(const Target& other) const;
};

// What a job's groups come to.
struct Targets {
  std::vector<Target> active;            // each once
  std::vector<model::LabelSet> dropped;  // as discovered; no more than keep_dropped_targets
  std::size_t dropped_count = 0;         // all of them
  std::vector<base::Error> faults;       // targets that cannot be, kFaultsMax at most
};
inline constexpr std::size_t kFaultsMax = 20;
// Of targets that relabelling dropped, what is remembered of a job without keep_dropped_targets.
inline constexpr std::size_t kDroppedTargetsMax = 10'000;

// More than target_limit of them are all there, each with `fault`.
Targets make_targets(const Job& job, const sd::TargetGroups& groups);

// The labels that a target is known by before relabelling, for the API that shows what each rule does.
model::LabelSet discovered_labels(const ScrapeConfig& config, const model::LabelSet& target,
                                  const model::LabelSet& group);

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
  std::string last_error;           // empty when there was none; of one that is up, what a limit has it leave out
  std::int64_t last_scrape_ms = 0;  // wall clock; 0 before the first
  double last_scrape_duration_s = 0;
  std::size_t last_scrape_samples = 0;
  Health health = Health::kUnknown;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
};

}  // namespace qd::observe::scrape
