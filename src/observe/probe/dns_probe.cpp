#include <fmt/format.h>

#include <algorithm>

#include "connect/dns.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;

constexpr std::uint16_t kSoa = 6;

// Empty when the records of a section are as they have to be.
std::string judge(const RecordRules& rules, const std::vector<connect::DnsRecord>& records, std::string_view section) {
  const auto any = [&](const std::vector<Pattern>& patterns, const connect::DnsRecord& record) -> const Pattern* {
    for (const auto& pattern : patterns)
      if (pattern.matches(record.text)) return &pattern;
    return nullptr;
  };
  for (const auto& record : records)
    if (const auto* pattern = any(rules.fail_if_matches, record))
      return fmt::format("the {} {:?} matches {:?}", section, record.text, pattern->text());
  for (const auto& record : records) {
    for (const auto& pattern : rules.fail_if_not_matches)
      if (!pattern.matches(record.text))
        return fmt::format("the {} {:?} does not match {:?}", section, record.text, pattern.text());
  }
  if (!rules.fail_if_all_match.empty() && !records.empty() &&
      std::ranges::all_of(records, [&](const auto& record) { return any(rules.fail_if_all_match, record) != nullptr; }))
    return fmt::format("every {} matches", section);
  if (!rules.fail_if_none_matches.empty() && !records.empty() && std::ranges::none_of(records, [&](const auto& record) {
        return any(rules.fail_if_none_matches, record) != nullptr;
      }))
    return fmt::format("no {} matches", section);
  return {};
}

}  // namespace

base::Status probe_dns(const DnsModule& module, Job& job) {
  for (const char* phase : {"resolve", "connect", "request"}) job.samples.set(kDnsDuration, 0, {{"phase", phase}});
  for (const auto* family : {&kDnsAnswers, &kDnsAuthorities, &kDnsAdditionals, &kDnsSucceeded})
    job.samples.set(*family, 0);
  QD_ASSIGN(const auto server, split_target(job.target, module.tls.enabled ? 853 : 53));
  double lookup_s = 0;
  const auto address = choose_address(server.host, server.port, module.ip, job, lookup_s);
  job.samples.set(kDnsDuration, lookup_s, {{"phase", "resolve"}});
  if (!address) return base::fail(address.error());

  const bool v6 = server.host.find(':') != std::string::npos;
  connect::DnsServer asked{
      .address = v6 ? fmt::format("[{}]:{}", server.host, server.port) : fmt::format("{}:{}", server.host, server.port),
      .to = *address,
      .transport = module.transport,
      .tls = module.tls,
      .source_ip = module.source_ip};
  if (asked.tls.server_name.empty()) asked.tls.server_name = job.hostname;
  const connect::DnsQuestion question{.name = module.query_name,
                                      .type = module.query_type,
                                      .klass = module.query_class,
                                      .recursion_desired = module.recursion_desired};
  job.journal.info("Making DNS query", {{"target", asked.address}, {"query", module.query_name}});
  connect::DnsTimes times;
  const auto answer = connect::ask_dns(asked, question, job.clock, job.deadline_ns, job.cancel, times);
  job.samples.set(kDnsDuration, times.connect_s, {{"phase", "connect"}});
  job.samples.set(kDnsDuration, times.request_s, {{"phase", "request"}});
  if (times.tls) tell_tls(*times.tls, true, job.samples);
  if (!answer) {
    job.journal.error("Error while sending a DNS query", {{"err", answer.error().message()}});
    return base::fail(answer.error());
  }
  job.journal.info("Got response", {{"rcode", connect::dns_rcode_text(answer->rcode)}});
  job.samples.set(kDnsAnswers, static_cast<double>(answer->answers.size()));
  job.samples.set(kDnsAuthorities, static_cast<double>(answer->authorities.size()));
  job.samples.set(kDnsAdditionals, static_cast<double>(answer->additionals.size()));
  job.samples.set(kDnsSucceeded, 1);
  if (module.query_type == kSoa) {
    double serial = 0;
    for (const auto& record : answer->answers)
      if (record.serial) serial = *record.serial;
    job.samples.set(kDnsSerial, serial);
  }
  for (const auto& record : answer->answers) job.journal.info("Answer", {{"rr", record.text}});
  const auto failed = [&](std::string what) -> base::Status {
    job.journal.error(what);
    return base::fail(ErrorCode::kUnavailable, fmt::format("{}: {}", asked.address, what));
  };
  const auto& codes = module.valid_rcodes;
  if (codes.empty() ? answer->rcode != 0 : std::ranges::find(codes, answer->rcode) == codes.end()) {
    return failed(fmt::format("the response code for {:?} is {}, which valid_rcodes does not allow", module.query_name,
                              connect::dns_rcode_text(answer->rcode)));
  }
  for (const auto& [rules, records, section] :
       {std::tuple(&module.answer, &answer->answers, "answer"),
        std::tuple(&module.authority, &answer->authorities, "authority record"),
        std::tuple(&module.additional, &answer->additionals, "additional record")}) {
    if (auto why = judge(*rules, *records, section); !why.empty()) return failed(std::move(why));
  }
  return {};
}

}  // namespace qd::observe::probe
