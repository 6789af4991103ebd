// What a prober works with: its target, its time, and what it leaves.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/resolve.h"
#include "connect/tls_details.h"
#include "observe/probe/module.h"
#include "observe/probe/samples.h"

namespace qd::observe::probe {

// What happened in a probe, line by line, for people who ask with debug=true.
class Journal {
 public:
  static constexpr std::size_t kLinesMax = 500;
  static constexpr std::size_t kLineBytesMax = 4096;

  // `context` stands in each line behind its time. A journal that is not kept costs nothing.
  Journal(const base::Clock& clock, bool kept, std::string context)
      : clock_(clock), kept_(kept), context_(std::move(context)) {}

  using Fields = std::initializer_list<std::pair<std::string_view, std::string>>;
  void info(std::string_view message, Fields fields = {}) { say("info", message, fields); }
  void error(std::string_view message, Fields fields = {}) { say("error", message, fields); }

  const std::string& text() const { return text_; }

 private:
  void say(std::string_view level, std::string_view message, Fields fields);

  const base::Clock& clock_;
  const bool kept_;
  const std::string context_;
  std::size_t lines_ = 0;
  std::string text_;
};

struct Job {
  std::string target;
  std::string hostname;  // that the target is to be asked for, where that is another; usually empty
  std::int64_t deadline_ns = 0;
  base::CancelToken cancel;
  const base::Clock& clock;
  Samples& samples;
  Journal& journal;

  double since(std::int64_t from_ns) const { return static_cast<double>(clock.monotonic_ns() - from_ns) / 1e9; }
};

// The address of `host` to be probed, by `ip`, with `port` in it. Sets what is told of it (protocol, hash, time).
base::Result<connect::SocketAddress> choose_address(const std::string& host, std::uint16_t port, const IpChoice& ip,
                                                    Job& job, double& lookup_s);
// Tells what `tls` came to. `chain_expiry`: also when the chain that was verified expires.
void tell_tls(const connect::TlsDetails& tls, bool chain_expiry, Samples& samples);
// "127.0.0.1", "::1".
std::string ip_text(const connect::SocketAddress& address);
// "host" and port of "host:port", "[v6]:port", and without a port where `usual_port` is not 0.
base::Result<connect::ServerAddress> split_target(std::string_view target, std::uint16_t usual_port);
// The content of a small file with a secret, without the line end.
base::Result<std::string> read_secret(const std::string& file);

// The probers. An error says in words why the target did not pass.
base::Status probe_http(const HttpModule& module, Job& job);
base::Status probe_tcp(const TcpModule& module, Job& job);
base::Status probe_dns(const DnsModule& module, Job& job);
base::Status probe_icmp(const IcmpModule& module, Job& job);
base::Status probe_grpc(const GrpcModule& module, Job& job);

}  // namespace qd::observe::probe
