// Access tokens: who may act through the API. Only a digest is kept; the token itself is shown once, when it is made.
//
// A token is "qd_" and 43 characters of base64url (256 random bits), so a plain SHA-256 is enough of a digest.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/state/database.h"

namespace qd::store::state {

// What a token is good for.
enum class Scope : std::uint8_t {
  kAll,
  kRead,  // looking, and nothing else
  kSend,  // sending data in, and nothing else: for hosts that forward
};
// "all", "read", "send".
std::string_view to_string(Scope scope);
std::optional<Scope> parse_scope(std::string_view text);

struct Token {
  std::string id;  // eight characters, for `token revoke`
  std::string name;
  std::int64_t created_ms = 0;
  std::int64_t revoked_ms = 0;  // 0 while it is good
  Scope scope = Scope::kAll;
};

class Tokens {
 public:
  // `database` outlives this.
  explicit Tokens(Database& database) : database_(database) {}

  // The secret. kConflict when a token of this name exists; kInvalid for a name that is empty or over 100 bytes.
  base::Result<std::string> add(std::string_view name, Scope scope, std::int64_t now_ms);
  base::Result<std::vector<Token>> list();
  // By id or name. kNotFound when there is none that is still good.
  base::Status revoke(std::string_view id_or_name, std::int64_t now_ms);
  // Whose secret this is; nothing for an unknown or a revoked one.
  base::Result<std::optional<Token>> find(std::string_view secret);

 private:
  Database& database_;
};

}  // namespace qd::store::state
