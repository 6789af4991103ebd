#include "cli/remote.h"

#include <fmt/format.h>

#include <future>

#include "connect/event_loop.h"

namespace qd::cli {

using base::ErrorCode;
namespace json = boost::json;

void Remote::add_to(CommandLine& command) {
  command.option("--url", url, "where the server is", {.shows_default = true});
  command.option("--token", token, "an access token (or QUARTERDECK_TOKEN)", {.environment = "QUARTERDECK_TOKEN"});
  command.option("--ca-file", ca_file, "the authority of the server's certificate, as PEM");
}

base::Result<connect::http::ClientResponse> ask(const Remote& remote, const std::string& path, std::string form) {
  base::Registry registry;
  connect::EventLoop loop;
  QD_TRY(loop.start(1));
  QD_ASSIGN(auto client, connect::http::Client::create(loop, {}, registry));
  std::string url = remote.url;
  while (url.ends_with('/')) url.pop_back();
  connect::http::ClientRequest request{.url = url + path};
  if (!form.empty()) {
    request.method = "POST";
    request.body = std::move(form);
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  }
  request.deadline_ms = 150'000;
  request.body_bytes_max = 1ULL << 30;
  request.bearer_token = remote.token;
  request.tls.ca_file = remote.ca_file;
  std::promise<base::Result<connect::http::ClientResponse>> answer;
  client->fetch(std::move(request),
                [&](base::Result<connect::http::ClientResponse> response) { answer.set_value(std::move(response)); });
  return answer.get_future().get();
}

base::Result<json::value> data_of(const Remote& remote, const connect::http::ClientResponse& response) {
  boost::system::error_code broken;
  const auto parsed = json::parse(response.body, broken);
  const auto* answer = broken ? nullptr : parsed.if_object();
  const auto* status = answer ? answer->if_contains("status") : nullptr;
  if (status && *status == "success") {
    if (const auto* data = answer->if_contains("data")) return *data;
  }
  if (const auto* error = status ? answer->if_contains("error") : nullptr)
    return base::fail(ErrorCode::kInvalid, text_of(*error));
  return base::fail(ErrorCode::kUnavailable,
                    fmt::format("{} answered {} with something that is no answer of this API: is it a Quarterdeck of "
                                "this version?",
                                remote.url, response.status));
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.as_string()) : json::serialize(value);
}

}  // namespace qd::cli
