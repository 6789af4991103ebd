// Requests as handlers see them and responses as they give them. Plain values; nothing here is shared between threads
// but the bytes behind SharedBody, which nobody changes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qd::connect::http {

// ASCII only, as header names and tokens are compared (RFC 9110, section 5.1).
bool equal_ignoring_case(std::string_view a, std::string_view b);

struct Header {
  std::string name;
  std::string value;
};

// In the order in which they came; names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value) { items_.push_back({std::move(name), std::move(value)}); }
  // Replaces every header of that name.
  void set(std::string_view name, std::string value);
  // The first of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  // Does a comma-separated header contain this token ("Connection: keep-alive, Upgrade")?
  bool lists(std::string_view name, std::string_view token) const;

  std::size_t size() const { return items_.size(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  std::vector<Header> items_;
};

struct Parameter {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;            // as sent: "GET"
  std::string target;            // as sent: "/api/v1/query?query=up"
  std::string path;              // percent-decoded: "/api/v1/query"; dot segments stand as sent
  std::string host;              // of an absolute target, else the Host header: "localhost:9090"; may be empty in 1.0
  std::vector<Parameter> query;  // decoded, in order
  std::vector<Parameter> form;   // of an application/x-www-form-urlencoded body of POST, PUT and PATCH
  // Why query or form could not be read (a broken escape, too many), and then both are empty; empty when they could.
  // Whoever answers says it in the form of its protocol.
  std::string parameters_error;
  Headers headers;
  std::string body;          // as sent, but without chunking
  std::string peer_address;  // "127.0.0.1", "::1"; empty on a Unix socket
  std::uint16_t peer_port = 0;
  bool peer_is_loopback = false;  // the peer's address is 127.0.0.0/8 or ::1; false on a Unix socket
  bool unix_socket = false;
  std::optional<std::uint32_t> unix_uid;  // who is at the other end of a Unix socket
  bool tls = false;

  // The first parameter of that name, of the form if it is there, else of the query.
  std::optional<std::string_view> param(std::string_view name) const;
  // All of that name, the form's before the query's.
  std::vector<std::string_view> params(std::string_view name) const;
};

// Bytes that live elsewhere and never change: embedded pages, cached answers. `owner` keeps them alive (null for static
// data). Each view is the same content in another encoding; an empty one is not offered. With `identity` empty,
// clients that accept neither encoding get the gzip form unpacked.
struct SharedBody {
  std::shared_ptr<const void> owner;
  std::string_view identity;
  std::string_view gzip;
  std::string_view brotli;
};

// Appends the next piece (some tens of kilobytes) to `out`; true while there is more. It is asked for the next piece
// when the client has taken the last one, on a loop thread, never twice at once. Nothing appended and true means
// "nothing yet": it is asked again after a moment.
using Generator = std::function<bool(std::string& out)>;

struct Response {
  int status = 200;
  std::string content_type = {};
  Headers headers = {};  // Content-Length, Content-Encoding, Transfer-Encoding, Connection, Date come by themselves
  std::variant<std::string, SharedBody, Generator> body = std::string{};

  static Response text(int status, std::string body);  // text/plain; charset=utf-8
  static Response json(int status, std::string body);  // application/json
};

std::string_view reason_phrase(int status);

// What percent-decoding gives; nothing when an escape is broken. `plus_is_space` as forms and queries have it.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Everything but unreserved characters (RFC 3986, section 2.3) escaped.
std::string percent_encode(std::string_view text);
// "a=1&b=2"; nothing when an escape is broken or there are more than kParametersMax.
std::optional<std::vector<Parameter>> parse_query(std::string_view text);

inline constexpr std::size_t kParametersMax = 10'000;

}  // namespace qd::connect::http
