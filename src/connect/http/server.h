// An HTTP/1.1 server on an EventLoop: keep-alive, pipelining, chunked bodies both ways, gzip, TLS, Unix sockets.
//
//   ServerOptions options{.listen = {"127.0.0.1:0"}};
//   QD_ASSIGN(auto server, Server::start(loop, options, [](Request request, Reply reply) {
//     reply.send(Response::text(200, "hello\n"));
//   }, log, registry));
//
// The handler is called on loop threads, for several requests at once; it must not block or compute for long, but hand
// request and reply to a ThreadPool. Requests of one connection come one after the other. What is malformed, too large
// or too slow is refused before it reaches the handler (400, 408, 413, 417, 431, 501, 503, 505) and the connection is
// closed. Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
//
// Counts itself in the registry as quarterdeck_http_*. Loop, log and registry must outlive the server, and log and
// registry the loop's run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/event_loop.h"
#include "connect/http/message.h"

namespace qd::connect::http {

// Where the answer to one request goes. Answer once, from any thread; dropped unanswered, the client gets 500.
class Reply {
 public:
  // What stands behind a reply: a connection, or a function. `answer` is called at most once.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void answer(Response response) = 0;
  };

  Reply(std::shared_ptr<Sink> sink, base::CancelToken cancel) : sink_(std::move(sink)), cancel_(std::move(cancel)) {}
  // A reply that hands the response to `then`: to look at or change an answer on its way, and to test handlers.
  static Reply to(std::function<void(Response)> then, base::CancelToken cancel = {});
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  // Large bodies are compressed here, on the caller's thread. Once: a second answer is a bug.
  void send(Response response);
  // Cancelled when the client closed its side: nobody waits for the answer any more. Sending it then does no harm.
  const base::CancelToken& cancel_token() const { return cancel_; }

 private:
  std::shared_ptr<Sink> sink_;
  base::CancelToken cancel_;
};

using Handler = std::function<void(Request, Reply)>;

struct ServerTls {
  std::string cert_file;  // PEM, leaf first, then intermediates
  std::string key_file;   // PEM
};

struct ServerOptions {
  std::vector<std::string> listen;  // "HOST:PORT", "[::1]:0", ":9090" for every interface; port 0 takes a free one
  std::string unix_socket_path;     // none when empty; made with mode 0660 and removed at stop
  std::optional<ServerTls> tls;     // for the addresses in `listen`; TLS 1.2 or newer

  std::size_t header_bytes_max = 64 * 1024;
  std::uint64_t body_bytes_max = 64ull * 1024 * 1024;
  std::uint64_t all_bodies_bytes_max = 512ull * 1024 * 1024;  // of all requests together; beyond: 503
  std::size_t connections_max = 10'000;
  std::size_t requests_in_flight_max = 512;  // from the whole request to the whole response; beyond: 503
  std::int64_t header_timeout_ms = 10'000;   // from the first byte (and for the TLS handshake) to the end of the header
  std::int64_t body_timeout_ms = 10'000;     // how far a body may fall behind body_bytes_per_s_min
  std::uint64_t body_bytes_per_s_min = 4096;
  std::int64_t idle_timeout_ms = 120'000;  // between requests
  std::int64_t write_timeout_ms = 30'000;  // without any progress in sending
  int reads_a_turn = 16;                   // of a connection; then others on its thread have theirs

  base::Log* access_log = nullptr;  // a line a request; none when null
};

class Server {
 public:
  // Listens on everything in the options or on nothing. kConflict when an address is taken, kPermission when the port
  // needs a right, kInvalid for an address that makes no sense or certificates that do not load.
  static base::Result<std::unique_ptr<Server>> start(EventLoop& loop, ServerOptions options, Handler handler,
                                                     base::Log& log, base::Registry& registry);
  // stop(0). When it returns the handler is not running and will not be called again. Not from a loop thread.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts no more, closes idle connections at once, lets requests that have begun finish for up to `grace_ms`, then
  // closes what is left. Blocks that long at most. Not from a loop thread.
  void stop(std::int64_t grace_ms = kStopGraceMs);
  static constexpr std::int64_t kStopGraceMs = 10'000;

  // "127.0.0.1:9090" with the real port, in the order of ServerOptions::listen.
  const std::vector<std::string>& addresses() const;
  // Of the first address; 0 when there is only a Unix socket.
  std::uint16_t port() const;

  // Reads certificate and key again and checks them; connections from the call of what is returned on use them. It may
  // be dropped instead, and must not outlive the server.
  base::Result<std::function<void()>> prepare_tls();

  class Core;

 private:
  explicit Server(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace qd::connect::http
