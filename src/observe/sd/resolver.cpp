#include "observe/sd/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <random>
#include <utility>

#include "base/strings.h"
#include "connect/dns.h"
#include "connect/resolve.h"

namespace qd::observe::sd {

using base::ErrorCode;
using connect::DnsMessage;

namespace {

// What resolv.conf(5) gives each server by default.
constexpr std::int64_t kAnswerMs = 5'000;
constexpr std::size_t kServersMax = 8;
constexpr std::size_t kSearchMax = 16;
constexpr int kNameNotThere = 3;  // NXDOMAIN

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty()) return out;
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

// The names to ask for, in order, as the C library tries them.
std::vector<std::string> candidates(const NameServers& servers, const std::string& name) {
  if (name.ends_with('.')) return {name};
  const auto dots = std::ranges::count(name, '.');
  std::vector<std::string> out;
  if (dots >= servers.ndots) out.push_back(name + ".");
  for (const std::string& domain : servers.search)
    out.push_back(name + "." + domain + (domain.ends_with('.') ? "" : "."));
  if (dots < servers.ndots) out.push_back(name + ".");
  return out;
}

base::Result<DnsMessage> ask(const std::string& address, const std::string& name, std::uint16_t type,
                             const base::Clock& clock, const base::CancelToken& cancel) {
  const std::int64_t deadline_ns = clock.monotonic_ns() + kAnswerMs * 1'000'000;
  QD_ASSIGN(const auto parsed, connect::parse_server_address(address));
  QD_ASSIGN(const auto addresses, connect::resolve(parsed, clock, deadline_ns, &cancel));
  connect::DnsServer server{.address = address, .to = addresses.front()};
  const connect::DnsQuestion question{.name = name, .type = type};
  connect::DnsTimes times;
  auto answer = connect::ask_dns(server, question, clock, deadline_ns, cancel, times);
  if (!answer || !answer->truncated) return answer;
  server.transport = connect::DnsTransport::kTcp;
  return connect::ask_dns(server, question, clock, deadline_ns, cancel, times);
}

std::vector<NameRecord> records_of(const DnsMessage& message, std::uint16_t type) {
  std::vector<NameRecord> out;
  for (const auto& record : message.answers) {
    if (record.type != type) continue;
    // Name, time to live, class, type, and then the data.
    const auto columns = base::split(record.text, '\t');
    if (columns.size() < 5) continue;
    NameRecord& one = out.emplace_back();
    one.type = type;
    for (const std::string_view field : words(columns[4])) one.fields.emplace_back(field);
  }
  return out;
}

}  // namespace

NameServers parse_resolv_conf(std::string_view text) {
  NameServers out;
  for (const std::string_view line : base::split(text, '\n')) {
    const auto parts = words(line);
    if (parts.size() < 2 || parts.front().front() == '#' || parts.front().front() == ';') continue;
    if (parts[0] == "nameserver" && out.addresses.size() < kServersMax) {
      const bool v6 = parts[1].find(':') != std::string_view::npos;
      out.addresses.push_back(v6 ? fmt::format("[{}]:53", parts[1]) : fmt::format("{}:53", parts[1]));
    }
    if (parts[0] == "search" || parts[0] == "domain") {
      out.search.clear();
      for (std::size_t i = 1; i < parts.size() && i <= kSearchMax; ++i) out.search.emplace_back(parts[i]);
    }
    for (const std::string_view option : parts) {
      if (parts[0] != "options" || !option.starts_with("ndots:")) continue;
      int dots = 1;
      std::from_chars(option.data() + 6, option.data() + option.size(), dots);
      out.ndots = std::clamp(dots, 0, 15);
    }
  }
  if (out.addresses.empty()) out.addresses.emplace_back("127.0.0.1:53");
  return out;
}

base::Result<std::vector<NameRecord>> look_up(const NameServers& servers, const std::string& name, std::uint16_t type,
                                              const base::Clock& clock, const base::CancelToken& cancel) {
  std::optional<base::Error> error;
  bool answered = false;
  for (const std::string& candidate : candidates(servers, name)) {
    for (const std::string& address : servers.addresses) {
      auto answer = ask(address, candidate, type, clock, cancel);
      if (!answer) {
        error = answer.error();
        if (cancel.cancelled()) return base::fail(error->within("looking up " + name));
        continue;
      }
      if (answer->rcode != 0 && answer->rcode != kNameNotThere) {
        error = base::Error(ErrorCode::kUnavailable, fmt::format("the name server {} answered {} for {}", address,
                                                                 connect::dns_rcode_text(answer->rcode), candidate));
        continue;
      }
      answered = true;
      if (auto records = records_of(*answer, type); !records.empty()) return records;
      break;  // this name is not there: the next one
    }
  }
  if (answered || !error) return std::vector<NameRecord>();
  return base::fail(error->within("looking up " + name));
}

}  // namespace qd::observe::sd
