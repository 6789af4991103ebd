#include "query/running/settings.h"

namespace qd::query::running {

void declare(model::config::Schema& schema, RunnerSettings& settings) {
  schema
      .text("query.log_file", settings.log_file,
            "A file that gets a line of JSON for each query that ended, as Prometheus's query_log_file; opened anew on "
            "a reload. None when empty.")
      .example("/var/log/quarterdeck/queries.log");
  schema.duration_ms("query.slow_threshold", settings.slow_threshold_ms,
                     "A query that takes longer is logged, with who asked for it; 0 logs none.");
  schema.integer("query.concurrency", settings.concurrency,
                 "Queries that run at once; further ones wait, and principals take turns. More than the machine has "
                 "cores never run at once.",
                 1, 100'000);
  schema.integer("query.concurrency_per_principal", settings.concurrency_per_principal,
                 "Of them, how many may be of one principal (a token, a user, loopback); 0 sets no limit.", 0, 100'000);
  schema.bytes("query.cache_bytes", settings.cache_bytes,
               "Memory for answers to range queries, so that of a dashboard that asks again only the new end is "
               "computed; 0 keeps none.");
}

}  // namespace qd::query::running
