// Which user, password and database a server in a container was set up with: from its environment, its command, files
// that they name, and the labels quarterdeck.user, .password and .database.
#pragma once

#include <string>
#include <string_view>

#include "observe/container.h"
#include "observe/discovery/recognise.h"

namespace qd::observe::discovery {

struct Credentials {
  std::string user;
  std::string password;
  std::string database;
};

// Empty fields are not known, or not needed.
Credentials credentials_of(const Container& container, std::string_view kind, const Knowledge& knowledge);

}  // namespace qd::observe::discovery
