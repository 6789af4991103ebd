// What an authority answers to a request for a token (RFC 6749, section 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "connect/http/client.h"

namespace qd::connect::http {

inline constexpr std::size_t kTokenAnswerBytesMax = 1 << 20;

struct Token {
  std::string text;
  std::int64_t valid_ms = 0;  // how long it may be used, with a margin taken off
};

// kPermission when the authority refuses, with its words; kCorrupt for what is no answer of one.
base::Result<Token> read_token(const ClientResponse& response);

}  // namespace qd::connect::http
