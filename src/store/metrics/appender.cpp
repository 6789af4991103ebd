#include "store/metrics/appender.h"

namespace qd::store::metrics {

bool append_start(Appender& appender, SeriesRef ref, model::TimestampMs start_ms, model::TimestampMs time_ms,
                  const model::Histogram* like) {
  if (start_ms <= 0 || start_ms >= time_ms || !appender.takes_starts() || !appender.is_newest(ref, start_ms))
    return false;
  if (like == nullptr) return appender.append(ref, start_ms, 0.0) == AppendOutcome::kOk;
  model::Histogram zero;
  zero.schema = like->schema;
  zero.is_integer = like->is_integer;
  zero.zero_threshold = like->zero_threshold;
  zero.custom_bounds = like->custom_bounds;
  zero.reset = model::CounterReset::kReset;
  return appender.append(ref, start_ms, zero) == AppendOutcome::kOk;
}

}  // namespace qd::store::metrics
