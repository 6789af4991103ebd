#include "ship/objects/signature.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/strings.h"

namespace qd::ship::objects {

namespace {

constexpr std::string_view kService = "s3";

// Every byte but the unreserved ones of RFC 3986; slashes stay in a path.
std::string encoded(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved || (keep_slashes && c == '/')) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string query_of(const SignedRequest& request) {
  std::string out;
  for (const auto& [name, value] : request.query)
    out += fmt::format("{}{}={}", out.empty() ? "" : "&", encoded(name, false), encoded(value, false));
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string digest(const EVP_MD* kind, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr);
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), out.data(), &size);
  return {reinterpret_cast<const char*>(out.data()), size};
}

// 20130524T000000Z
std::string amazon_time(model::TimestampMs now_ms) {
  std::string out;
  for (const char c : base::format_time(now_ms).substr(0, 19)) {
    if (c != '-' && c != ':') out.push_back(c);
  }
  return out + "Z";
}

}  // namespace

std::string sign(SignedRequest& request, const Credentials& credentials, model::TimestampMs now_ms) {
  const std::string time = amazon_time(now_ms);
  const std::string day = time.substr(0, 8);
  request.headers["x-amz-date"] = time;
  request.headers["x-amz-content-sha256"] = request.body_sha256;
  std::string names;
  std::string headers;
  for (const auto& [name, value] : request.headers) {
    names += fmt::format("{}{}", names.empty() ? "" : ";", name);
    headers += fmt::format("{}:{}\n", name, base::trim(value));
  }
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, encoded(request.path, true),
                                            query_of(request), headers, names, request.body_sha256);
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", day, credentials.region, kService);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, sha256_hex(canonical));
  std::string key = "AWS4" + credentials.secret_key;
  for (const std::string_view part :
       {std::string_view(day), std::string_view(credentials.region), kService, std::string_view("aws4_request")}) {
    key = hmac(key, part);
  }
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}", credentials.access_key, scope,
                     names, hex(hmac(key, to_sign)));
}

std::string target_of(const SignedRequest& request) {
  const std::string query = query_of(request);
  return encoded(request.path, true) + (query.empty() ? "" : "?" + query);
}

std::string sha256_hex(std::string_view bytes) {
  return hex(digest(EVP_sha256(), bytes));
}

std::string md5_base64(std::string_view bytes) {
  const std::string raw = digest(EVP_md5(), bytes);
  std::array<unsigned char, 32> out{};
  const int size =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(raw.data()), static_cast<int>(raw.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(size)};
}

}  // namespace qd::ship::objects
