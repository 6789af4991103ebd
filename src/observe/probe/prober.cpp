#include "observe/probe/prober.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {
namespace {

constexpr std::size_t kTargetBytesMax = 16 << 10;

base::Status run(const Module& module, Job& job) {
  if (job.target.size() > kTargetBytesMax || job.hostname.size() > kTargetBytesMax) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("a target of more than {} bytes", kTargetBytesMax));
  }
  if (job.hostname.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    return base::fail(base::ErrorCode::kInvalid, "the hostname has control bytes");
  switch (module.prober) {
    case Prober::kHttp:
      return probe_http(module.http, job);
    case Prober::kTcp:
      return probe_tcp(module.tcp, job);
    case Prober::kDns:
      return probe_dns(module.dns, job);
    case Prober::kIcmp:
      return probe_icmp(module.icmp, job);
    case Prober::kGrpc:
      return probe_grpc(module.grpc, job);
  }
  return {};
}

}  // namespace

Outcome probe(const Module& module, const ProbeTarget& target, const base::Clock& clock, std::int64_t deadline_ns,
              const base::CancelToken& cancel, bool with_journal) {
  Outcome outcome;
  Journal journal(clock, with_journal,
                  with_journal ? fmt::format("module={} target={}", module.name, base::quote(target.target)) : "");
  const std::int64_t start_ns = clock.monotonic_ns();
  Job job{.target = target.target,
          .hostname = target.hostname,
          .deadline_ns = deadline_ns,
          .cancel = cancel,
          .clock = clock,
          .samples = outcome.samples,
          .journal = journal};
  journal.info("Beginning probe",
               {{"timeout_seconds", fmt::format("{}", static_cast<double>(deadline_ns - start_ns) / 1e9)}});
  outcome.status = run(module, job);
  const double seconds = job.since(start_ns);
  outcome.samples.set(kSuccess, outcome.status ? 1 : 0);
  outcome.samples.set(kDuration, seconds);
  if (outcome.status) {
    journal.info("Probe succeeded", {{"duration_seconds", fmt::format("{}", seconds)}});
  } else {
    journal.error("Probe failed",
                  {{"duration_seconds", fmt::format("{}", seconds)}, {"err", outcome.status.error().message()}});
  }
  outcome.journal = journal.text();
  return outcome;
}

}  // namespace qd::observe::probe
