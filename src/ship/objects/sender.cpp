#include "ship/objects/sender.h"

#include <fmt/format.h>

#include <charconv>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/build.h"

namespace qd::ship::objects {

using base::MutexLock;
using connect::http::ClientRequest;
using connect::http::ClientResponse;

namespace {

constexpr std::uint64_t kAnswerBytesMax = 1 << 20;

std::uint64_t content_length(const connect::http::Headers& headers) {
  std::uint64_t length = 0;
  if (const auto text = headers.get("Content-Length"))
    std::from_chars(text->data(), text->data() + text->size(), length);
  return length;
}

}  // namespace

base::Result<Answer> Sender::send(Outgoing outgoing) {
  ClientRequest request{.url = outgoing.url, .method = outgoing.method, .body = std::move(outgoing.body)};
  for (const auto& [name, value] : outgoing.headers) request.headers.add(name, value);
  request.headers.add("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
  request.deadline_ms = settings_.timeout_ms;
  request.body_bytes_max = kAnswerBytesMax;
  request.tls.ca_file = settings_.ca_file;
  // What is signed is for one host.
  request.follow_redirects = false;
  request.accept_gzip = false;
  auto answered = std::make_shared<std::promise<base::Result<ClientResponse>>>();
  auto answer = answered->get_future();
  {
    MutexLock lock(mutex_);
    if (client_ == nullptr) return base::fail(base::ErrorCode::kCancelled, "the upload was stopped");
    client_->fetch(std::move(request),
                   [answered](base::Result<ClientResponse> response) { answered->set_value(std::move(response)); });
  }
  auto response = answer.get();
  if (!response) return base::fail(response.error());
  return Answer{.status = response->status,
                .content_length = content_length(response->headers),
                .etag = std::string(response->headers.get("ETag").value_or("")),
                .body = std::move(response->body)};
}

void Sender::close() {
  MutexLock lock(mutex_);
  client_ = nullptr;
}

}  // namespace qd::ship::objects
