// Changing the running configuration: every room prepares, then all commit, or nothing happens.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace qd::model::config {

struct Participant {
  // Does what cannot be taken back; must not fail.
  using Commit = std::function<void()>;

  std::string name;
  // Reads and checks all that the new configuration needs and changes nothing; dropping the commit undoes it.
  std::function<base::Result<Commit>()> prepare;
};

// Prepares all in order; when every one succeeded, commits all in order. Otherwise the error names every participant
// that refused and why, and nothing has changed.
base::Status reload(std::span<const Participant> participants);

}  // namespace qd::model::config
