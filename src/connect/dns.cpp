#include "connect/dns.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace qd::connect {
namespace {

using base::ErrorCode;

constexpr std::size_t kMessageBytesMax = 65'535;

std::uint16_t random_id() {
  std::uint16_t id = 0;
  return ::getrandom(&id, sizeof(id), 0) == sizeof(id) ? id : 0x5144;
}

// A datagram socket that belongs to one server.
class Datagrams {
 public:
  Datagrams(const DnsServer& server, const base::Clock& clock, std::int64_t deadline_ns,
            const base::CancelToken& cancel)
      : server_(server), clock_(clock), deadline_ns_(deadline_ns), cancel_(cancel) {}
  ~Datagrams() {
    if (socket_ >= 0) ::close(socket_);
  }
  Datagrams(const Datagrams&) = delete;
  Datagrams& operator=(const Datagrams&) = delete;

  base::Status open() {
    socket_ = ::socket(server_.to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return failed(ErrorCode::kUnavailable, "no socket: " + base::errno_text(errno));
    if (!server_.source_ip.empty()) QD_TRY(bind_source());
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&server_.to.bytes), server_.to.size) != 0)
      return failed(ErrorCode::kUnavailable, base::errno_text(errno));
    return {};
  }

  base::Status send(std::string_view bytes) {
    if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
      return failed(ErrorCode::kUnavailable, base::errno_text(errno));
    return {};
  }

  base::Result<std::string> receive() {
    for (;;) {
      if (cancel_.cancelled()) return failed(ErrorCode::kCancelled, "given up");
      const std::int64_t remaining_ns = deadline_ns_ - clock_.monotonic_ns();
      if (remaining_ns <= 0) return failed(ErrorCode::kTimeout, "no answer in time");
      pollfd poll{socket_, POLLIN, 0};
      const std::int64_t ms = std::min<std::int64_t>((remaining_ns + 999'999) / 1'000'000, kCancelMs);
      if (::poll(&poll, 1, static_cast<int>(ms)) <= 0) continue;
      std::string bytes(kMessageBytesMax, '\0');
      const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
      if (got >= 0) {
        bytes.resize(static_cast<std::size_t>(got));
        return bytes;
      }
      if (errno == ECONNREFUSED) return failed(ErrorCode::kUnavailable, "nobody listens there");
      if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return failed(ErrorCode::kUnavailable, base::errno_text(errno));
    }
  }

 private:
  base::Status bind_source() {
    if (connect::bind_source(socket_, server_.to.family(), server_.source_ip)) return {};
    return failed(ErrorCode::kInvalid, fmt::format("it cannot be asked from {:?}; is that an address of this machine "
                                                   "and of the same IP protocol?",
                                                   server_.source_ip));
  }
  std::unexpected<base::Error> failed(ErrorCode code, std::string_view what) const {
    return base::fail(code, fmt::format("{}: {}", server_.address, what));
  }

  const DnsServer& server_;
  const base::Clock& clock_;
  const std::int64_t deadline_ns_;
  const base::CancelToken& cancel_;
  int socket_ = -1;
};

double since(const base::Clock& clock, std::int64_t from_ns) {
  return static_cast<double>(clock.monotonic_ns() - from_ns) / 1e9;
}

base::Result<DnsMessage> over_udp(const DnsServer& server, std::uint16_t id, const std::string& question,
                                  const base::Clock& clock, std::int64_t deadline_ns, const base::CancelToken& cancel,
                                  DnsTimes& times) {
  std::int64_t from_ns = clock.monotonic_ns();
  Datagrams socket(server, clock, deadline_ns, cancel);
  QD_TRY(socket.open());
  times.connect_s = since(clock, from_ns);
  from_ns = clock.monotonic_ns();
  const auto answer = [&]() -> base::Result<DnsMessage> {
    QD_TRY(socket.send(question));
    for (;;) {
      QD_ASSIGN(const auto bytes, socket.receive());
      // Whoever guesses the port may send as well: what does not answer the question is not for us.
      const bool ours = bytes.size() > 2 && static_cast<std::uint8_t>(bytes[0]) == (id >> 8) &&
                        static_cast<std::uint8_t>(bytes[1]) == (id & 0xff);
      if (!ours) continue;
      auto message = decode_dns_message(bytes);
      if (!message) return base::fail(message.error().within(server.address));
      if (message->is_answer) return message;
    }
  }();
  times.request_s = since(clock, from_ns);
  return answer;
}

base::Result<DnsMessage> over_tcp(const DnsServer& server, std::uint16_t id, const std::string& question,
                                  const base::Clock& clock, std::int64_t deadline_ns, const base::CancelToken& cancel,
                                  DnsTimes& times) {
  std::int64_t from_ns = clock.monotonic_ns();
  auto stream = Stream::open({.address = server.address,
                              .tls = server.tls,
                              .resolved = {server.to},
                              .source_ip = server.source_ip,
                              .cancel = cancel},
                             clock, deadline_ns);
  times.connect_s = since(clock, from_ns);
  if (!stream) return base::fail(stream.error());
  times.tls = (*stream)->tls_details();
  from_ns = clock.monotonic_ns();
  const auto answer = [&]() -> base::Result<DnsMessage> {
    std::string framed;
    framed += static_cast<char>(question.size() >> 8);
    framed += static_cast<char>(question.size() & 0xff);
    framed += question;
    QD_TRY((*stream)->write_all(framed, deadline_ns));
    QD_ASSIGN(const auto prefix, (*stream)->read_exact(2, deadline_ns));
    const std::size_t size =
        (std::size_t{static_cast<std::uint8_t>(prefix[0])} << 8) | static_cast<std::uint8_t>(prefix[1]);
    QD_ASSIGN(const auto bytes, (*stream)->read_exact(size, deadline_ns));
    auto message = decode_dns_message(bytes);
    if (!message) return base::fail(message.error().within(server.address));
    if (message->id != id || !message->is_answer)
      return base::fail(ErrorCode::kCorrupt, fmt::format("{}: the server answers another question", server.address));
    return message;
  }();
  times.request_s = since(clock, from_ns);
  return answer;
}

}  // namespace

base::Result<DnsMessage> ask_dns(const DnsServer& server, const DnsQuestion& question, const base::Clock& clock,
                                 std::int64_t deadline_ns, const base::CancelToken& cancel, DnsTimes& times) {
  const std::uint16_t id = random_id();
  QD_ASSIGN(const auto bytes, encode_dns_question(id, question));
  return server.transport == DnsTransport::kUdp ? over_udp(server, id, bytes, clock, deadline_ns, cancel, times)
                                                : over_tcp(server, id, bytes, clock, deadline_ns, cancel, times);
}

}  // namespace qd::connect
