// The memcached collector: what one server tells of itself by the text protocol's "stats", under the names of
// memcached_exporter.
//
// A pass sends its four commands at once over a connection that is kept. memcached_up is 0 when the server cannot be
// read, and trouble() says why; an answer that is refused or a number that is none is left out alone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "connect/stream.h"
#include "observe/collector.h"
#include "observe/memcached/stat_table.h"

namespace qd::observe::memcached {

struct Options {
  std::string address = "127.0.0.1:11211";  // "host:port", "[v6]:port", "/path/of.sock"

  bool operator==(const Options&) const = default;
};

class MemcachedCollector final : public Collector {
 public:
  // `clock` outlives it.
  MemcachedCollector(Options options, const base::Clock& clock);
  ~MemcachedCollector() override;

  std::string_view name() const override { return "memcached"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  enum Answer : std::uint8_t { kStats, kSettings, kItems, kSlabs, kAnswers };

  base::Status read(std::int64_t deadline_ns);
  base::Status ask(std::int64_t deadline_ns);
  void tell(Sink& sink);
  void tell_commands(Sink& sink);
  void tell_slab_commands(Sink& sink);
  void tell_lru_hits(Sink& sink);
  void note(base::Error error);

  const Options options_;
  const base::Clock& clock_;
  std::unique_ptr<connect::Stream> stream_;
  std::array<StatTable, kAnswers> answers_;
  std::optional<base::Error> trouble_;
  std::string version_;
};

}  // namespace qd::observe::memcached
