// POST /api/v1/write: takes what Prometheus, agents and other Quarterdecks send by remote write 1.0.
//
// | what | answer |
// |---|---|
// | all samples are stored, or were already there with the same value | 204 |
// | some cannot be: out of order, another value at that time, before what is sealed, too far ahead, a bad series, the
// series limit, a native histogram | the others are stored; 400, with how many and the first | | no Snappy, no such
// message | 400; nothing is stored | | unpacked it is larger than kUnpackedBytesMax | 413; nothing is stored | |
// another coding or message, such as that of remote write 2.0 | 415; nothing is stored | | the log cannot be written |
// 503; nothing is stored, and the sender tries again |
//
// Exemplars are passed over. X-Prometheus-Remote-Write-Samples-Written says how many samples are stored. Senders drop what gets a 4xx and send again what gets a 5xx: so a 4xx tells of nothing
// that would be stored another time. Source: Prometheus Remote-Write 1.0 specification.
#pragma once

#include <cstddef>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "serve/router.h"
#include "store/metrics/appender.h"
#include "store/metrics/querier.h"

namespace qd::serve::prometheus {

inline constexpr std::size_t kUnpackedBytesMax = 32 << 20;

// Everything outlives the router. `querier` reads what `store` holds.
void add_write_route(Router& router, store::metrics::Appendable& store, const store::metrics::Querier& querier,
                     const base::Clock& clock, base::Log& log, base::Registry& registry);

}  // namespace qd::serve::prometheus
