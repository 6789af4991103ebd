// One HTTP/1 request out of bytes that arrive in any pieces.
//
// Strict where laxness lets requests be smuggled past a proxy (RFC 9112, sections 5 to 7): no bare line feeds, no
// Content-Length beside Transfer-Encoding, no differing lengths, no transfer coding but chunked, exactly one Host in
// HTTP/1.1, no control characters. Memory is bounded by the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "connect/http/encoding.h"
#include "connect/http/message.h"

namespace qd::connect::http {

class RequestParser {
 public:
  enum class State {
    kHeader,     // of the header, more bytes are needed
    kBody,       // the header is done; of the body, more bytes are needed
    kComplete,   // take() the request
    kMalformed,  // refusal() says why; no more can be read from this connection
  };
  struct Refusal {
    int status;
    std::string_view reason;  // for counting: one of few words
    std::string text;         // for the client
  };

  RequestParser(std::size_t header_bytes_max, std::uint64_t body_bytes_max);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes what it can of `bytes`, from their front; the rest must come again, with more behind it. Stops behind the
  // header once, so that the caller can look at it, and behind the request.
  std::size_t put(std::string_view bytes);
  State state() const;
  const Refusal& refusal() const;  // REQUIRES: kMalformed

  // REQUIRES: the header is done.
  const Request& request() const;
  bool keep_alive() const;
  bool http_1_1() const;
  bool expects_continue() const;
  AcceptedEncodings accepted_encodings() const;

  std::uint64_t body_bytes() const;  // so far
  Request take();                    // REQUIRES: kComplete

 private:
  class Beast;
  std::unique_ptr<Beast> beast_;
};

}  // namespace qd::connect::http
