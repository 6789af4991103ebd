#include "store/state/tokens.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

namespace qd::store::state {

namespace {

using base::ErrorCode;

constexpr std::size_t kNameBytesMax = 100;
constexpr std::size_t kSecretBytes = 32;
constexpr std::string_view kPrefix = "qd_";

std::string base64url(std::span<const unsigned char> bytes) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const auto byte : bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 6; held -= 6) out += kAlphabet[(bits >> (held - 6)) & 0x3f];
  }
  if (held > 0) out += kAlphabet[(bits << (6 - held)) & 0x3f];
  return out;
}

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// What a later program wrote there may do nothing here but what every scope may.
Token token_of(const Row& row) {
  return {.id = std::get<std::string>(row[0]),
          .name = std::get<std::string>(row[1]),
          .created_ms = std::get<std::int64_t>(row[2]),
          .revoked_ms = std::get<std::int64_t>(row[3]),
          .scope = parse_scope(std::get<std::string>(row[4])).value_or(Scope::kSend)};
}

}  // namespace

std::string_view to_string(Scope scope) {
  switch (scope) {
    case Scope::kAll:
      return "all";
    case Scope::kRead:
      return "read";
    case Scope::kSend:
      return "send";
  }
  return {};
}

std::optional<Scope> parse_scope(std::string_view text) {
  for (const Scope scope : {Scope::kAll, Scope::kRead, Scope::kSend}) {
    if (to_string(scope) == text) return scope;
  }
  return std::nullopt;
}

base::Result<std::string> Tokens::add(std::string_view name, Scope scope, std::int64_t now_ms) {
  if (name.empty() || name.size() > kNameBytesMax)
    return base::fail(ErrorCode::kInvalid, fmt::format("a token's name has 1 to {} bytes", kNameBytesMax));
  std::array<unsigned char, kSecretBytes> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return base::fail(ErrorCode::kUnavailable, "making a token: the system gives no random bytes");
  std::string secret = std::string(kPrefix) + base64url(random);
  const std::string digest = sha256_hex(secret);
  const Cell parameters[] = {digest.substr(0, 8), std::string(name), digest, now_ms, std::string(to_string(scope))};
  const auto made =
      database_.run("INSERT INTO tokens (id, name, digest, created_ms, scope) VALUES (?, ?, ?, ?, ?)", parameters);
  if (!made && made.error().code() == ErrorCode::kConflict)
    return base::fail(ErrorCode::kConflict, fmt::format("there is a token \"{}\" already: choose another name", name));
  if (!made) return base::fail(made.error());
  return secret;
}

base::Result<std::vector<Token>> Tokens::list() {
  QD_ASSIGN(const auto rows,
            database_.run("SELECT id, name, created_ms, revoked_ms, scope FROM tokens ORDER BY created_ms, id"));
  std::vector<Token> tokens;
  for (const auto& row : rows) tokens.push_back(token_of(row));
  return tokens;
}

base::Status Tokens::revoke(std::string_view id_or_name, std::int64_t now_ms) {
  const Cell parameters[] = {now_ms, std::string(id_or_name)};
  QD_ASSIGN(const auto rows, database_.run("UPDATE tokens SET revoked_ms = ?1 WHERE (id = ?2 OR name = ?2) AND"
                                           " revoked_ms = 0 RETURNING id",
                                           parameters));
  if (rows.empty())
    return base::fail(ErrorCode::kNotFound,
                      fmt::format("there is no valid token \"{}\": see `quarterdeck token list`", id_or_name));
  return {};
}

base::Result<std::optional<Token>> Tokens::find(std::string_view secret) {
  if (!secret.starts_with(kPrefix)) return std::optional<Token>();
  const Cell parameters[] = {sha256_hex(secret)};
  QD_ASSIGN(
      const auto rows,
      database_.run("SELECT id, name, created_ms, revoked_ms, scope FROM tokens WHERE digest = ? AND revoked_ms = 0",
                    parameters));
  if (rows.empty()) return std::optional<Token>();
  return std::optional<Token>(token_of(rows.front()));
}

}  // namespace qd::store::state
