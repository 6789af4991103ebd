// A value of OTLP as text: a scalar as it is, lists and mappings as JSON. For this room alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qd::model::otlp {

class AnyText {
 public:
  void text(std::string_view value);   // a text
  void plain(std::string_view value);  // a number or a flag
  void bytes(std::string_view value);  // in base64
  void nothing();                      // a value that is not there
  void open(char bracket);
  void key(std::string_view name);
  void close(char bracket);

  std::string take();

 private:
  void separate();

  std::string out_;
  int depth_ = 0;
  bool first_ = true;
};

inline constexpr std::size_t kTraceIdBytes = 16;
inline constexpr std::size_t kSpanIdBytes = 8;
// An id of a trace or a span in lower case; empty unless `hex` has just the digits of `bytes` bytes, not all zero.
std::string id_text(std::string_view hex, std::size_t bytes);

}  // namespace qd::model::otlp
