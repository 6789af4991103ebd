// Questions to a name server of the caller's choice, over UDP, TCP or TLS, and its answers as they are.
//
// This is for looking at name servers; names that are to be connected to are looked up with connect/resolve.h.
//
// Source: RFC 1035 (messages, TCP framing), 7858 (TLS), 3597 (unknown types as text).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/resolve.h"
#include "connect/stream.h"
#include "connect/tls_details.h"

namespace qd::connect {

struct DnsQuestion {
  std::string name;         // "example.com", with or without the last dot; "." for the root
  std::uint16_t type = 1;   // A
  std::uint16_t klass = 1;  // IN
  bool recursion_desired = true;
};

struct DnsRecord {
  std::string text;  // as zone files have it, separated by tabs: "example.com.\t300\tIN\tA\t192.0.2.1"
  std::uint16_t type = 0;
  std::optional<std::uint32_t> serial;  // of SOA
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool is_answer = false;
  bool truncated = false;
  int rcode = 0;
  std::vector<DnsRecord> answers;
  std::vector<DnsRecord> authorities;
  std::vector<DnsRecord> additionals;
};

// Records of a message that are read; a message with more is kCorrupt.
inline constexpr std::size_t kDnsRecordsMax = 4096;

// "SOA" and "IN"; nothing for others.
std::optional<std::uint16_t> dns_type(std::string_view name);
std::optional<std::uint16_t> dns_class(std::string_view name);
// "NXDOMAIN".
std::string dns_rcode_text(int rcode);
std::optional<int> dns_rcode(std::string_view name);

// kInvalid when the name cannot be one.
base::Result<std::string> encode_dns_question(std::uint16_t id, const DnsQuestion& question);
// kCorrupt with what is wrong.
base::Result<DnsMessage> decode_dns_message(std::string_view bytes);

enum class DnsTransport : std::uint8_t { kUdp, kTcp };

struct DnsServer {
  std::string address;  // "host:port", for errors
  SocketAddress to;
  DnsTransport transport = DnsTransport::kUdp;
  TlsOptions tls = {};  // over TCP, where `enabled`
  std::string source_ip = {};
};

// Filled as far as the call came.
struct DnsTimes {
  double connect_s = 0;  // with TLS
  double request_s = 0;
  std::optional<TlsDetails> tls;
};

// Asks once and waits until the deadline at most. A truncated answer is an answer. kTimeout, kUnavailable (nobody
// listens), kCorrupt, kPermission (TLS), kInvalid, kCancelled.
base::Result<DnsMessage> ask_dns(const DnsServer& server, const DnsQuestion& question, const base::Clock& clock,
                                 std::int64_t deadline_ns, const base::CancelToken& cancel, DnsTimes& times);

}  // namespace qd::connect
