// POST /api/v1/write: takes what Prometheus, agents and other Quarterdecks send by remote write 1.0 and 2.0.
//
// - 204: all samples are stored, or were there already with the same value.
// - 400: some cannot be stored (another value at that time, older than the retention, too far ahead, a bad series or
//   histogram, the series limit); the answer says how many and the first. The others are stored.
// - 400: no Snappy, or no such message. Here and below nothing is stored.
// - 413: unpacked it is larger than kUnpackedBytesMax, or its labels are once all are spelled out.
// - 415: another coding or message.
// - 503: the log cannot be written, or too much work waits. The sender tries again.
//
// Samples are taken in any order and of any age within the retention, histograms in order. An exemplar that is not
// taken, being old or broken, is counted and no reason to refuse anything.
// X-Prometheus-Remote-Write-{Samples,Histograms,Exemplars}-Written say how many are stored, to senders of 1.0 too.
// Senders drop what gets a 4xx and send again, in order, what gets a 5xx. What may pass by
// itself and soon is a 5xx. A 4xx is also what time or an operator could mend, the series limit and samples too far
// ahead: sent again until then they would hold up everything behind them, of other series too. Sources: Prometheus
// Remote-Write 1.0 and 2.0 specifications.
#pragma once

#include <cstddef>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "serve/router.h"
#include "store/metrics/appender.h"

namespace qd::serve::prometheus {

inline constexpr std::size_t kUnpackedBytesMax = 32 << 20;

// Everything outlives the router.
void add_write_route(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                     base::Registry& registry);

}  // namespace qd::serve::prometheus
