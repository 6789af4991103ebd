// InfluxDB's way in: what Telegraf and InfluxDB's clients write by line protocol.
//
// - POST /write, /influx/write, /api/v2/write and /influx/api/v2/write: 204 when every line is stored; 400 with the
// lines
//   that are not, by number, while the others are; 413 larger than kBodyBytesMax unpacked; 503 when the log cannot be
//   written.
// - GET and HEAD /ping and /health, and with /influx before them: there is somebody.
// - GET and POST /influx/query: what Telegraf asks before it writes (CREATE DATABASE, SHOW DATABASES); nothing is read.
//
// A field becomes the series measurement_field with the tags as labels; the parameter `db` becomes a label of that name
// where the line has none, as VictoriaMetrics has it. Sources: InfluxDB 1.8 and 2 HTTP API references; VictoriaMetrics
// documentation, "InfluxDB".
#pragma once

#include <cstddef>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "serve/router.h"
#include "store/metrics/appender.h"

namespace qd::serve::influx {

inline constexpr std::size_t kBodyBytesMax = 32 << 20;
inline constexpr std::size_t kToldLinesMax = 10;  // that are wrong, of one request

// Everything outlives the router.
void add_routes(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                base::Registry& registry);

}  // namespace qd::serve::influx
