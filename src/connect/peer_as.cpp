#include "connect/peer_as.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "base/assert.h"

namespace qd::connect {
namespace {

// The C library's call changes every thread, the kernel's one.
bool set_effective(uid_t user) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  return ::syscall(SYS_setresuid, kSame, user, kSame) == 0;
}

}  // namespace

PeerAs::PeerAs(std::optional<uid_t> user) {
  const uid_t now = ::geteuid();
  if (!user || *user == now) return;
  dumpable_ = ::prctl(PR_GET_DUMPABLE);
  if (set_effective(*user)) before_ = now;
}

PeerAs::~PeerAs() {
  if (!before_) return;
  QD_ASSERT(set_effective(*before_), std::to_string(*before_));
  // The kernel takes a change of user for a reason to hide the process's memory.
  if (dumpable_ == 1) ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace qd::connect
