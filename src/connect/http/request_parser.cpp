// Hostile bytes must not stop a program that was built with assertions: Beast asserts on lengths that it handles.
#define BOOST_DISABLE_ASSERTS

#include "connect/http/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <optional>

#include "base/assert.h"
#include "base/strings.h"

namespace qd::connect::http {
namespace {

namespace beast = boost::beast;
using beast::http::error;

constexpr std::size_t kBytesAHeader = 32;  // what a header costs beside its text, charged against the limit
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

class RequestParser::Beast final : public beast::http::basic_parser<true> {
 public:
  Beast(std::size_t header_max, std::uint64_t body_max) : header_bytes_max(header_max), body_bytes_max(body_max) {
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_max, std::numeric_limits<int>::max())));
    body_limit(body_max);
  }

  void refuse(int status, std::string_view reason, std::string text) {
    if (refusal) return;
    refusal = Refusal{status, reason, std::move(text)};
  }

  void refuse_header_size() {
    refuse(431, "header_too_large", fmt::format("the request header is larger than {} bytes", header_bytes_max));
  }

  void explain(const beast::error_code& failure, std::string_view bytes) {
    if (failure == error::header_limit) return refuse_header_size();
    if (failure == error::body_limit)
      return refuse(413, "body_too_large", fmt::format("the request body is larger than {} bytes", body_bytes_max));
    if (failure == error::bad_version && bytes.substr(0, bytes.find('\n')).find(" HTTP/2") != std::string_view::npos)
      return refuse(505, "malformed", "only HTTP/1.0 and HTTP/1.1 are spoken here");
    refuse(400, "malformed", fmt::format("malformed request: {}", failure.message()));
  }

  // Beast does not look at a header again before it seems whole, which one with bare line feeds never does.
  void look_at_rest(std::string_view rest) {
    if (rest.size() >= header_bytes_max) return refuse_header_size();
    for (auto at = rest.find('\n'); at != std::string_view::npos; at = rest.find('\n', at + 1))
      if (at > 0 && rest[at - 1] != '\r') return refuse(400, "malformed", "malformed request: a bare line feed");
  }

  // What the header as a whole must satisfy, and what follows from it.
  void finish_header() {
    if (host_headers > 1) return refuse(400, "malformed", "more than one Host header");
    if (version == 11 && host_headers == 0) return refuse(400, "malformed", "HTTP/1.1 requires a Host header");
    if (version == 10 && chunked()) return refuse(400, "malformed", "HTTP/1.0 knows no Transfer-Encoding");
    if (const auto expect = request.headers.get("Expect")) {
      if (!equal_ignoring_case(*expect, "100-continue"))
        return refuse(417, "malformed", "only Expect: 100-continue can be met");
      expects_continue = version == 11;
    }
    read_target();
  }

  void read_target() {
    std::string_view target = request.target;
    if (const auto host = request.headers.get("Host")) request.host = *host;
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (target.size() <= scheme.size() || !equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
      target.remove_prefix(scheme.size());
      const auto end = std::min(target.find_first_of("/?"), target.size());
      request.host = target.substr(0, end);
      target.remove_prefix(end);
      if (target.empty() || target.front() == '?') request.path = "/";
    }
    if (request.path.empty() && target != "*" && !target.starts_with('/'))
      return refuse(400, "malformed", "the request target must be a path or an http URL");
    const auto question = std::min(target.find('?'), target.size());
    auto path = percent_decode(target.substr(0, question), false);
    if (!path) return refuse(400, "malformed", "a broken percent escape in the path");
    if (path->find('\0') != std::string::npos) return refuse(400, "malformed", "a NUL in the path");
    if (!path->empty()) request.path = std::move(*path);
    auto query = parse_query(target.substr(std::min(question + 1, target.size())));
    if (query) {
      request.query = std::move(*query);
    } else {
      request.parameters_error =
          fmt::format("a broken percent escape or more than {} parameters in the query", kParametersMax);
    }
  }

  void read_form() {
    if (request.method != "POST" && request.method != "PUT" && request.method != "PATCH") return;
    if (!request.parameters_error.empty()) return;
    const auto type = request.headers.get("Content-Type");
    if (!type || !equal_ignoring_case(base::trim(type->substr(0, type->find(';'))), kForm)) return;
    auto form = parse_query(request.body);
    if (form) {
      request.form = std::move(*form);
    } else {
      request.parameters_error =
          fmt::format("a broken percent escape or more than {} parameters in the form", kParametersMax);
      request.query.clear();
    }
  }

  const std::size_t header_bytes_max;
  const std::uint64_t body_bytes_max;
  Request request;
  std::optional<Refusal> refusal;
  std::size_t header_bytes = 0;
  int host_headers = 0;
  int version = 11;
  bool expects_continue = false;
  bool header_seen = false;  // put() has stopped behind it
  bool complete = false;

 private:
  // Beast bounds a line, not their sum.
  void charge_header(std::size_t bytes, beast::error_code& ec) {
    header_bytes += bytes;
    if (header_bytes <= header_bytes_max) return;
    refuse_header_size();
    ec = error::header_limit;
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int http_version,
                       beast::error_code& ec) override {
    charge_header(method.size() + target.size(), ec);
    version = http_version;
    request.method = view(method);
    request.target = view(target);
  }

  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value,
                     beast::error_code& ec) override {
    charge_header(name.size() + value.size() + kBytesAHeader, ec);
    if (ec || is_header_done()) return;  // a trailer says nothing that we heed
    if (field == beast::http::field::host) ++host_headers;
    if (field == beast::http::field::transfer_encoding && !equal_ignoring_case(view(value), "chunked")) {
      refuse(501, "malformed", "the only transfer coding understood here is chunked");
      ec = error::bad_transfer_encoding;
      return;
    }
    request.headers.add(std::string(view(name)), std::string(view(value)));
  }

  std::size_t append_body(beast::string_view bytes) {
    request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view bytes, beast::error_code&) override { return append_body(bytes); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view bytes, beast::error_code&) override {
    return append_body(bytes);
  }
  void on_finish_impl(beast::error_code&) override { complete = true; }
};

RequestParser::RequestParser(std::size_t header_bytes_max, std::uint64_t body_bytes_max)
    : beast_(std::make_unique<Beast>(header_bytes_max, body_bytes_max)) {}
RequestParser::~RequestParser() = default;

std::size_t RequestParser::put(std::string_view bytes) {
  Beast& beast = *beast_;
  if (beast.refusal || (beast.complete && beast.header_seen)) return 0;
  std::size_t taken = 0;
  if (!beast.is_header_done()) {
    beast::error_code failure;
    beast.eager(false);
    // A first put takes the request line, if the header is not whole; asking again takes the fields.
    taken = beast.put(boost::asio::const_buffer(bytes.data(), bytes.size()), failure);
    if (failure == error::need_more) {
      beast.look_at_rest(bytes.substr(taken));
      return taken;
    }
    if (failure) {
      beast.explain(failure, bytes);
      return taken;
    }
    beast.finish_header();
  }
  if (!beast.header_seen) {
    beast.header_seen = true;
    if (!beast.complete || beast.refusal) return taken;
  } else {
    beast::error_code failure;
    beast.eager(true);
    taken = beast.put(boost::asio::const_buffer(bytes.data(), bytes.size()), failure);
    if (failure && failure != error::need_more) {
      beast.explain(failure, bytes);
      return taken;
    }
    // Only the line of a chunk and trailers wait to be whole.
    if (!beast.complete && bytes.size() - taken >= beast.header_bytes_max) beast.refuse_header_size();
  }
  if (beast.complete && !beast.refusal) beast.read_form();
  return taken;
}

RequestParser::State RequestParser::state() const {
  if (beast_->refusal) return State::kMalformed;
  if (!beast_->header_seen) return State::kHeader;
  return beast_->complete ? State::kComplete : State::kBody;
}

const RequestParser::Refusal& RequestParser::refusal() const {
  QD_ASSERT(beast_->refusal.has_value());
  return *beast_->refusal;
}

const Request& RequestParser::request() const {
  return beast_->request;
}

bool RequestParser::keep_alive() const {
  return beast_->keep_alive();
}

bool RequestParser::http_1_1() const {
  return beast_->version == 11;
}

bool RequestParser::expects_continue() const {
  return beast_->expects_continue;
}

AcceptedEncodings RequestParser::accepted_encodings() const {
  const auto header = beast_->request.headers.get("Accept-Encoding");
  return header ? parse_accept_encoding(*header) : AcceptedEncodings{};
}

std::uint64_t RequestParser::body_bytes() const {
  return beast_->request.body.size();
}

Request RequestParser::take() {
  QD_ASSERT(state() == State::kComplete);
  return std::move(beast_->request);
}

}  // namespace qd::connect::http
