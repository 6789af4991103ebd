// Asking a running Quarterdeck (or Prometheus) over its API.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "base/result.h"
#include "cli/command_line.h"
#include "connect/http/client.h"

namespace qd::cli {

struct Remote {
  std::string url = "http://127.0.0.1:9090";
  std::string token;
  std::string ca_file;
  // --url, --token, --ca-file.
  void add_to(CommandLine& command);
};

// GET, or POST where there is a form. Any status is a success.
base::Result<connect::http::ClientResponse> ask(const Remote& remote, const std::string& path, std::string form = {});

// What an answer of the API holds: {"status":"success","data":…}. kInvalid with the server's own error; kUnavailable
// for something that is no such answer.
base::Result<boost::json::value> data_of(const Remote& remote, const connect::http::ClientResponse& response);

// Texts as they are, everything else as JSON.
std::string text_of(const boost::json::value& value);

}  // namespace qd::cli
