#include "connect/http/server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/assert.h"
#include "connect/event_loop_asio.h"
#include "connect/http/connection.h"
#include "connect/http/server_core.h"

namespace qd::connect::http {
namespace {

namespace asio = boost::asio;

constexpr int kAcceptsATurn = 64;
constexpr std::int64_t kAcceptPauseMs = 100;  // when the process is out of descriptors
constexpr std::int64_t kTickMsMin = 10;
constexpr std::int64_t kTickMsMax = 1'000;
constexpr std::int64_t kCloseWaitMs = 1'000;
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 42\r\n"
    "Retry-After: 1\r\nConnection: close\r\n\r\ntoo many connections; try again in a while";

class FunctionSink final : public Reply::Sink {
 public:
  explicit FunctionSink(std::function<void(Response)> then) : then_(std::move(then)) {}
  void answer(Response response) override { then_(std::move(response)); }

 private:
  const std::function<void(Response)> then_;
};

}  // namespace

Reply Reply::to(std::function<void(Response)> then, base::CancelToken cancel) {
  return {std::make_shared<FunctionSink>(std::move(then)), std::move(cancel)};
}

Reply& Reply::operator=(Reply&& other) noexcept {
  std::swap(sink_, other.sink_);
  std::swap(cancel_, other.cancel_);
  return *this;
}

Reply::~Reply() {
  if (sink_) send(Response::text(500, "the request was given up without an answer\n"));
}

void Reply::send(Response response) {
  QD_ASSERT(sink_ != nullptr);
  const auto sink = std::move(sink_);
  sink->answer(std::move(response));
}

ServerCounters::ServerCounters(base::Registry& a_registry)
    : registry(a_registry),
      connections_total(registry.counter("quarterdeck_http_connections_total", "Connections accepted.")),
      connections(registry.gauge("quarterdeck_http_connections", "Connections open now.")),
      in_flight(registry.gauge("quarterdeck_http_requests_in_flight", "Requests being answered now.")),
      received_bytes(registry.counter("quarterdeck_http_received_bytes_total", "Bytes received from clients.")),
      sent_bytes(registry.counter("quarterdeck_http_sent_bytes_total", "Bytes sent to clients.")),
      accept_errors(registry.counter("quarterdeck_http_accept_errors_total",
                                     "Connections that could not be accepted, for want of descriptors mostly.")),
      duration(registry.histogram("quarterdeck_http_request_duration_seconds",
                                  "From the first byte of a request to the last of its response.")) {
  for (std::size_t i = 0; i < responses.size(); ++i) {
    responses[i] = &registry.counter("quarterdeck_http_requests_total", "Requests answered, by class of status code.",
                                     {{"code", fmt::format("{}xx", i + 1)}});
  }
}

base::Counter& ServerCounters::refused(std::string_view reason) {
  return registry.counter("quarterdeck_http_refused_total", "Requests and connections refused by the server itself.",
                          {{"reason", std::string(reason)}});
}

struct Server::Core::Acceptor {
  Acceptor(asio::io_context& context, Listening a_listening) : listening(std::move(a_listening)), descriptor(context) {}

  void close() {
    base::MutexLock lock(mutex);
    if (closed) return;
    closed = true;
    descriptor.release();  // `listening` closes it
    if (listening.is_unix) ::unlink(listening.address.c_str());
    listening.socket = Socket();
  }

  base::Mutex mutex;
  Listening listening QD_GUARDED_BY(mutex);
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor QD_GUARDED_BY(mutex);
  bool closed QD_GUARDED_BY(mutex) = false;
  bool starved QD_GUARDED_BY(mutex) = false;
};

Server::Core::Core(EventLoop& a_loop, ServerOptions an_options, Handler a_handler, base::Log& a_log,
                   base::Registry& registry)
    : loop(a_loop), options(std::move(an_options)), handler(std::move(a_handler)), log(a_log), counters(registry) {}

Server::Core::~Core() = default;

base::Status Server::Core::listen() {
  const auto add = [this](Listening listening) -> base::Status {
    if (!listening.is_unix && first_port == 0) first_port = listening.port;
    if (!listening.is_unix) addresses.push_back(listening.address);
    const int fd = listening.socket.fd();
    auto acceptor = std::make_shared<Acceptor>(io_context(loop), std::move(listening));
    base::MutexLock lock(acceptor->mutex);
    boost::system::error_code error;
    static_cast<void>(acceptor->descriptor.assign(fd, error));
    if (error) return base::fail(base::errno_error(error.value(), "cannot watch a listening socket"));
    acceptors_.push_back(acceptor);
    return {};
  };
  for (const auto& address : options.listen) {
    QD_ASSIGN(auto listening, listen_tcp(address));
    QD_TRY(add(std::move(listening)));
  }
  if (!options.unix_socket_path.empty()) {
    QD_ASSIGN(auto listening, listen_unix(options.unix_socket_path));
    QD_TRY(add(std::move(listening)));
  }
  return {};
}

void Server::Core::begin_accepting() {
  for (const auto& acceptor : acceptors_) accept_from(acceptor);
  watch_deadlines();
}

void Server::Core::accept_from(const std::shared_ptr<Acceptor>& acceptor) {
  base::MutexLock lock(acceptor->mutex);
  if (acceptor->closed) return;
  acceptor->descriptor.async_wait(asio::posix::descriptor_base::wait_read, [weak = weak_from_this(), acceptor](
                                                                               const boost::system::error_code& error) {
    const auto core = weak.lock();
    if (error || !core) return;
    const Entry entry(*core);
    if (!entry) return;
    bool starved = false;
    for (int i = 0; i < kAcceptsATurn; ++i) {
      Accepted accepted;
      {
        base::MutexLock again(acceptor->mutex);
        if (acceptor->closed) return;
        accepted = accept_one(acceptor->listening);
        const int reason = accepted.error_number;
        starved = reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
        if (reason == EAGAIN || reason == EWOULDBLOCK) {
          if (std::exchange(acceptor->starved, false))
            core->log.info("connections are taken again", {{"address", acceptor->listening.address}});
          break;
        }
        if (starved && !acceptor->starved) {
          core->log.warn("connections wait: the process cannot take more",
                         {{"address", acceptor->listening.address},
                          {"error", std::strerror(reason)},
                          {"cure", "raise the limit on open files (ulimit -n, LimitNOFILE=)"}});
        }
        acceptor->starved |= starved;
      }
      if (starved) {
        core->counters.accept_errors.add();
        break;
      }
      if (accepted.error_number == 0) core->welcome(std::move(accepted));
    }
    if (!starved) return core->accept_from(acceptor);
    core->loop.after_ms(kAcceptPauseMs, [weak, acceptor] {
      const auto waiting = weak.lock();
      if (!waiting) return;
      const Entry later(*waiting);
      if (later) waiting->accept_from(acceptor);
    });
  });
}

void Server::Core::welcome(Accepted accepted) {
  TlsContext tls;
  bool full = false;
  {
    base::MutexLock lock(mutex_);
    full = connections_.size() >= options.connections_max;
    if (!accepted.peer.is_unix) tls = tls_;
  }
  if (full) {
    counters.refused("connections").add();
    if (!tls) ::send(accepted.socket.fd(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  auto connection = Connection::make(shared_from_this(), std::move(accepted), tls);
  if (!connection) {
    counters.accept_errors.add();
    log.warn("a connection was dropped", {{"error", connection.error()}});
    return;
  }
  counters.connections_total.add();
  counters.connections.add(1);
  {
    base::MutexLock lock(mutex_);
    connections_.insert(*connection);
  }
  (*connection)->start();
}

void Server::Core::forget(const std::shared_ptr<Connection>& connection) {
  base::MutexLock lock(mutex_);
  if (connections_.erase(connection) == 0) return;
  counters.connections.add(-1);
  if (connections_.empty()) left_.notify_all();
}

std::int64_t Server::Core::deadline_tick_ms() const {
  const auto shortest =
      std::min({options.header_timeout_ms, options.body_timeout_ms, options.idle_timeout_ms, options.write_timeout_ms});
  return std::clamp(shortest / 4, kTickMsMin, kTickMsMax);
}

void Server::Core::watch_deadlines() {
  loop.after_ms(deadline_tick_ms(), [weak = weak_from_this()] {
    const auto core = weak.lock();
    if (!core) return;
    const Entry entry(*core);
    if (!entry) return;
    const std::int64_t now_ns = core->now_ns();
    {
      base::MutexLock lock(core->mutex_);
      for (const auto& connection : core->connections_) connection->check_deadline(now_ns);
    }
    core->watch_deadlines();
  });
}

bool Server::Core::begin_request() {
  if (in_flight_.fetch_add(1) >= options.requests_in_flight_max) {
    --in_flight_;
    return false;
  }
  counters.in_flight.add(1);
  return true;
}

void Server::Core::end_request() {
  --in_flight_;
  counters.in_flight.add(-1);
}

bool Server::Core::charge_body(std::uint64_t bytes) {
  return body_bytes_.fetch_add(bytes) + bytes <= options.all_bodies_bytes_max || bytes == 0;
}

void Server::Core::release_body(std::uint64_t bytes) {
  body_bytes_ -= bytes;
}

std::vector<std::shared_ptr<Connection>> Server::Core::everyone() const {
  base::MutexLock lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

bool Server::Core::wait_until_empty(std::int64_t wait_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  base::MutexLock lock(mutex_);
  while (!connections_.empty()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline || !loop.running()) return false;
    left_.wait_until(mutex_, std::min(deadline, now + std::chrono::milliseconds(50)));
  }
  return true;
}

void Server::Core::stop(std::int64_t grace_ms) {
  stopping_ = true;
  for (const auto& acceptor : acceptors_) acceptor->close();
  for (const auto& connection : everyone()) connection->close_if_idle();
  if (wait_until_empty(grace_ms)) return;
  const auto left = everyone();
  if (grace_ms > 0 && !left.empty()) {
    log.warn("requests did not finish in time and are cut", {{"connections", left.size()}, {"waited_ms", grace_ms}});
  }
  for (const auto& connection : left) connection->close_now();
  wait_until_empty(kCloseWaitMs);
}

void Server::Core::close() {
  closed_ = true;
  while (inside_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  acceptors_.clear();
  std::unordered_set<std::shared_ptr<Connection>> left;
  base::MutexLock lock(mutex_);
  left.swap(connections_);
}

base::Result<std::function<void()>> Server::Core::prepare_tls() {
  if (!options.tls)
    return base::fail(base::ErrorCode::kInvalid, "this server has no TLS certificate that could be read again");
  QD_ASSIGN(auto tls, make_server_tls(options.tls->cert_file, options.tls->key_file));
  return [this, tls = std::move(tls)] {
    base::MutexLock lock(mutex_);
    tls_ = tls;
  };
}

base::Result<std::unique_ptr<Server>> Server::start(EventLoop& loop, ServerOptions options, Handler handler,
                                                    base::Log& log, base::Registry& registry) {
  auto core = std::make_shared<Core>(loop, std::move(options), std::move(handler), log, registry);
  std::unique_ptr<Server> server(new Server(core));
  if (core->options.tls) {
    QD_ASSIGN(const auto use, core->prepare_tls());
    use();
  }
  QD_TRY(core->listen());
  core->begin_accepting();
  return server;
}

Server::Server(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Server::~Server() {
  core_->stop(0);
  core_->close();
}

void Server::stop(std::int64_t grace_ms) {
  core_->stop(grace_ms);
}

const std::vector<std::string>& Server::addresses() const {
  return core_->addresses;
}

std::uint16_t Server::port() const {
  return core_->first_port;
}

base::Result<std::function<void()>> Server::prepare_tls() {
  return core_->prepare_tls();
}

}  // namespace qd::connect::http
