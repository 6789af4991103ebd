#include "observe/config.h"

namespace qd::observe {

void declare(model::config::Schema& schema, RunnerOptions& options) {
  constexpr std::int64_t kShortestMs = 100;
  constexpr std::int64_t kLongestMs = 60 * 60 * 1000;
  schema.section("observe", "What Quarterdeck measures by itself, and how often.");
  schema.duration_ms("observe.interval", options.interval_ms, "How often the built-in collectors run.", kShortestMs,
                     kLongestMs);
  schema
      .text("observe.instance", options.instance,
            "The label `instance` of what is about this host; empty for the host's own name.")
      .only_at_start();
}

}  // namespace qd::observe
