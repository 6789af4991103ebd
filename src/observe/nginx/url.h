// The URLs that nginx is asked by: http, https, and as nginx-prometheus-exporter writes them for a Unix socket,
// unix:/run/nginx.sock:/stub_status.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::observe::nginx {

struct Url {
  std::string fetched;      // what the HTTP client gets
  std::string unix_socket;  // empty for TCP
  std::string host;         // "127.0.0.1", "::1", "web.example"; empty for a Unix socket
  std::string instance;     // "127.0.0.1:80", or the path of the socket
  std::string path;         // "/stub_status", without the query
  std::string shown;        // for errors: without the query

  bool operator==(const Url&) const = default;
};

// kInvalid says what is wrong: another scheme, no host, a user and password in it (which would be shown).
base::Result<Url> parse_url(std::string_view text);

}  // namespace qd::observe::nginx
