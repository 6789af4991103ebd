// One response as bytes to send: header, body, and how they are framed and packed (RFC 9112, section 6).
//
// Small bodies stand behind the header in one piece; large ones are sent from where they are; generated ones come piece
// by piece, chunked where the client knows that.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "connect/http/encoding.h"
#include "connect/http/message.h"

namespace qd::connect::http {

// What a response depends on of its request.
struct ResponseTerms {
  AcceptedEncodings accepts;
  bool head = false;  // of a HEAD request: no body
  bool http_1_1 = true;
  bool keep_alive = true;
};

inline constexpr std::size_t kGzipBytesMin = 1024;  // smaller bodies are not worth packing

class ResponseWriter {
 public:
  ResponseWriter() = default;
  // Packs the body, where that is agreed: of a large one this takes a while.
  ResponseWriter(Response response, const ResponseTerms& terms);

  // Adds the last lines of the header. A connection that the client wanted to keep closes with keep_alive false.
  void begin(bool keep_alive, std::int64_t wall_ms);

  int status() const { return status_; }
  // False when only the end of the connection tells the client where the body ends.
  bool framed() const { return framed_; }

  // What to send next: `first`, then `second`. Both empty: call refill.
  std::string_view first() const { return std::string_view(buffer_).substr(buffer_at_); }
  std::string_view second() const { return body_; }
  void sent(std::size_t bytes);

  enum class More { kPiece, kNothingYet, kEnd };
  // Calls the generator.
  More refill();

 private:
  int status_ = 200;
  bool framed_ = true;
  bool chunked_ = false;
  bool http_1_1_ = true;
  bool generated_ = false;
  bool varies_ = false;
  std::string_view encoding_;
  std::string buffer_;
  std::size_t buffer_at_ = 0;
  std::shared_ptr<const void> owner_;
  std::string_view body_;
  Generator generator_;
  std::unique_ptr<GzipStream> gzip_;
};

}  // namespace qd::connect::http
