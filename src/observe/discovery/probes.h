// Which unknown ports of containers were asked what they are, and what they said. Thread-safe.
//
// A port is asked once. One that nobody listens at yet is tried kTriesMax times, further and further apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "observe/discovery/probe.h"

namespace qd::observe::discovery {

class Probes {
 public:
  static constexpr int kTriesMax = 4;
  static constexpr std::int64_t kRetryMs = 10'000;  // then six times as much, each time
  static constexpr std::size_t kPortsMax = 50'000;

  using Key = std::pair<std::string, std::uint16_t>;  // container, port
  struct Due {
    Key key;
    std::string address;
  };

  // What is known of it: empty for nothing (yet).
  std::string kind(const Key& key) const QD_EXCLUDES(mutex_);
  // Asks for a probe at `at_ns` unless there was one; a new address of the same port is taken over.
  void want(const Key& key, const std::string& address, std::int64_t at_ns) QD_EXCLUDES(mutex_);
  // Forgets the ports of all other containers.
  void keep(const std::set<std::string>& containers) QD_EXCLUDES(mutex_);

  std::optional<Due> due(std::int64_t now_ns) const QD_EXCLUDES(mutex_);
  std::optional<std::int64_t> next_ns() const QD_EXCLUDES(mutex_);
  // True when it was recognised.
  bool done(const Key& key, const Probed& probed, std::int64_t now_ns) QD_EXCLUDES(mutex_);

 private:
  struct Port {
    std::string address;
    std::int64_t at_ns = 0;
    int tries = 0;
    std::string kind;
  };
  mutable base::Mutex mutex_;
  std::map<Key, Port> ports_ QD_GUARDED_BY(mutex_);
  std::set<std::pair<std::int64_t, Key>> due_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::observe::discovery
