// From a request to a Principal, and what refuses a request before that.
//
// Thread-safe after construction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "connect/http/message.h"
#include "model/config/schema.h"
#include "serve/principal.h"
#include "store/state/tokens.h"

namespace qd::serve {

struct User {
  std::string name;
  std::string password;
};

// The section serve: of quarterdeck.yaml, as far as who may connect and what for.
struct ServeSettings {
  std::vector<std::string> listen = {"127.0.0.1:9090"};
  std::string unix_socket;
  std::vector<std::string> hosts;
  bool auth_tokens = false;
  bool auth_loopback_open = true;
  std::vector<User> auth_users;
  std::string tls_cert_file;
  std::string tls_key_file;
  bool access_log = false;

  bool auth_set() const { return auth_tokens || !auth_users.empty(); }
};
void declare(model::config::Schema& schema, ServeSettings& settings);

// kPermission, with the cure, when an address in serve.listen reaches beyond loopback without serve.auth and serve.tls.
base::Status check_exposure(const ServeSettings& settings);
// The same of one address, "HOST:PORT", that `setting` names.
base::Status check_reach(const ServeSettings& settings, std::string_view setting, const std::string& address);

class Authenticator {
 public:
  // `tokens` outlives this.
  Authenticator(const ServeSettings& settings, store::state::Tokens& tokens);

  // Against DNS rebinding and cross-site calls: kPermission when the Host header names neither an IP address, nor
  // localhost, nor this host, nor one of serve.hosts, or when an Origin header names another site.
  base::Status check_site(const connect::http::Request& request) const;
  // kPermission for credentials that are wrong (never for missing ones). kUnavailable when they cannot be looked up.
  base::Result<Principal> identify(const connect::http::Request& request) const;

 private:
  bool known_host(std::string_view host) const;

  const ServeSettings settings_;
  const std::string host_name_;
  store::state::Tokens& tokens_;
};

}  // namespace qd::serve
