// Probes that others ask for, as blackbox_exporter's /probe has them: each on a thread of its own, so that one that
// hangs delays no other.
//
// Whoever may ask chooses where this machine connects to, which is what a probe is for: the way to ask is a read route,
// open on loopback and authenticated beyond it.
//
// Thread-safe. clock and registry outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "observe/probe/module.h"
#include "observe/probe/prober.h"

namespace qd::observe::probe {

struct ProbeRequest {
  std::string module = "http_2xx";
  ProbeTarget target;
  double timeout_s = 0;  // that the caller has, in seconds; 0: it does not say
  bool debug = false;
};

struct ProbeAnswer {
  Outcome outcome;
  std::string module_text;  // the module as YAML, without secrets
};

class Probes {
 public:
  // At once; more are refused with kLimit.
  static constexpr std::size_t kAtOnceMax = 100;
  // Of a module without a timeout, where the caller has none either.
  static constexpr double kTimeoutSMax = 120;
  // So much before the caller gives up, the answer is on its way.
  static constexpr double kOffsetS = 0.5;

  Probes(const base::Clock& clock, base::Registry& registry);
  // Cancels what runs and waits for it.
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  void set_modules(ModulesPtr modules) QD_EXCLUDES(mutex_);
  ModulesPtr modules() const QD_EXCLUDES(mutex_);

  using Then = std::function<void(base::Result<ProbeAnswer>)>;
  // `then` is called once: here with kInvalid (no target), kNotFound (no such module), kLimit or kCancelled, else on
  // the probe's thread.
  void start(ProbeRequest request, Then then) QD_EXCLUDES(mutex_);
  // Nobody's probe is taken any more; what runs is cancelled and waited for.
  void stop() QD_EXCLUDES(mutex_);

  // Cancelled by stop(); also for what probes beside those that are asked for here.
  const base::CancelToken& cancel_token() const { return cancel_; }

  // How often a module was asked for that there is not.
  std::uint64_t unknown_modules() const { return unknown_.value(); }

 private:
  const base::Clock& clock_;
  base::Counter unknown_;
  base::Counter& refused_;
  base::CancelToken cancel_;
  mutable base::Mutex mutex_;
  base::CondVar idle_;
  ModulesPtr modules_ QD_GUARDED_BY(mutex_);
  std::size_t running_ QD_GUARDED_BY(mutex_) = 0;
  bool stopping_ QD_GUARDED_BY(mutex_) = false;
};

// How long a probe may take, in seconds: of the module (0: it does not say) and the caller the shorter one.
double probe_timeout_s(double module_s, double caller_s);

}  // namespace qd::observe::probe
