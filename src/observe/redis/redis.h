// The redis collector: what one Redis, Valkey or KeyDB server, or a Sentinel, tells of itself, under the names of
// redis_exporter.
//
// A pass is INFO ALL, then one more round trip for settings, latencies and the slow log, over a connection that is
// kept. redis_up is 0 when INFO cannot be read; what else cannot be read is left out alone. trouble() says which
// password, right or setting would cure it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "observe/collector.h"
#include "observe/redis/extras.h"
#include "observe/redis/info.h"
#include "observe/redis/options.h"
#include "observe/redis/sentinel.h"
#include "observe/redis/session.h"
#include "observe/redis/streams.h"

namespace qd::observe::redis {

class RedisCollector final : public Collector {
 public:
  // `clock` outlives it.
  RedisCollector(Options options, const base::Clock& clock);
  ~RedisCollector() override;

  std::string_view name() const override { return "redis"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  base::Status read(std::int64_t deadline_ns);
  base::Status open(std::int64_t deadline_ns);
  base::Status read_info(std::int64_t deadline_ns);
  base::Status read_rest(std::int64_t deadline_ns);
  void tell_pass(Sink& sink, bool up, std::int64_t from_ns);

  const Options options_;
  const base::Clock& clock_;
  Session session_;
  Replies replies_;
  std::string info_text_;
  std::string error_text_;
  Info info_;
  Extras extras_;
  Streams streams_;
  Sentinel sentinel_;
  std::optional<base::Error> trouble_;
  double connect_seconds_ = 0;
  double start_s_ = 0;
  double pass_seconds_ = 0;
  double passes_ = 0;
};

}  // namespace qd::observe::redis
