#include "serve/ui/page.h"

#include <algorithm>

#include "base/assert.h"

namespace qd::serve::ui {

namespace {

using connect::http::Response;
using connect::http::SharedBody;

constexpr std::string_view kPolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'";

const PageFile* find(std::string_view path) {
  const auto files = page_files();
  const auto at = std::lower_bound(files.begin(), files.end(), path,
                                   [](const PageFile& file, std::string_view wanted) { return file.path < wanted; });
  return at != files.end() && at->path == path ? &*at : nullptr;
}

// The page's own views have neither a dot in their last segment nor one of the API's beginnings.
bool is_view(std::string_view path) {
  for (const std::string_view api :
       {"/api/", "/-/", "/exporters/", "/v1/", "/loki/", "/tempo/", "/jaeger/", "/assets/"})
    if (path.starts_with(api)) return false;
  return path.substr(path.rfind('/') + 1).find('.') == std::string_view::npos;
}

void serve(Call call) {
  const auto* file = find(call.request.path);
  if (!file && is_view(call.request.path)) file = find("/index.html");
  if (!file)
    return call.reply.send(Response::text(404, "there is nothing at " + call.request.path.substr(0, 200) + "\n"));
  Response response;
  const bool hashed = file->path.starts_with("/assets/");
  response.headers.add("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.add("ETag", std::string(file->entity_tag));
  response.headers.add("Content-Security-Policy", std::string(kPolicy));
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Referrer-Policy", "same-origin");
  if (call.request.headers.lists("If-None-Match", file->entity_tag)) {
    response.status = 304;
  } else {
    response.content_type = file->content_type;
    response.body = SharedBody{.owner = nullptr, .identity = {}, .gzip = file->gzip, .brotli = {}};
  }
  call.reply.send(std::move(response));
}

}  // namespace

void add_routes(Router& router) {
  QD_ASSERT(find("/index.html") != nullptr, "the page was not built into the program");
  // The page is code without data; what it shows it asks of the API, which knows who asks.
  router.add({.methods = {"GET"}, .path = "/*", .access = Access::kOpen, .handler = serve});
}

}  // namespace qd::serve::ui
