#include "connect/http/oauth2.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/strings.h"

namespace qd::connect::http {

using base::ErrorCode;

namespace {

// A token is not used in its last seconds: it may expire on the way.
constexpr std::int64_t kMarginMs = 10'000;
// Of one that names no end.
constexpr std::int64_t kUnknownValidMs = 3'600'000;
constexpr std::int64_t kValidMaxMs = 7 * 86'400'000LL;
constexpr std::size_t kSaidBytesMax = 200;

std::string text_of(const boost::json::object& object, std::string_view key) {
  const auto* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

base::Result<Token> read_token(const ClientResponse& response) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(response.body, error);
  const auto* const object = !error && json.is_object() ? &json.as_object() : nullptr;
  if (response.status / 100 != 2) {
    std::string said = object != nullptr ? text_of(*object, "error") : std::string();
    const std::string more = object != nullptr ? text_of(*object, "error_description") : std::string();
    if (!more.empty()) said.append(": ").append(more);
    return base::fail(ErrorCode::kPermission,
                      fmt::format("it answered {}{}{}; check client_id and client_secret", response.status,
                                  said.empty() ? "" : ": ", said.substr(0, kSaidBytesMax)));
  }
  if (object == nullptr) return base::fail(ErrorCode::kCorrupt, "its answer is no JSON object");
  Token token;
  token.text = text_of(*object, "access_token");
  if (token.text.empty()) return base::fail(ErrorCode::kCorrupt, "its answer has no access_token");
  double seconds = 0;
  if (const auto* const expires = object->if_contains("expires_in")) {
    // Some authorities write the number as a text.
    if (expires->is_number()) seconds = expires->to_number<double>();
    if (expires->is_string()) seconds = base::parse_float(std::string_view(expires->as_string())).value_or(0);
  }
  token.valid_ms = seconds > 0 ? static_cast<std::int64_t>(std::min(seconds * 1000, static_cast<double>(kValidMaxMs)))
                               : kUnknownValidMs;
  token.valid_ms = std::max<std::int64_t>(0, token.valid_ms - kMarginMs);
  return token;
}

}  // namespace qd::connect::http
