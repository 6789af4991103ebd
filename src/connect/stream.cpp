#include "connect/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "connect/stream_tls.h"

namespace qd::connect {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
// A buffer that a large answer left is given back once it is empty.
constexpr std::size_t kKeptBytes = 256 * 1024;

}  // namespace

Stream::Stream(const StreamOptions& options, const base::Clock& clock)
    : address_(options.address), source_ip_(options.source_ip), cancel_(options.cancel), clock_(clock) {}

Stream::~Stream() {
  if (socket_ >= 0) ::close(socket_);
}

base::Result<std::unique_ptr<Stream>> Stream::open(const StreamOptions& options, const base::Clock& clock,
                                                   std::int64_t deadline_ns) {
  QD_ASSIGN(const ServerAddress server, parse_server_address(options.address));
  std::vector<SocketAddress> addresses = options.resolved;
  if (addresses.empty()) {
    QD_ASSIGN(addresses, resolve(server, clock, deadline_ns, options.cancel ? &*options.cancel : nullptr));
  }
  std::unique_ptr<Stream> stream(new Stream(options, clock));
  base::Status status;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::int64_t now_ns = clock.monotonic_ns();
    const auto left = static_cast<std::int64_t>(addresses.size() - i);
    status = stream->connect_to(addresses[i], now_ns + (deadline_ns - now_ns) / left);
    if (status) break;
  }
  if (!status) return base::fail(status.error());
  if (options.tls.enabled) QD_TRY(stream->start_tls(options.tls, server.host, deadline_ns));
  return stream;
}

base::Status Stream::connect_to(const SocketAddress& address, std::int64_t deadline_ns) {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  socket_ = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return failed(base::ErrorCode::kUnavailable, "no socket: " + base::errno_text(errno));
  if (address.family() != AF_UNIX) {
    // Commands go out whole; waiting for more to send along only delays the answer.
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (!source_ip_.empty()) QD_TRY(bind_source(address.family()));
  const auto refused = [&](int error) {
    const auto code = error == EACCES || error == EPERM ? base::ErrorCode::kPermission : base::ErrorCode::kUnavailable;
    return failed(code, "no connection: " + base::errno_text(error));
  };
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address.bytes), address.size) == 0) return {};
  // A Unix socket whose queue of connections is full says EAGAIN and cannot be waited for.
  if (errno != EINPROGRESS && errno != EINTR) return refused(errno);
  QD_TRY(wait(POLLOUT, deadline_ns, "no connection in time"));
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return refused(error);
  return {};
}

base::Status Stream::bind_source(int family) {
  if (connect::bind_source(socket_, family, source_ip_)) return {};
  return failed(base::ErrorCode::kInvalid, fmt::format("it cannot be reached from {:?}; is that an address of this "
                                                       "machine and of the same IP protocol?",
                                                       source_ip_));
}

base::Status Stream::start_tls(const TlsOptions& tls, const std::string& host, std::int64_t deadline_ns) {
  if (tls_) return failed(base::ErrorCode::kInvalid, "the connection is in TLS already");
  buffer_.clear();
  read_at_ = 0;
  auto session = TlsSession::create(tls, host);
  if (!session) return base::fail(session.error().within(address_));
  std::array<char, kReadBytes> bytes;
  for (;;) {
    const auto done = (*session)->handshake();
    (*session)->take(outgoing_);
    // The peer is told why even where the handshake failed, as far as it listens.
    const base::Status sent = send_outgoing(deadline_ns);
    if (!done) return base::fail(done.error().within(address_));
    if (!sent) return sent;
    if (*done) break;
    QD_ASSIGN(const std::size_t size, receive(bytes.data(), bytes.size(), deadline_ns));
    (*session)->give({bytes.data(), size});
  }
  tls_ = std::move(*session);
  return {};
}

std::optional<TlsDetails> Stream::tls_details() const {
  if (!tls_) return std::nullopt;
  return tls_->details();
}

base::Result<std::string_view> Stream::read_line(std::size_t limit_bytes, std::int64_t deadline_ns) {
  std::size_t searched = 0;
  for (;;) {
    const std::string_view there = std::string_view(buffer_).substr(read_at_);
    const auto end = there.find('\n', searched);
    if ((end == std::string_view::npos ? there.size() : end) > limit_bytes + 1) {
      return failed(base::ErrorCode::kLimit, fmt::format("the server sent a line of more than {} bytes", limit_bytes));
    }
    if (end != std::string_view::npos) {
      read_at_ += end + 1;
      std::string_view line = there.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      return line;
    }
    searched = there.size();
    QD_TRY(fill(deadline_ns));
  }
}

base::Result<std::string_view> Stream::read_exact(std::size_t n, std::int64_t deadline_ns) {
  while (buffer_.size() - read_at_ < n) QD_TRY(fill(deadline_ns));
  const std::string_view bytes = std::string_view(buffer_).substr(read_at_, n);
  read_at_ += n;
  return bytes;
}

base::Status Stream::write_all(std::string_view bytes, std::int64_t deadline_ns) {
  if (!tls_) return send(bytes, deadline_ns);
  if (auto status = tls_->write(bytes); !status) return base::fail(status.error().within(address_));
  tls_->take(outgoing_);
  return send_outgoing(deadline_ns);
}

// Adds at least one byte to the buffer. What was given out before is dropped.
base::Status Stream::fill(std::int64_t deadline_ns) {
  if (read_at_ == buffer_.size()) {
    buffer_.clear();
    read_at_ = 0;
    if (buffer_.capacity() > kKeptBytes) buffer_.shrink_to_fit();
  } else if (read_at_ > buffer_.size() / 2) {
    buffer_.erase(0, read_at_);
    read_at_ = 0;
  }
  const std::size_t before = buffer_.size();
  std::array<char, kReadBytes> bytes;
  while (buffer_.size() == before) {
    if (tls_) {
      const auto size = tls_->read(bytes.data(), bytes.size());
      tls_->take(outgoing_);
      QD_TRY(send_outgoing(deadline_ns));
      if (!size) return base::fail(size.error().within(address_));
      buffer_.append(bytes.data(), *size);
      if (*size != 0) break;
    }
    QD_ASSIGN(const std::size_t size, receive(bytes.data(), bytes.size(), deadline_ns));
    if (tls_) {
      tls_->give({bytes.data(), size});
    } else {
      buffer_.append(bytes.data(), size);
    }
  }
  received_bytes_ += buffer_.size() - before;
  return {};
}

base::Result<std::size_t> Stream::receive(char* to, std::size_t size, std::int64_t deadline_ns) {
  for (;;) {
    // Also where bytes are there already: a server that never stops sending would else be read forever.
    if (clock_.monotonic_ns() >= deadline_ns) return failed(base::ErrorCode::kTimeout, "no whole answer in time");
    const ssize_t got = ::recv(socket_, to, size, 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return failed(base::ErrorCode::kUnavailable, "the server closed the connection");
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(base::ErrorCode::kUnavailable, base::errno_text(errno));
    QD_TRY(wait(POLLIN, deadline_ns, "no answer in time"));
  }
}

base::Status Stream::send(std::string_view bytes, std::int64_t deadline_ns) {
  while (!bytes.empty()) {
    if (clock_.monotonic_ns() >= deadline_ns) return failed(base::ErrorCode::kTimeout, "the server takes no bytes");
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EPIPE) return failed(base::ErrorCode::kUnavailable, "the server closed the connection");
    if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(base::ErrorCode::kUnavailable, base::errno_text(errno));
    QD_TRY(wait(POLLOUT, deadline_ns, "the server takes no bytes"));
  }
  return {};
}

base::Status Stream::send_outgoing(std::int64_t deadline_ns) {
  const base::Status status = send(outgoing_, deadline_ns);
  outgoing_.clear();
  return status;
}

base::Status Stream::wait(short events, std::int64_t deadline_ns, std::string_view for_what) {
  for (;;) {
    const std::int64_t remaining_ns = deadline_ns - clock_.monotonic_ns();
    if (remaining_ns <= 0) return failed(base::ErrorCode::kTimeout, for_what);
    if (cancel_ && cancel_->cancelled()) return failed(base::ErrorCode::kCancelled, "given up");
    const std::int64_t remaining_ms = (remaining_ns + 999'999) / 1'000'000;
    const std::int64_t ms = std::min<std::int64_t>(remaining_ms, cancel_ ? kCancelMs : 3'600'000);
    pollfd poll{socket_, events, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(ms));
    if (ready > 0) return {};
    if (ready == 0 && ms == remaining_ms) return failed(base::ErrorCode::kTimeout, for_what);
    if (ready == 0) continue;
    if (errno != EINTR) return failed(base::ErrorCode::kInternal, "poll: " + base::errno_text(errno));
  }
}

std::unexpected<base::Error> Stream::failed(base::ErrorCode code, std::string_view what) const {
  return base::fail(code, fmt::format("{}: {}", address_, what));
}

}  // namespace qd::connect
