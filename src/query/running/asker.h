// Who has a query run, as limits, logs and the file of running queries name it.
#pragma once

#include <string>

namespace qd::query::running {

struct Asker {
  std::string principal;  // "loopback", "token deploy", "rules": whom limits are counted for
  // Of a request; empty for a rule.
  std::string client_ip;
  std::string method;
  std::string path;
  // Of a rule; empty for a request.
  std::string rule_file;
  std::string rule_group;
};

}  // namespace qd::query::running
