// One line of an access log, read without copying.
//
// Two forms are known, told apart line by line: a JSON object (log_format … escape=json '{"status":"$status",…}'), and
// the combined format, which has no times and no upstreams. What stands before the request or behind the bytes of a
// combined line is passed over, so that vcombined and formats that add to it are read as well.
//
// JSON as nginx's users write it, not as it should be: a variable without quotes may be empty or a list
// ("upstream_response_time":0.001, 0.002), and escapes that are none do no harm. Nested values are passed over.
#pragma once

#include <optional>
#include <string_view>

namespace qd::observe::nginx {

// Views of the line; empty where the line has nothing or "-". Text of a JSON string is as it stands there, with its
// escapes.
struct LogLine {
  std::string_view method;  // "GET"
  std::string_view status;  // three digits
  std::string_view host;    // server_name, else host, else http_host
  std::string_view response_bytes;
  std::string_view request_bytes;
  std::string_view request_time;
  // A list each, an item for each server that was tried: "10.0.0.1:80, 10.0.0.2:80 : unix:/run/b.sock".
  std::string_view upstream_addr;
  std::string_view upstream_status;
  std::string_view upstream_time;
  std::string_view upstream_connect_time;
};

// Nothing when the line is of neither form or has no status.
std::optional<LogLine> parse_log_line(std::string_view text);

// Takes the first item off a list of nginx's $upstream_… variables: items are separated by ", " and, where a request
// was redirected internally, by " : ". Empty for "-".
std::string_view next_item(std::string_view& list);

}  // namespace qd::observe::nginx
