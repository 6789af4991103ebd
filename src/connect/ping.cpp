#include "connect/ping.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "connect/stream.h"

namespace qd::connect {
namespace {

using base::ErrorCode;

constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kMarkBytes = 8;

// RFC 1071.
std::uint16_t checksum(const std::vector<unsigned char>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += (std::uint32_t{bytes[i]} << 8) | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += std::uint32_t{bytes.back()} << 8;
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

class Echo {
 public:
  Echo(const PingOptions& options, const base::Clock& clock, std::int64_t deadline_ns, const base::CancelToken& cancel)
      : options_(options), clock_(clock), deadline_ns_(deadline_ns), cancel_(cancel) {}

  base::Status run(PingTimes& times) {
    const std::int64_t start_ns = clock_.monotonic_ns();
    bool raw = false;
    const Socket socket(open(raw));
    if (socket.fd() < 0) return no_socket(errno);
    QD_TRY(set_up(socket.fd()));
    const auto packet = request(raw);
    times.setup_s = since(start_ns);
    const std::int64_t sent_ns = clock_.monotonic_ns();
    SocketAddress target = options_.to;
    // A raw IPv6 socket takes a port for the protocol.
    if (is_v6()) reinterpret_cast<sockaddr_in6*>(&target.bytes)->sin6_port = 0;
    const auto* to = reinterpret_cast<const sockaddr*>(&target.bytes);
    if (::sendto(socket.fd(), packet.data(), packet.size(), 0, to, target.size) < 0) {
      return failed(errno == EMSGSIZE ? ErrorCode::kInvalid : ErrorCode::kUnavailable,
                    fmt::format("no echo request goes out: {}", base::errno_text(errno)));
    }
    const base::Status received = receive(socket.fd(), raw, packet, times);
    if (received) times.rtt_s = since(sent_ns);
    return received;
  }

 private:
  bool is_v6() const { return options_.to.family() == AF_INET6; }
  double since(std::int64_t from_ns) const { return static_cast<double>(clock_.monotonic_ns() - from_ns) / 1e9; }
  std::unexpected<base::Error> failed(ErrorCode code, std::string_view what) const {
    return base::fail(code, fmt::format("ping {}: {}", options_.shown, what));
  }

  int open(bool& raw) const {
    const int family = options_.to.family();
    const int protocol = is_v6() ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
    const int fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd >= 0) return fd;
    raw = true;
    return ::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  }

  std::unexpected<base::Error> no_socket(int error) const {
    if (error == EPERM || error == EACCES) {
      return failed(ErrorCode::kPermission,
                    "this process may not send echo requests; put its group into the sysctl net.ipv4.ping_group_range "
                    "(\"0 2147483647\" allows all), or give it the capability CAP_NET_RAW");
    }
    return failed(ErrorCode::kUnavailable, fmt::format("no socket: {}", base::errno_text(error)));
  }

  base::Status set_up(int fd) {
    const int on = 1;
    if (is_v6()) {
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &options_.hops_max, sizeof(options_.hops_max));
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on));
    } else {
      ::setsockopt(fd, IPPROTO_IP, IP_TTL, &options_.hops_max, sizeof(options_.hops_max));
      ::setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
      const int discover = options_.dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
      ::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover));
    }
    if (options_.source_ip.empty()) return {};
    if (!bind_source(fd, options_.to.family(), options_.source_ip)) {
      return failed(ErrorCode::kInvalid,
                    fmt::format("it cannot be pinged from {:?}; is that an address of this machine "
                                "and of the same IP protocol?",
                                options_.source_ip));
    }
    return {};
  }

  std::vector<unsigned char> request(bool raw) const {
    std::vector<unsigned char> packet(kHeaderBytes + options_.payload_bytes, 'q');
    std::array<unsigned char, 4 + kMarkBytes> chance{};
    if (::getrandom(chance.data(), chance.size(), 0) < 0) chance.fill(0x5a);
    packet[0] = is_v6() ? static_cast<unsigned char>(ICMP6_ECHO_REQUEST) : static_cast<unsigned char>(ICMP_ECHO);
    packet[1] = packet[2] = packet[3] = 0;
    // The identifier (a ping socket puts its own there), the sequence, and a mark, so that a reply to another does not
    // count.
    std::copy_n(chance.begin(), 4, packet.begin() + 4);
    std::copy_n(chance.begin() + 4, std::min(kMarkBytes, options_.payload_bytes), packet.begin() + kHeaderBytes);
    if (raw && !is_v6()) {
      const std::uint16_t sum = checksum(packet);
      packet[2] = static_cast<unsigned char>(sum >> 8);
      packet[3] = static_cast<unsigned char>(sum & 0xff);
    }
    return packet;
  }

  base::Status receive(int fd, bool raw, const std::vector<unsigned char>& sent, PingTimes& times) const {
    std::vector<unsigned char> bytes(kPingPayloadBytesMax + 512);
    for (;;) {
      if (cancel_.cancelled()) return failed(ErrorCode::kCancelled, "given up");
      const std::int64_t remaining_ns = deadline_ns_ - clock_.monotonic_ns();
      if (remaining_ns <= 0) return failed(ErrorCode::kTimeout, "no reply in time");
      pollfd poll{fd, POLLIN, 0};
      const std::int64_t ms = std::min<std::int64_t>((remaining_ns + 999'999) / 1'000'000, kCancelMs);
      if (::poll(&poll, 1, static_cast<int>(ms)) <= 0) continue;
      iovec part{bytes.data(), bytes.size()};
      alignas(cmsghdr) std::array<char, 256> control{};
      sockaddr_storage from{};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof(from);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const ssize_t got = ::recvmsg(fd, &message, 0);
      if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) continue;
        return failed(ErrorCode::kUnavailable, base::errno_text(errno));
      }
      const unsigned char* packet = bytes.data();
      auto size = static_cast<std::size_t>(got);
      int hops = hops_of(message);
      if (raw && !is_v6()) {
        // The IP header comes with it: its length in words, and the time to live at byte 8.
        if (size < sizeof(ip)) continue;
        const std::size_t header = std::size_t{packet[0] & 0x0fU} * 4;
        if (header < sizeof(ip) || header > size) continue;
        if (hops < 0) hops = packet[8];
        packet += header;
        size -= header;
      }
      if (!is_reply({packet, size}, sent, raw, from)) continue;
      times.reply_hops_left = hops;
      return {};
    }
  }

  static int hops_of(msghdr& message) {
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
      const bool v4 = one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_TTL;
      const bool v6 = one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_HOPLIMIT;
      if (!v4 && !v6) continue;
      int hops = -1;
      std::memcpy(&hops, CMSG_DATA(one), sizeof(hops));
      return hops;
    }
    return -1;
  }

  bool is_reply(std::span<const unsigned char> packet, const std::vector<unsigned char>& sent, bool raw,
                const sockaddr_storage& from) const {
    const auto type =
        is_v6() ? static_cast<unsigned char>(ICMP6_ECHO_REPLY) : static_cast<unsigned char>(ICMP_ECHOREPLY);
    if (packet.size() != sent.size() || packet[0] != type) return false;
    const std::size_t identified = raw ? 4 : 6;
    if (!std::equal(packet.begin() + static_cast<std::ptrdiff_t>(identified), packet.end(),
                    sent.begin() + static_cast<std::ptrdiff_t>(identified)))
      return false;
    if (!raw) return true;
    if (is_v6()) {
      const auto* here = reinterpret_cast<const sockaddr_in6*>(&from);
      const auto* there = reinterpret_cast<const sockaddr_in6*>(&options_.to.bytes);
      return std::memcmp(&here->sin6_addr, &there->sin6_addr, sizeof(in6_addr)) == 0;
    }
    const auto* here = reinterpret_cast<const sockaddr_in*>(&from);
    const auto* there = reinterpret_cast<const sockaddr_in*>(&options_.to.bytes);
    return here->sin_addr.s_addr == there->sin_addr.s_addr;
  }

  const PingOptions& options_;
  const base::Clock& clock_;
  const std::int64_t deadline_ns_;
  const base::CancelToken& cancel_;
};

}  // namespace

base::Status ping(const PingOptions& options, const base::Clock& clock, std::int64_t deadline_ns,
                  const base::CancelToken& cancel, PingTimes& times) {
  if (options.payload_bytes > kPingPayloadBytesMax) {
    return base::fail(ErrorCode::kInvalid, fmt::format("ping {}: a payload of {} bytes; {} is the most", options.shown,
                                                       options.payload_bytes, kPingPayloadBytesMax));
  }
  if (options.to.family() != AF_INET && options.to.family() != AF_INET6)
    return base::fail(ErrorCode::kInvalid, fmt::format("ping {}: that is no IP address", options.shown));
  return Echo(options, clock, deadline_ns, cancel).run(times);
}

}  // namespace qd::connect
