// /probe as blackbox_exporter has it: one probe for whoever asks, in the answer as metrics.
//
// Parameters: target, module (http_2xx when it is not given), hostname, debug=true (text with what happened). The
// header X-Prometheus-Scrape-Timeout-Seconds bounds the probe. A probe that fails is an answer, with probe_success 0;
// 400 for a missing target or a module that there is not, 503 when too many run.
//
// Whoever may read may have this machine connect anywhere, as with the exporter: loopback is open, and beyond it there
// is authentication (serve/auth.h).
#pragma once

#include "observe/probe/probes.h"
#include "serve/router.h"

namespace qd::serve::prometheus {

void send_probe(Call call, observe::probe::Probes& probes);

}  // namespace qd::serve::prometheus
