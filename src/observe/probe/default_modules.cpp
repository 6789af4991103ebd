#include <utility>

#include "base/assert.h"
#include "observe/probe/modules_file.h"

namespace qd::observe::probe {
namespace {

// Its pop3s_banner waits for "^+OK", where the + stands for itself nowhere and no server passes.
constexpr std::string_view kDefaultFile = R"yaml(modules:
  http_2xx:
    prober: http
  http_post_2xx:
    prober: http
    http:
      method: POST
  tcp_connect:
    prober: tcp
  pop3s_banner:
    prober: tcp
    tcp:
      query_response:
        - expect: "^[+]OK"
      tls: true
      tls_config:
        insecure_skip_verify: false
  grpc:
    prober: grpc
    grpc:
      tls: true
      preferred_ip_protocol: ip4
  grpc_plain:
    prober: grpc
    grpc:
      tls: false
      service: service1
  ssh_banner:
    prober: tcp
    tcp:
      query_response:
        - expect: "^SSH-2.0-"
        - send: "SSH-2.0-blackbox-ssh-check"
  irc_banner:
    prober: tcp
    tcp:
      query_response:
        - send: "NICK prober"
        - send: "USER prober prober prober :prober"
        - expect: "PING :([^ ]+)"
          send: "PONG ${1}"
        - expect: "^:[^ ]+ 001"
  icmp:
    prober: icmp
  icmp_ttl5:
    prober: icmp
    timeout: 5s
    icmp:
      ttl: 5
  dns_udp:
    prober: dns
    dns:
      query_name: .
      query_type: NS
  dns_tcp:
    prober: dns
    dns:
      transport_protocol: tcp
      query_name: .
      query_type: NS
)yaml";

}  // namespace

ModulesPtr default_modules() {
  static const ModulesPtr kModules = [] {
    auto modules = parse_modules(kDefaultFile, "the default modules");
    QD_ASSERT(modules.has_value(), modules.error().message());
    return std::move(*modules);
  }();
  return kModules;
}

}  // namespace qd::observe::probe
