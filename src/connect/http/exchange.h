// One HTTP request that the caller waits for, measured phase by phase: for probes, which want to know how the answer
// came, and not only the answer.
//
//   Exchanger exchanger(clock);
//   const Exchange done = exchanger.exchange({.url = "https://example.com/", .deadline_ns = …});
//   if (done.error) …            // what had come before the fault stands in `done` as well
//
// Nothing is followed: a redirect is an answer like any other, and `redirect_url` is where it points. Cookies that one
// answer sets go out with the next requests of the same Exchanger, to the sites that they are for. Each request has a
// connection of its own.
//
// Errors name the URL without user, password and query. They are those of http::Client, kTimeout at the deadline,
// kCancelled within a second of it.
//
// Blocks the caller's thread until the deadline at most. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/http/message.h"
#include "connect/resolve.h"
#include "connect/stream.h"
#include "connect/tls_details.h"

namespace qd::connect::http {

enum class HttpVersion : std::uint8_t {
  kOne,         // 1.1
  kTwoWithTls,  // 2 where the server agrees to it in TLS, else 1.1
  kTwo,         // 2 from the first byte on, as gRPC has it
};

struct ExchangeRequest {
  std::string url;  // http or https
  std::string method = "GET";
  // As they are. A Host replaces the URL's; what is not here and not needed is not sent.
  Headers headers = {};
  std::string body = {};
  std::optional<SocketAddress> connect_to = {};  // its address and port, in place of the URL's host; not with a proxy
  TlsOptions tls = {};                           // `enabled` means nothing here: the URL says it
  std::string proxy_url = {};
  std::string no_proxy = {};  // hosts that are reached without it, separated by commas
  HttpVersion version = HttpVersion::kOne;
  bool unpack = false;               // undoes the Content-Encodings gzip, deflate and br
  std::uint64_t body_bytes_max = 0;  // unpacked; more ends the exchange with kLimit; 0: no bound but the deadline
  std::size_t body_kept_bytes = 0;   // so much of the body is kept at most; the rest is counted
  std::int64_t deadline_ns = 0;
  base::CancelToken cancel = {};
};

// How long each phase took; 0 for those that did not come.
struct ExchangeTimes {
  double connect_s = 0;
  double tls_s = 0;
  double processing_s = 0;  // from the request to the first byte of the answer
  double transfer_s = 0;    // of the answer
};

struct Exchange {
  std::optional<base::Error> error;
  bool answered = false;  // the header came
  int status = 0;
  double version = 0;                // 1.1
  Headers headers;                   // and behind them those that came after the body
  std::int64_t content_length = -1;  // as the header says; -1 when it does not
  std::string body;                  // the beginning of it
  std::uint64_t body_bytes = 0;      // unpacked
  std::string redirect_url;          // absolute; empty when the answer is no redirect
  std::optional<TlsDetails> tls;
  ExchangeTimes times;
};

class Exchanger {
 public:
  // `clock` outlives it.
  explicit Exchanger(const base::Clock& clock);
  ~Exchanger();
  Exchanger(const Exchanger&) = delete;
  Exchanger& operator=(const Exchanger&) = delete;

  Exchange exchange(const ExchangeRequest& request);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

// Parts of an http or https URL; kInvalid when it is none.
struct UrlParts {
  std::string scheme;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string shown;  // without user, password and query
  bool has_port = false;
};
base::Result<UrlParts> url_parts(std::string_view url);

}  // namespace qd::connect::http
