#include "observe/probe/probe_collector.h"

#include <algorithm>
#include <utility>

#include "observe/probe/families.h"
#include "observe/probe/prober.h"

namespace qd::observe::probe {

TargetCollector::TargetCollector(TargetOptions options, const base::Clock& clock, base::CancelToken cancel)
    : options_(std::move(options)), clock_(clock), cancel_(std::move(cancel)) {}

base::Status TargetCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  trouble_.reset();
  const std::int64_t own_ms = options_.timeout_ms > 0 ? options_.timeout_ms : options_.module.timeout_ms;
  if (own_ms > 0) deadline_ns = std::min(deadline_ns, clock_.monotonic_ns() + own_ms * 1'000'000);
  Outcome outcome =
      probe(options_.module, {.target = options_.target, .hostname = {}}, clock_, deadline_ns, cancel_, false);
  outcome.samples.tell(sink);
  if (!outcome.status) trouble_ = outcome.status.error();
  return {};
}

SelfCollector::SelfCollector(const Probes& probes, std::function<ReloadState()> state)
    : probes_(probes), state_(std::move(state)) {}

base::Status SelfCollector::collect(std::int64_t, Sink& sink) {
  const ReloadState state = state_();
  const auto tell = [&sink](const FamilyInfo& family, double value) {
    sink.family(family.name, family.type, family.help);
    sink.sample(value);
  };
  tell(kReloadTime, state.time_s);
  tell(kReloadSuccessful, state.succeeded ? 1 : 0);
  tell(kModuleUnknown, static_cast<double>(probes_.unknown_modules()));
  return {};
}

}  // namespace qd::observe::probe
