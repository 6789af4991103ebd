#include "observe/discovery/probes.h"

namespace qd::observe::discovery {

std::string Probes::kind(const Key& key) const {
  base::MutexLock lock(mutex_);
  const auto found = ports_.find(key);
  return found == ports_.end() ? std::string() : found->second.kind;
}

void Probes::want(const Key& key, const std::string& address, std::int64_t at_ns) {
  base::MutexLock lock(mutex_);
  if (ports_.size() >= kPortsMax && !ports_.contains(key)) return;
  const auto [port, is_new] = ports_.try_emplace(key);
  port->second.address = address;
  if (!is_new) return;
  port->second.at_ns = at_ns;
  due_.emplace(at_ns, key);
}

void Probes::keep(const std::set<std::string>& containers) {
  base::MutexLock lock(mutex_);
  for (auto port = ports_.begin(); port != ports_.end();) {
    if (containers.contains(port->first.first)) {
      ++port;
    } else {
      due_.erase({port->second.at_ns, port->first});
      port = ports_.erase(port);
    }
  }
}

std::optional<Probes::Due> Probes::due(std::int64_t now_ns) const {
  base::MutexLock lock(mutex_);
  if (due_.empty() || due_.begin()->first > now_ns) return std::nullopt;
  const Key& key = due_.begin()->second;
  return Due{key, ports_.at(key).address};
}

std::optional<std::int64_t> Probes::next_ns() const {
  base::MutexLock lock(mutex_);
  return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

bool Probes::done(const Key& key, const Probed& probed, std::int64_t now_ns) {
  base::MutexLock lock(mutex_);
  const auto found = ports_.find(key);
  if (found == ports_.end()) return false;
  Port& port = found->second;
  due_.erase({port.at_ns, key});
  port.kind = probed.kind;
  if (!probed.connected && ++port.tries < kTriesMax) {
    std::int64_t wait_ms = kRetryMs;
    for (int i = 1; i < port.tries; ++i) wait_ms *= 6;
    port.at_ns = now_ns + wait_ms * 1'000'000;
    due_.emplace(port.at_ns, key);
  }
  return !port.kind.empty();
}

}  // namespace qd::observe::discovery
