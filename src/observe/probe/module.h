// How something is probed: the modules of blackbox_exporter, as values.
//
// Source: blackbox_exporter, CONFIGURATION.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "connect/dns.h"
#include "connect/stream.h"
#include "observe/probe/pattern.h"

namespace qd::observe::probe {

// Which of a host's addresses is taken.
struct IpChoice {
  bool prefer_v6 = true;
  bool fallback = true;  // to the other protocol, where the host has none of the preferred one
  bool operator==(const IpChoice&) const = default;
};

struct HeaderMatch {
  std::string header;
  Pattern regexp;
  bool allow_missing = false;
  bool operator==(const HeaderMatch&) const = default;
};

struct HttpBasicAuth {
  std::string username;
  std::string password;
  std::string password_file;  // read at each probe
  bool operator==(const HttpBasicAuth&) const = default;
};

struct HttpModule {
  std::vector<int> valid_status_codes;           // empty: 200 to 299
  std::vector<std::string> valid_http_versions;  // "HTTP/1.1", "HTTP/2.0"; empty: all
  IpChoice ip;
  bool follow_redirects = true;
  bool fail_if_ssl = false;
  bool fail_if_not_ssl = false;
  std::string method = "GET";
  std::map<std::string, std::string> headers;
  std::string body;
  std::string body_file;  // read at each probe
  std::vector<Pattern> fail_if_body_matches;
  std::vector<Pattern> fail_if_body_not_matches;
  std::vector<HeaderMatch> fail_if_header_matches;
  std::vector<HeaderMatch> fail_if_header_not_matches;
  connect::TlsOptions tls;
  std::optional<HttpBasicAuth> basic_auth;
  std::string authorization_type;  // "Bearer"; empty: no authorization
  std::string authorization;
  std::string authorization_file;  // read at each probe
  std::string proxy_url;
  std::string no_proxy;
  bool skip_resolve_with_proxy = false;
  bool http2 = true;
  std::string compression;           // gzip, deflate, br, identity; empty: none is asked for or undone
  std::uint64_t body_bytes_max = 0;  // 0: none but the deadline
  bool operator==(const HttpModule&) const = default;
};

struct QueryResponse {
  Pattern expect;
  std::vector<std::pair<std::string, std::string>> labels;  // of probe_expect_info, with groups of `expect`
  std::string send;
  bool start_tls = false;
  bool operator==(const QueryResponse&) const = default;
};

struct TcpModule {
  IpChoice ip;
  std::string source_ip;
  std::vector<QueryResponse> dialogue;
  connect::TlsOptions tls;  // `enabled` from the first byte on
  bool operator==(const TcpModule&) const = default;
};

// What the records of a section of a DNS answer have to look like.
struct RecordRules {
  std::vector<Pattern> fail_if_matches;       // one of them
  std::vector<Pattern> fail_if_all_match;     // all of them
  std::vector<Pattern> fail_if_not_matches;   // one of them does not
  std::vector<Pattern> fail_if_none_matches;  // none of them does
  bool operator==(const RecordRules&) const = default;
};

struct DnsModule {
  IpChoice ip;
  std::string source_ip;
  connect::DnsTransport transport = connect::DnsTransport::kUdp;
  connect::TlsOptions tls;  // `enabled`: DNS over TLS
  std::string query_name;
  std::uint16_t query_type = 255;  // ANY
  std::uint16_t query_class = 1;   // IN
  bool recursion_desired = true;
  std::vector<int> valid_rcodes;  // empty: NOERROR
  RecordRules answer;
  RecordRules authority;
  RecordRules additional;
  bool operator==(const DnsModule&) const = default;
};

struct IcmpModule {
  IpChoice ip;
  std::string source_ip;
  std::size_t payload_bytes = 28;
  bool dont_fragment = false;
  int ttl = 64;
  bool operator==(const IcmpModule&) const = default;
};

struct GrpcModule {
  IpChoice ip;
  std::string service;
  std::map<std::string, std::string> metadata;
  connect::TlsOptions tls;
  bool operator==(const GrpcModule&) const = default;
};

enum class Prober : std::uint8_t { kHttp, kTcp, kDns, kIcmp, kGrpc };

struct Module {
  std::string name;
  Prober prober = Prober::kHttp;
  std::int64_t timeout_ms = 0;  // 0: what the caller allows
  HttpModule http;
  TcpModule tcp;
  DnsModule dns;
  IcmpModule icmp;
  GrpcModule grpc;
  std::string shown;  // as YAML, without secrets
  bool operator==(const Module&) const = default;
};

using Modules = std::map<std::string, Module>;
using ModulesPtr = std::shared_ptr<const Modules>;

}  // namespace qd::observe::probe
