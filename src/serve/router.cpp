#include "serve/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/format.h"
#include "base/strings.h"
#include "serve/json.h"

namespace qd::serve {

namespace {

using connect::http::equal_ignoring_case;
using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;

// How well a route's path fits: 0 not, 3 exactly, 2 with {name}, 1 with /*.
int fit(std::string_view pattern, std::string_view path, std::string& parameter) {
  if (pattern == path) return 3;
  if (pattern.ends_with("/*")) {
    const auto prefix = pattern.substr(0, pattern.size() - 1);
    if (!path.starts_with(prefix)) return 0;
    parameter = path.substr(prefix.size());
    return 1;
  }
  const auto open = pattern.find('{');
  if (open == std::string_view::npos) return 0;
  const auto before = pattern.substr(0, open);
  const auto after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return 0;
  const auto inside = path.substr(before.size(), path.size() - before.size() - after.size());
  if (inside.find('/') != std::string_view::npos) return 0;
  parameter = inside;
  return 2;
}

bool is_api(const Request& request) {
  return request.path.starts_with("/api/");
}

Response refusal(const Request& request, int status, std::string_view error_type, const std::string& message) {
  if (is_api(request)) return api_error(status, error_type, message);
  return Response::text(status, message + "\n");
}

// The first coding that a body came in, "gzip"; empty for none.
std::string_view body_encoding(const Request& request) {
  if (request.body.empty()) return {};
  for (const auto& header : request.headers) {
    if (!equal_ignoring_case(header.name, "Content-Encoding")) continue;
    for (const auto item : base::split(header.value, ',')) {
      const auto coding = base::trim(item);
      if (!coding.empty() && !equal_ignoring_case(coding, "identity")) return coding;
    }
  }
  return {};
}

}  // namespace

Response api_error(int status, std::string_view error_type, std::string_view message) {
  std::string body;
  JsonWriter(body)
      .begin_object()
      .field("status", "error")
      .field("errorType", error_type)
      .field("error", message)
      .end_object();
  return Response::json(status, std::move(body));
}

Response api_error(const base::Error& error) {
  switch (error.code()) {
    case base::ErrorCode::kInvalid:
      return api_error(400, "bad_data", error.message());
    case base::ErrorCode::kNotFound:
      return api_error(404, "not_found", error.message());
    case base::ErrorCode::kTimeout:
      return api_error(503, "timeout", error.message());
    case base::ErrorCode::kCancelled:
      return api_error(503, "canceled", error.message());
    case base::ErrorCode::kUnavailable:
      return api_error(503, "unavailable", error.message());
    case base::ErrorCode::kPermission:
      return api_error(403, "forbidden", error.message());
    case base::ErrorCode::kCorrupt:
    case base::ErrorCode::kInternal:
      return api_error(500, "internal", error.message());
    case base::ErrorCode::kConflict:
    case base::ErrorCode::kLimit:
      break;
  }
  return api_error(422, "execution", error.message());
}

Router::Router(const Authenticator& authenticator, base::ThreadPool& pool, base::Log& log, base::Registry& registry)
    : authenticator_(authenticator),
      pool_(pool),
      log_(log),
      refused_(registry.counter("quarterdeck_http_forbidden_total",
                                "Requests refused for their Host, Origin, credentials or rights.")),
      registry_(registry) {}

void Router::add(Route route) {
  if (std::find(route.methods.begin(), route.methods.end(), "GET") != route.methods.end())
    route.methods.push_back("HEAD");
  auto& seconds = registry_.histogram("quarterdeck_http_handler_seconds", "Time from a whole request to its answer.",
                                      {{"handler", route.path}});
  route.handler = [this, inner = std::move(route.handler), &seconds](Call call) {
    const auto start = std::chrono::steady_clock::now();
    auto cancel = call.reply.cancel_token();
    // The reply is wrapped so that the time is taken when the answer is there, wherever it is made.
    auto outer = std::make_shared<Reply>(std::move(call.reply));
    call.reply = Reply::to(
        [outer, &seconds, start](Response response) {
          seconds.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
          outer->send(std::move(response));
        },
        cancel);
    // Budgets refuse work before memory ends; should one have a hole, the request fails and not the process.
    try {
      inner(std::move(call));
    } catch (const std::bad_alloc&) {
      log_.error("a request needed more memory than there is");
    }
  };
  routes_.push_back(std::move(route));
}

const Route* Router::find(std::string_view method, std::string_view path, std::string& parameter,
                          std::set<std::string>& allowed) const {
  const Route* best = nullptr;
  int best_fit = 0;
  for (const auto& route : routes_) {
    std::string found;
    const int fitness = fit(route.path, path, found);
    if (fitness == 0 || fitness < best_fit || (route.takes && !route.takes(path))) continue;
    if (fitness > best_fit) {
      best = nullptr;
      best_fit = fitness;
      allowed.clear();
    }
    if (std::find(route.methods.begin(), route.methods.end(), method) == route.methods.end()) {
      allowed.insert(route.methods.begin(), route.methods.end());
    } else if (best == nullptr) {
      best = &route;
      parameter = std::move(found);
    }
  }
  return best;
}

Response Router::not_found(const Request& request) const {
  const bool looks = request.method == "GET" || request.method == "HEAD";
  if (not_found_page_ && looks && !is_api(request) && request.headers.lists("Accept", "text/html"))
    return not_found_page_();
  return refusal(request, 404, "not_found", fmt::format("there is nothing at {}", request.path.substr(0, 200)));
}

void Router::handle(Request request, Reply reply) const {
  if (const auto site = authenticator_.check_site(request); !site) {
    refused_.add();
    return reply.send(refusal(request, 403, "forbidden", site.error().message()));
  }
  auto principal = authenticator_.identify(request);
  if (!principal) {
    refused_.add();
    if (principal.error().code() != base::ErrorCode::kPermission)
      return reply.send(refusal(request, 503, "unavailable", principal.error().message()));
    auto response = refusal(request, 401, "unauthorized", principal.error().message());
    response.headers.add("WWW-Authenticate", "Basic realm=\"Quarterdeck\", charset=\"UTF-8\"");
    return reply.send(std::move(response));
  }
  std::string parameter;
  std::set<std::string> allowed;
  const Route* route = find(request.method, request.path, parameter, allowed);
  if (!route) {
    if (allowed.empty()) return reply.send(not_found(request));
    auto response = refusal(request, 405, "not_found",
                            fmt::format("{} is not served at {}: it takes {}", request.method,
                                        request.path.substr(0, 200), base::join(allowed, ", ")));
    response.headers.add("Allow", base::join(allowed, ", "));
    return reply.send(std::move(response));
  }
  if (!principal->may(route->access)) {
    refused_.add();
    const bool anonymous = principal->kind == Principal::Kind::kNobody;
    const bool limited = principal->scope != store::state::Scope::kAll;
    auto response = refusal(
        request, anonymous ? 401 : 403, anonymous ? "unauthorized" : "forbidden",
        anonymous ? "this needs credentials: a token (`quarterdeck token add`) or a user"
        : limited ? fmt::format("{} may only {}: this needs a token with another --scope (`quarterdeck token add`)",
                                principal->to_string(), store::state::to_string(principal->scope))
                  : "this acts on Quarterdeck or the platform and needs a token (`quarterdeck token "
                    "add`), a user, or the Unix socket; loopback alone may read and send data in");
    if (anonymous) response.headers.add("WWW-Authenticate", "Basic realm=\"Quarterdeck\", charset=\"UTF-8\"");
    return reply.send(std::move(response));
  }
  if (const auto encoding = body_encoding(request); !encoding.empty() && !route->takes_encoded_body) {
    auto response = refusal(request, 415, "bad_data",
                            fmt::format("{} does not take a body with Content-Encoding {}: send it as it is, without "
                                        "that header",
                                        request.path.substr(0, 200), encoding.substr(0, 100)));
    response.headers.add("Accept-Encoding", "identity");
    return reply.send(std::move(response));
  }
  if (!request.parameters_error.empty()) return reply.send(refusal(request, 400, "bad_data", request.parameters_error));
  if (route->access == Access::kAct)
    log_.info("action asked for", {{"path", request.path}, {"principal", principal->to_string()}});
  Call call{std::move(request), std::move(*principal), std::move(parameter), std::move(reply)};
  if (!route->computes) return route->handler(std::move(call));
  auto shared = std::make_shared<Call>(std::move(call));
  const auto queued = pool_.submit([route, shared] { route->handler(std::move(*shared)); });
  if (!queued)
    shared->reply.send(
        refusal(shared->request, 503, "unavailable", "too much work is waiting already: try again soon"));
}

}  // namespace qd::serve
