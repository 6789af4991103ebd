// The collector blackbox: probes that Quarterdeck makes by itself, and what the exporter that it replaces tells of
// itself.
//
// The page of its name tells of the program alone, as the exporter's own does; a target is told to who asks for it.
//
// A target is an instance, and its module the label `module`, which the runner gives it. One that fails is told as such
// (probe_success 0); trouble() says why.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "observe/collector.h"
#include "observe/probe/module.h"
#include "observe/probe/probes.h"

namespace qd::observe::probe {

struct TargetOptions {
  std::string target;
  std::string module_name = "http_2xx";
  std::string name;  // for people; the target and its module when empty
  std::int64_t interval_ms = 15'000;
  std::int64_t timeout_ms = 0;  // 0: the module's, or 10 s, or the interval where that is shorter
  Module module;                // once the modules are known
  bool operator==(const TargetOptions&) const = default;
};

class TargetCollector final : public Collector {
 public:
  // `clock` outlives it. `cancel` ends a probe that runs, and every later one at once.
  TargetCollector(TargetOptions options, const base::Clock& clock, base::CancelToken cancel);

  std::string_view name() const override { return "blackbox"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  const TargetOptions options_;
  const base::Clock& clock_;
  const base::CancelToken cancel_;
  std::optional<base::Error> trouble_;
};

// How the configuration was read last.
struct ReloadState {
  bool succeeded = true;
  double time_s = 0;  // of the last time that it did, seconds since the epoch
};

class SelfCollector final : public Collector {
 public:
  // `probes` outlives it; `state` may be called from any thread.
  SelfCollector(const Probes& probes, std::function<ReloadState()> state);

  std::string_view name() const override { return "blackbox"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;

 private:
  const Probes& probes_;
  std::function<ReloadState()> state_;
};

}  // namespace qd::observe::probe
