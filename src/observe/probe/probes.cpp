#include "observe/probe/probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "observe/probe/modules_file.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;

base::Result<ProbeAnswer> answer(const Module& module, const ProbeRequest& request, const base::Clock& clock,
                                 const base::CancelToken& cancel) {
  try {
    const double timeout_s = probe_timeout_s(static_cast<double>(module.timeout_ms) / 1e3, request.timeout_s);
    const std::int64_t deadline_ns = clock.monotonic_ns() + static_cast<std::int64_t>(timeout_s * 1e9);
    return ProbeAnswer{.outcome = probe(module, request.target, clock, deadline_ns, cancel, request.debug),
                       .module_text = module.shown};
  } catch (const std::exception& e) {
    return base::fail(ErrorCode::kInternal, fmt::format("probing {}: {}", request.target.target, e.what()));
  }
}

}  // namespace

double probe_timeout_s(double module_s, double caller_s) {
  if (caller_s <= 0) caller_s = Probes::kTimeoutSMax;
  const double most_s = std::min(caller_s, Probes::kTimeoutSMax) - Probes::kOffsetS;
  if (module_s > 0 && (module_s < most_s || most_s < 0)) return module_s;
  // A caller with less than the offset is given what it has.
  return most_s > 0 ? most_s : caller_s;
}

Probes::Probes(const base::Clock& clock, base::Registry& registry)
    : clock_(clock),
      refused_(registry.counter("quarterdeck_probes_refused_total",
                                "Probes that were asked for while too many ran, and not made.")),
      modules_(default_modules()) {}

Probes::~Probes() {
  stop();
}

void Probes::set_modules(ModulesPtr modules) {
  const base::MutexLock lock(mutex_);
  modules_ = std::move(modules);
}

ModulesPtr Probes::modules() const {
  const base::MutexLock lock(mutex_);
  return modules_;
}

void Probes::start(ProbeRequest request, Then then) {
  const auto all = modules();
  const auto module = all->find(request.module);
  if (module == all->end()) {
    unknown_.add();
    return then(base::fail(ErrorCode::kNotFound, fmt::format("Unknown module {:?}", request.module)));
  }
  if (request.target.target.empty()) return then(base::fail(ErrorCode::kInvalid, "Target parameter is missing"));
  std::optional<base::Error> error;
  {
    const base::MutexLock lock(mutex_);
    if (stopping_) {
      error.emplace(ErrorCode::kCancelled, "probing: Quarterdeck is stopping");
    } else if (running_ >= kAtOnceMax) {
      error.emplace(ErrorCode::kLimit, fmt::format("{} probes run already; ask again", kAtOnceMax));
    } else {
      ++running_;
    }
  }
  if (error) {
    if (error->code() == ErrorCode::kLimit) refused_.add();
    return then(std::unexpected(std::move(*error)));
  }
  const auto done = [this] {
    const base::MutexLock lock(mutex_);
    --running_;
    idle_.notify_all();
  };
  auto shared = std::make_shared<Then>(std::move(then));
  try {
    std::thread([this, all, module = &module->second, request = std::move(request), shared, done]() mutable {
      try {
        (*shared)(answer(*module, request, clock_, cancel_));
      } catch (const std::exception&) {
        // No memory to answer with: letting go of `then` is all that is left, and tells whoever it is for.
      }
      // Nothing of the caller's lives longer than stop() waits.
      shared.reset();
      done();
    }).detach();
  } catch (const std::exception& e) {
    refused_.add();
    done();
    (*shared)(base::fail(ErrorCode::kLimit, fmt::format("no thread for the probe: {}", e.what())));
  }
}

void Probes::stop() {
  cancel_.cancel();
  const base::MutexLock lock(mutex_);
  stopping_ = true;
  while (running_ > 0) idle_.wait(mutex_);
}

}  // namespace qd::observe::probe
