// Who asks. Made by the Authenticator, travels with the request down to whatever acts on it.
#pragma once

#include <string>

#include "store/state/tokens.h"

namespace qd::serve {

// What a route needs of who asks.
enum class Access {
  kOpen,    // nothing: health for load balancers
  kRead,    // looking
  kIngest,  // sending data in, silences, acknowledgements
  kAct,     // changing the platform or Quarterdeck itself
};

struct Principal {
  enum class Kind {
    kNobody,    // no credentials, from beyond loopback
    kLoopback,  // no credentials, from this machine: may read and send data in
    kUser,      // serve.auth.users
    kToken,     // `quarterdeck token add`
    kUnixPeer,  // the other end of the Unix socket, being root or our own user
  };
  Kind kind = Kind::kNobody;
  std::string name;                                       // "ops", "deploy", "uid 0"; empty for kNobody
  store::state::Scope scope = store::state::Scope::kAll;  // of kToken

  bool may(Access access) const {
    if (access == Access::kOpen) return true;
    if (kind == Kind::kNobody) return false;
    if (scope == store::state::Scope::kRead) return access == Access::kRead;
    if (scope == store::state::Scope::kSend) return access == Access::kIngest;
    return kind != Kind::kLoopback || access != Access::kAct;
  }
  // "token deploy", "loopback": for logs and records of actions.
  std::string to_string() const;
};

}  // namespace qd::serve
