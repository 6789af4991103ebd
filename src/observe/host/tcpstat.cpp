// TCP connections by state, and what waits in their queues.
//
// The kernel is asked for the sockets of this process's network; where the machine's is another (seen from a container
// with a network of its own), or the kernel does not answer, /proc/net/tcp and tcp6 are read, which say the same more
// slowly (Documentation/networking/proc_net_tcp.rst).

#include <algorithm>
#include <array>

#include "observe/host/opt_in_families.h"
#include "observe/host/own_network.h"
#include "observe/host/pace.h"
#include "observe/host/parts.h"
#include "observe/host/sock_diag.h"

namespace qd::observe::host {
namespace {

constexpr auto kTcpstatFamilies = std::to_array<FamilyInfo>({
    {"node_tcp_connection_states", model::MetricType::kGauge, "Number of connection states.", "state"},
});

constexpr std::array<std::string_view, TcpSockets::kStates> kStateNames = {
    "unknown",   "established", "syn_sent",   "syn_recv", "fin_wait1", "fin_wait2",
    "time_wait", "close",       "close_wait", "last_ack", "listen",    "closing"};

class TcpstatPart final : public Part {
 public:
  TcpstatPart(FileReader& reader, const Roots& roots)
      : ask_kernel_(is_own_network(roots)),
        tcp_(reader, roots.procfs_net + "/tcp"),
        tcp6_(reader, roots.procfs_net + "/tcp6") {}
  std::string_view name() const override { return "tcpstat"; }

  Outcome collect(const Pass& pass) override {
    const std::int64_t from_ns = pass.clock.monotonic_ns();
    if (pace_.due(from_ns)) {
      sockets_ = {};
      outcome_ = refresh(pass);
      pace_.took(from_ns, pass.clock.monotonic_ns());
      for (std::size_t i = 0; i < seen_.size(); ++i) seen_[i] = seen_[i] || sockets_.in_state[i] > 0;
    }
    if (outcome_.ok) tell(pass.sink);
    return outcome_;
  }

 private:
  Outcome refresh(const Pass& pass) {
    if (!ask_kernel_) return read_files();
    const int error = diag_.count(pass.clock, pass.deadline_ns, sockets_);
    if (error == 0) return {};
    if (error == ETIMEDOUT || error == EFBIG) return Outcome::failed(error, "NETLINK_SOCK_DIAG");
    // A kernel without the module, or a container that may not ask.
    ask_kernel_ = false;
    sockets_ = {};
    return read_files();
  }

  Outcome read_files() {
    const auto text = tcp_.read();
    if (!text) return Outcome::failed(text.error(), tcp_.path());
    if (!read_table(*text)) return Outcome::not_understood(tcp_.path());
    // Without IPv6 there is no such file.
    const auto text6 = tcp6_.read();
    if (text6 && !read_table(*text6)) return Outcome::not_understood(tcp6_.path());
    return {};
  }

  // "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 …": places, state, tx_queue:rx_queue, all hexadecimal.
  bool read_table(std::string_view text) {
    Scanner lines(text);
    lines.line();
    while (!lines.at_end()) {
      Scanner words(lines.line());
      if (words.word().empty()) continue;
      words.word();
      words.word();
      const auto state = hexadecimal(words.word());
      const std::string_view queues = words.word();
      const auto colon = std::min(queues.find(':'), queues.size());
      const auto sent = hexadecimal(queues.substr(0, colon));
      const auto received = hexadecimal(queues.substr(std::min(colon + 1, queues.size())));
      if (!state || !sent || !received) return false;
      sockets_.add(static_cast<std::uint8_t>(std::min<std::uint64_t>(*state, UINT8_MAX)), *received, *sent);
    }
    return true;
  }

  // A state that was once seen stays, as 0.
  void tell(Sink& sink) const {
    begin_family(sink, kTcpstatFamilies[0]);
    const auto sample = [&](std::string_view state, std::uint64_t value) {
      sink.sample({{"state", state}}, static_cast<double>(value));
    };
    for (std::size_t i = 1; i < kStateNames.size(); ++i) {
      if (seen_[i]) sample(kStateNames[i], sockets_.in_state[i]);
    }
    if (seen_[0]) sample(kStateNames[0], sockets_.in_state[0]);
    sample("rx_queued_bytes", sockets_.received_bytes);
    sample("tx_queued_bytes", sockets_.sent_bytes);
  }

  bool ask_kernel_;
  SockDiag diag_;
  KeptFile tcp_;
  KeptFile tcp6_;
  Pace pace_;
  TcpSockets sockets_;
  Outcome outcome_;
  std::array<bool, TcpSockets::kStates> seen_{};
};

}  // namespace

std::span<const FamilyInfo> tcpstat_families() {
  return kTcpstatFamilies;
}

std::unique_ptr<Part> tcpstat_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<TcpstatPart>(reader, roots);
}

}  // namespace qd::observe::host
