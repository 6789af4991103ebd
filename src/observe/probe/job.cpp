#include "observe/probe/job.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <span>

#include "base/files.h"
#include "base/strings.h"
#include "observe/probe/families.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;

constexpr std::size_t kSecretBytesMax = 64 << 10;
// Go's time.Time{} as seconds since the epoch, which blackbox_exporter shows where no chain was verified.
constexpr double kNever = -62135596800;

std::span<const unsigned char> ip_bytes(const connect::SocketAddress& address) {
  if (address.family() == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6*>(&address.bytes)->sin6_addr;
    return {v6.s6_addr, sizeof(v6.s6_addr)};
  }
  const auto* v4 = &reinterpret_cast<const sockaddr_in*>(&address.bytes)->sin_addr;
  return {reinterpret_cast<const unsigned char*>(v4), sizeof(*v4)};
}

// FNV-1a, 32 bits.
std::uint32_t hash(std::span<const unsigned char> bytes) {
  std::uint32_t h = 2166136261U;
  for (const unsigned char byte : bytes) h = (h ^ byte) * 16777619U;
  return h;
}

}  // namespace

void Journal::say(std::string_view level, std::string_view message, Fields fields) {
  if (!kept_ || lines_ > kLinesMax) return;
  if (lines_++ == kLinesMax) {
    text_ += "there is more\n";
    return;
  }
  std::string line = fmt::format("ts={} {} level={} msg={}", base::format_time(clock_.wall_ms()), context_, level,
                                 base::quote(message));
  for (const auto& [name, value] : fields) {
    const bool plain = !value.empty() && value.find_first_of(" \"=\\\r\n\t") == std::string::npos;
    line += fmt::format(" {}={}", name, plain ? value : base::quote(value));
  }
  if (line.size() > kLineBytesMax) {
    line.resize(kLineBytesMax);
    line += "…";
  }
  text_ += line;
  text_ += '\n';
}

std::string ip_text(const connect::SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.family(), ip_bytes(address).data(), text.data(), text.size());
  return text.data();
}

base::Result<connect::SocketAddress> choose_address(const std::string& host, std::uint16_t port, const IpChoice& ip,
                                                    Job& job, double& lookup_s) {
  job.journal.info("Resolving target address", {{"target", host}, {"ip_protocol", ip.prefer_v6 ? "ip6" : "ip4"}});
  job.samples.set(kIpProtocol, 0);
  job.samples.set(kIpAddrHash, 0);
  const std::int64_t from_ns = job.clock.monotonic_ns();
  const auto addresses = connect::LookUps::of_probes().resolve({.host = host, .port = port, .path = {}}, job.clock,
                                                               job.deadline_ns, &job.cancel);
  lookup_s = job.since(from_ns);
  job.samples.set(kDnsLookupTime, lookup_s);
  if (!addresses) {
    job.journal.error("Resolution failed", {{"target", host}, {"err", addresses.error().message()}});
    return base::fail(addresses.error());
  }
  const int preferred = ip.prefer_v6 ? AF_INET6 : AF_INET;
  const connect::SocketAddress* chosen = nullptr;
  for (const auto& address : *addresses) {
    if (address.family() != AF_INET && address.family() != AF_INET6) continue;
    if (address.family() == preferred) {
      chosen = &address;
      break;
    }
    if (ip.fallback && chosen == nullptr) chosen = &address;
  }
  if (chosen == nullptr) {
    return base::fail(ErrorCode::kUnavailable, fmt::format("{} has no IPv{} address, and ip_protocol_fallback is false",
                                                           host, ip.prefer_v6 ? 6 : 4));
  }
  job.samples.set(kIpProtocol, chosen->family() == AF_INET6 ? 6 : 4);
  job.samples.set(kIpAddrHash, hash(ip_bytes(*chosen)));
  job.journal.info("Resolved target address", {{"target", host}, {"ip", ip_text(*chosen)}});
  return *chosen;
}

void tell_tls(const connect::TlsDetails& tls, bool chain_expiry, Samples& samples) {
  samples.set(kTlsVersion, 1, {{"version", tls.version}});
  if (!tls.cipher.empty()) samples.set(kTlsCipher, 1, {{"cipher", tls.cipher}});
  samples.set(kSslEarliestExpiry, static_cast<double>(tls.earliest_expiry_s.value_or(0)));
  if (chain_expiry) {
    samples.set(kSslChainExpiry, tls.verified_expiry_s ? static_cast<double>(*tls.verified_expiry_s) : kNever);
  }
  if (tls.fingerprint_sha256.empty()) return;
  samples.set(kSslChainInfo, 1,
              {{"fingerprint_sha256", tls.fingerprint_sha256},
               {"issuer", tls.issuer},
               {"serialnumber", tls.serial},
               {"subject", tls.subject},
               {"subjectalternative", tls.dns_names}});
}

base::Result<connect::ServerAddress> split_target(std::string_view target, std::uint16_t usual_port) {
  std::string whole(target);
  if (usual_port != 0) {
    const bool bracketed = target.starts_with('[');
    const auto colon = target.find(':');
    const bool bare_v6 =
        !bracketed && colon != std::string_view::npos && target.find(':', colon + 1) != std::string_view::npos;
    if (bare_v6) {
      whole = fmt::format("[{}]:{}", target, usual_port);
    } else if (bracketed ? target.ends_with(']') : colon == std::string_view::npos) {
      whole = fmt::format("{}:{}", target, usual_port);
    }
  }
  auto server = connect::parse_server_address(whole);
  if (server && server->is_path())
    return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is a path; write \"host:port\"", target));
  return server;
}

base::Result<std::string> read_secret(const std::string& file) {
  base::PosixFiles files;
  QD_ASSIGN(auto text, base::read_file(files, file, kSecretBytesMax));
  return std::string(base::trim(text));
}

}  // namespace qd::observe::probe
