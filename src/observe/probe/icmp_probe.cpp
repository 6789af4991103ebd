#include <fmt/format.h>

#include "connect/ping.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {

base::Status probe_icmp(const IcmpModule& module, Job& job) {
  for (const char* phase : {"resolve", "setup", "rtt"}) job.samples.set(kIcmpDuration, 0, {{"phase", phase}});
  std::string host = job.target;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find('\0') != std::string::npos)
    return base::fail(base::ErrorCode::kInvalid, fmt::format("{:?} is no host to ping", job.target));
  double lookup_s = 0;
  const auto address = choose_address(host, 0, module.ip, job, lookup_s);
  job.samples.set(kIcmpDuration, lookup_s, {{"phase", "resolve"}});
  if (!address) return base::fail(address.error());

  connect::PingTimes times;
  job.journal.info("Sending echo request", {{"ip", ip_text(*address)}});
  const auto done = connect::ping({.to = *address,
                                   .shown = job.target,
                                   .source_ip = module.source_ip,
                                   .payload_bytes = module.payload_bytes,
                                   .hops_max = module.ttl,
                                   .dont_fragment = module.dont_fragment},
                                  job.clock, job.deadline_ns, job.cancel, times);
  job.samples.set(kIcmpDuration, times.setup_s, {{"phase", "setup"}});
  job.samples.set(kIcmpDuration, times.rtt_s, {{"phase", "rtt"}});
  if (!done) {
    job.journal.error("No reply", {{"err", done.error().message()}});
    return done;
  }
  if (times.reply_hops_left >= 0) job.samples.set(kIcmpHopLimit, times.reply_hops_left);
  job.journal.info("Found matching reply packet");
  return {};
}

}  // namespace qd::observe::probe
