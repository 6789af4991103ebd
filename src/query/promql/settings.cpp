#include "query/promql/settings.h"

namespace qd::query::promql {

namespace {

// A count in the configuration is a signed number; this one follows it into its field.
template <typename T>
void count(model::config::Schema& schema, std::string_view path, T& target, std::string_view help) {
  auto value = std::make_shared<std::int64_t>(static_cast<std::int64_t>(target));
  schema.integer(path, *value, help, 1, 1'000'000'000'000);
  schema.check(path, [value, &target]() -> base::Status {
    target = static_cast<T>(*value);
    return {};
  });
}

}  // namespace

void declare(model::config::Schema& schema, QueryOptions& options) {
  schema.section("query", "What one query may do.");
  schema.duration_ms("query.timeout", options.timeout_ms, "How long a query may run.", 1, 24LL * 60 * 60 * 1000);
  schema.duration_ms("query.lookback", options.lookback_ms,
                     "How old the newest sample of a series may be to still be its value.", 1);
  count(schema, "query.samples_limit", options.samples_limit, "Samples that a query may hold in memory at once.");
  count(schema, "query.series_limit", options.series_limit, "Series that one selector may find.");
  schema.bytes("query.memory_limit", options.memory_limit_bytes,
               "Bytes of samples and labels that a query may hold at once.", 1);
  schema.flag("query.experimental", options.experimental, "Functions and syntax that Prometheus calls experimental.");
  schema.flag("query.delayed_name_removal", options.delayed_name_removal,
              "Metric names are dropped at the end of a query, not function by function.");
}

}  // namespace qd::query::promql
