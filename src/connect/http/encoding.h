// Which content encodings a client takes (RFC 9110, section 12.5.3), and gzip both ways.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::connect::http {

struct AcceptedEncodings {
  bool gzip = false;
  bool brotli = false;
};

// Of an Accept-Encoding header; an encoding with q=0 is refused, however it is spelled.
AcceptedEncodings parse_accept_encoding(std::string_view header);

// Text, JSON, JavaScript, XML, SVG and WebAssembly; not what is packed already.
bool compressible(std::string_view content_type);

// Packs in pieces, for bodies whose end is not known. One thread at a time.
class GzipStream {
 public:
  GzipStream();
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // Appends to `out` what is ready (may be nothing until `last`).
  void append(std::string_view in, bool last, std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string gzip(std::string_view in);
// kInvalid when `in` is not one whole gzip member, kLimit when it would unpack to more than `bytes_max`.
base::Result<std::string> gunzip(std::string_view in, std::size_t bytes_max);

}  // namespace qd::connect::http
