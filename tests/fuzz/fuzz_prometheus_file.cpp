// Prometheus files, and what relabelling makes of their targets.
//
// Besides not failing on any bytes: a file that is accepted makes a plan, or says which target cannot be.

#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "input.h"
#include "observe/scrape/manager.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::observe::scrape;
  const std::string_view text = qd::fuzz::Input(data, size).text();
  // The files that it may name are not part of the input.
  if (text.find("scrape_config_files") != std::string_view::npos) return 0;
  const auto file = parse_prometheus_file(text, "/nowhere/prometheus.yml");
  if (!file) {
    QD_ASSERT(!file.error().message().empty());
    return 0;
  }
  for (const auto& config : file->scrape_configs) {
    const auto job = Job::compile(std::make_shared<const ScrapeConfig>(config));
    QD_ASSERT(job.has_value(), "a rule was accepted and does not compile");
    const Targets targets = make_targets(*job, job->static_groups());
    for (const auto& target : targets.active) {
      for (const auto& label : target.labels) QD_ASSERT(!label.name.starts_with("__"));
    }
  }
  return 0;
}
