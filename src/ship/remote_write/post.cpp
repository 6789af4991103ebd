#include "ship/remote_write/post.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "base/build.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"

namespace qd::ship::remote_write {

namespace {

constexpr std::uint64_t kAnswerBytesMax = 1 << 20;

connect::http::ClientRequest request_of(const ForwardSettings& settings, std::string body) {
  connect::http::ClientRequest request{.url = write_url(settings.url), .method = "POST", .body = std::move(body)};
  request.headers.add("Content-Type", std::string(model::remote_write::kContentType));
  request.headers.add("Content-Encoding", "snappy");
  request.headers.add(std::string(model::remote_write::kVersionHeader), std::string(model::remote_write::kVersion));
  request.headers.add("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
  request.deadline_ms = settings.timeout_ms;
  request.body_bytes_max = kAnswerBytesMax;
  request.tls = {.ca_file = settings.ca_file,
                 .cert_file = settings.cert_file,
                 .key_file = settings.key_file,
                 .server_name = settings.server_name,
                 .insecure_skip_verify = settings.insecure_skip_verify};
  if (!settings.user.empty())
    request.basic_auth = connect::http::BasicAuth{.user = settings.user, .password = settings.password};
  request.bearer_token = settings.token;
  // A redirect is told to the operator, not followed: the body would go on as a GET without it.
  request.follow_redirects = false;
  return request;
}

// Where a receiver tells one of them, what it does not tell is none (remote write 2.0, "Required Written Response
// Headers").
std::optional<Amounts> written(const connect::http::Headers& headers) {
  namespace wire = model::remote_write;
  Amounts amounts;
  bool told = false;
  for (const auto& [name, count] : {std::pair{wire::kWrittenHeader, &amounts.samples},
                                    std::pair{wire::kHistogramsWrittenHeader, &amounts.histograms},
                                    std::pair{wire::kExemplarsWrittenHeader, &amounts.exemplars}}) {
    const auto text = headers.get(name);
    if (!text) continue;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *count);
    if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
    told = true;
  }
  return told ? std::optional(amounts) : std::nullopt;
}

connect::http::ClientRequest request_of(const Destination& destination, bool v2, std::string body) {
  namespace wire = model::remote_write;
  connect::http::ClientRequest request{.url = destination.url, .method = "POST", .body = std::move(body)};
  for (const auto& [name, value] : destination.headers) request.headers.add(name, value);
  request.headers.set("Content-Type", std::string(v2 ? wire::kContentTypeV2 : wire::kContentType));
  request.headers.set("Content-Encoding", "snappy");
  request.headers.set(std::string(wire::kVersionHeader), std::string(v2 ? wire::kVersionV2 : wire::kVersion));
  request.headers.set("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
  request.deadline_ms = destination.timeout_ms;
  request.body_bytes_max = kAnswerBytesMax;
  request.follow_redirects = false;
  return request;
}

connect::http::Client::Then hand_to(std::function<void(base::Result<Answer>)> then, std::string_view setting) {
  return [then = std::move(then), setting](base::Result<connect::http::ClientResponse> response) {
    if (!response) return then(base::fail(response.error()));
    if (const auto to = response->headers.get("Location"); to && response->status / 100 == 3)
      response->body =
          fmt::format("a redirect to {}; write where it leads to into {}", shown_url(std::string(*to)), setting);
    then(Answer{.status = response->status,
                .retry_after = std::string(response->headers.get("Retry-After").value_or("")),
                .text = std::move(response->body),
                .written = written(response->headers)});
  };
}

}  // namespace

Sender::Post post_by(connect::http::Client& client, std::function<ForwardSettings()> settings) {
  return [&client, settings = std::move(settings)](std::string body, std::function<void(base::Result<Answer>)> then) {
    client.fetch(request_of(settings(), std::move(body)), hand_to(std::move(then), "forward.url"));
  };
}

ShardedSender::PostTo post_to(connect::http::ConfiguredFetch fetch) {
  return [fetch = std::move(fetch)](const Destination& destination, bool v2, std::string body,
                                    std::function<void(base::Result<Answer>)> then) {
    fetch(destination.http, request_of(destination, v2, std::move(body)),
          hand_to(std::move(then), "ship.remote_write"));
  };
}

}  // namespace qd::ship::remote_write
