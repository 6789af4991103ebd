// Outbound HTTP(S) on an EventLoop: libcurl's multi handle with its socket interface.
//
//   auto transfer = client->fetch({.url = "http://10.0.0.7:9100/metrics", .deadline_ms = 10'000},
//                                 [](base::Result<ClientResponse> response) { … });
//
// fetch may be called from any thread. `then` runs exactly once, on a loop thread, never inside fetch; several may run
// at once. A response of any status is a success here. Connections are kept and used again; TLS certificates are
// verified; only http and https are spoken; proxies of the environment are used where the request says so.
//
// A body that has no end, or is not to be held whole, is taken piece by piece with `on_body`.
//
// Errors: kInvalid (the request cannot be right: URL, header, file), kTimeout (deadline_ms is over, wherever the
// transfer stands), kLimit (body_bytes_max, header bytes, redirects, a full queue), kPermission (the peer's certificate
// does not verify, or this process may not use the Unix socket), kNotFound (there is no such Unix socket), kCancelled,
// kUnavailable (name, connection, or the peer's answer broke). Each names the URL (without user, password and query)
// and the cure where there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/counters.h"
#include "base/result.h"
#include "connect/event_loop.h"
#include "connect/http/message.h"
#include "connect/stream.h"

namespace qd::connect::http {

struct ClientTls {
  std::string ca_file;    // PEM; the system's authorities when empty
  std::string cert_file;  // PEM, for servers that ask for one
  std::string key_file;   // PEM
  // PEM, each in place of its file.
  std::string ca = {};
  std::string cert = {};
  std::string key = {};
  std::string server_name;  // what the certificate must name, when that is not the URL's host
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kUsual;
  TlsVersion max_version = TlsVersion::kUsual;  // the newest that both sides know
};

struct ClientProxy {
  std::string url = {};           // http://, https:// or socks5://; none when empty
  std::string no_proxy = {};      // who is reached without it: hosts, addresses, networks, separated by commas
  bool from_environment = false;  // http_proxy, https_proxy, all_proxy and no_proxy, where there is no `url`
  Headers connect_headers = {};   // for the proxy alone, with CONNECT
};

struct BasicAuth {
  std::string user;
  std::string password;
};

struct ClientRequest {
  std::string url;
  std::string method = "GET";
  Headers headers = {};
  std::string body = {};
  std::int64_t deadline_ms = 10'000;  // for everything: waiting for a place, name, connection, redirects, body
  std::uint64_t body_bytes_max = 64ull * 1024 * 1024;  // of the response, unpacked
  ClientTls tls = {};
  ClientProxy proxy = {};
  bool http2 = false;  // where a TLS server offers it
  std::optional<BasicAuth> basic_auth = {};
  std::string bearer_token = {};
  bool follow_redirects = true;  // credentials are not taken to another host
  bool accept_gzip = true;
  std::string unix_socket_path = {};  // connects there instead of to the URL's host

  // Takes the body of a 2xx answer as it comes, unpacked; ClientResponse::body stays empty then. Called on a loop
  // thread, never twice at once and never after `then`; it must not block. False ends the transfer with kCancelled.
  // deadline_ms is then the time until the answer's header has come, and neither the time nor the size of the body has
  // a bound. A server that packs may hold pieces back: without accept_gzip they come at once.
  std::function<bool(std::string_view piece)> on_body = {};
};

struct ClientResponse {
  int status = 0;
  Headers headers;  // of the last response, when there were redirects
  std::string body;
  std::int64_t duration_ns = 0;  // from the call of fetch
};

struct ClientOptions {
  std::size_t concurrent_max = 4096;         // transfers at once; more wait
  std::size_t queue_max = 16'384;            // transfers that wait; more are refused with kLimit
  std::size_t cached_connections_max = 512;  // kept open for the next transfer
  std::int64_t connect_timeout_ms = 10'000;
};

class Client {
 public:
  static base::Result<std::unique_ptr<Client>> create(EventLoop& loop, const ClientOptions& options,
                                                      base::Registry& registry);
  // Cancels what runs and returns when every callback has come back (if the loop still runs). Not from a loop thread.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  class Core;

  // Names a transfer; dropping it changes nothing. May outlive the client.
  class Transfer {
   public:
    Transfer() = default;
    // `then` gets kCancelled soon, unless its result was already on the way. From any thread.
    void cancel();

   private:
    friend class Client;
    Transfer(std::weak_ptr<Core> core, std::uint64_t id) : core_(std::move(core)), id_(id) {}
    std::weak_ptr<Core> core_;
    std::uint64_t id_ = 0;
  };

  using Then = std::function<void(base::Result<ClientResponse>)>;
  Transfer fetch(ClientRequest request, Then then);

 private:
  explicit Client(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  std::shared_ptr<Core> core_;
};

}  // namespace qd::connect::http
