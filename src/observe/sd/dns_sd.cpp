#include "observe/sd/dns_sd.h"

#include <fstream>
#include <optional>
#include <utility>

namespace qd::observe::sd {

namespace {

constexpr std::size_t kResolvConfBytesMax = 64 << 10;

std::uint16_t type_of(const std::string& type) {
  if (type == "A") return kTypeA;
  if (type == "AAAA") return kTypeAaaa;
  if (type == "MX") return kTypeMx;
  if (type == "NS") return kTypeNs;
  return kTypeSrv;
}

NameServers of_this_machine() {
  std::ifstream in("/etc/resolv.conf", std::ios::binary);
  std::string text(kResolvConfBytesMax, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return parse_resolv_conf(text);
}

std::string_view without_dot(std::string_view name) {
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  return name;
}

// One record as a target; nothing for one that is cut.
std::optional<model::LabelSet> target_of(const NameRecord& record, const std::string& name, std::uint16_t port) {
  const auto& fields = record.fields;
  const std::string port_text = std::to_string(port);
  switch (record.type) {
    case kTypeA:
    case kTypeAaaa:
      if (fields.empty()) return std::nullopt;
      return model::LabelSet{{"__address__", host_port(fields[0], port_text)}, {"__meta_dns_name", name}};
    case kTypeSrv:
      if (fields.size() < 4) return std::nullopt;
      return model::LabelSet{{"__address__", host_port(without_dot(fields[3]), fields[2])},
                             {"__meta_dns_name", name},
                             {"__meta_dns_srv_record_port", fields[2]},
                             {"__meta_dns_srv_record_target", fields[3]}};
    case kTypeMx:
      if (fields.size() < 2) return std::nullopt;
      return model::LabelSet{{"__address__", host_port(without_dot(fields[1]), port_text)},
                             {"__meta_dns_mx_record_target", fields[1]},
                             {"__meta_dns_name", name}};
    case kTypeNs:
      if (fields.empty()) return std::nullopt;
      return model::LabelSet{{"__address__", host_port(without_dot(fields[0]), port_text)},
                             {"__meta_dns_name", name},
                             {"__meta_dns_ns_record_target", fields[0]}};
    default:
      return std::nullopt;
  }
}

}  // namespace

DnsDiscovery::DnsDiscovery(const DnsSdConfig& config, const Surroundings& surroundings)
    : config_(config),
      clock_(surroundings.scheduler.clock()),
      name_servers_(surroundings.name_servers),
      cancel_(surroundings.cancel),
      lookups_(surroundings.registry.counter("prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.")),
      failures_(surroundings.registry.counter("prometheus_sd_dns_lookup_failures_total",
                                              "The number of DNS-SD lookup failures.")) {}

base::Result<TargetGroups> DnsDiscovery::look() {
  const NameServers servers = name_servers_.addresses.empty() ? of_this_machine() : name_servers_;
  std::optional<base::Error> error;
  for (const std::string& name : config_.names) {
    lookups_.add();
    const auto records = look_up(servers, name, type_of(config_.type), clock_, cancel_);
    if (!records) {
      failures_.add();
      error = records.error();
      continue;
    }
    TargetGroup group{.source = name, .targets = {}, .labels = {}};
    for (const NameRecord& record : *records) {
      if (auto target = target_of(record, name, config_.port)) group.targets.push_back(std::move(*target));
    }
    known_[name] = std::move(group);
  }
  if (error && known_.empty()) return base::fail(std::move(*error));
  TargetGroups all;
  for (const auto& [name, group] : known_) all.push_back(group);
  return all;
}

}  // namespace qd::observe::sd
