#include "serve/ui/page.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace qd::serve::ui {

namespace {

using connect::http::Response;
using connect::http::SharedBody;

// Where the page has views, as ui/src/shell/pages.js has them; what stands below such an address belongs to it.
constexpr std::string_view kViews[] = {"/",        "/services", "/containers", "/explore", "/alerts",
                                       "/targets", "/status",   "/graph",      "/query"};

constexpr std::string_view kPolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'";

const PageFile* find(std::string_view path) {
  const auto files = page_files();
  const auto at = std::lower_bound(files.begin(), files.end(), path,
                                   [](const PageFile& file, std::string_view wanted) { return file.path < wanted; });
  return at != files.end() && at->path == path ? &*at : nullptr;
}

bool is_view(std::string_view path) {
  return std::any_of(std::begin(kViews), std::end(kViews), [path](std::string_view view) {
    if (path == view) return true;
    return view != "/" && path.starts_with(view) && path[view.size()] == '/';
  });
}

const PageFile* file_at(std::string_view path) {
  return find(is_view(path) ? "/index.html" : path);
}

Response whole(const PageFile& file) {
  Response response;
  const bool hashed = file.path.starts_with("/assets/");
  response.content_type = file.content_type;
  response.headers.add("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.add("ETag", std::string(file.entity_tag));
  response.headers.add("Content-Security-Policy", std::string(kPolicy));
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Referrer-Policy", "same-origin");
  response.body = SharedBody{.owner = nullptr, .identity = {}, .gzip = file.gzip, .brotli = {}};
  return response;
}

void serve(Call call) {
  const auto* file = file_at(call.request.path);
  QD_ASSERT(file != nullptr, call.request.path);
  auto response = whole(*file);
  if (call.request.headers.lists("If-None-Match", file->entity_tag)) {
    response.status = 304;
    response.content_type.clear();
    response.body = std::string();
  }
  call.reply.send(std::move(response));
}

}  // namespace

void add_routes(Router& router) {
  QD_ASSERT(find("/index.html") != nullptr, "the page was not built into the program");
  // The page is code without data; what it shows it asks of the API, which knows who asks.
  router.add({.methods = {"GET"},
              .path = "/*",
              .takes = [](std::string_view path) { return file_at(path) != nullptr; },
              .access = Access::kOpen,
              .handler = serve});
  // It says in its own words that there is no such view.
  router.set_not_found_page([] {
    auto response = whole(*find("/index.html"));
    response.status = 404;
    return response;
  });
}

}  // namespace qd::serve::ui
