// Which handler answers which path, and who may ask it.
//
// Routes are added before the server starts; afterwards handle() may be called from any thread. Paths are exact, or
// have one `{name}` segment ("/api/v1/label/{name}/values"), or end in `/*`. The most exact one wins, and says which
// methods are taken.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "connect/http/server.h"
#include "serve/auth.h"
#include "serve/principal.h"

namespace qd::serve {

struct Call {
  connect::http::Request request;
  Principal principal;
  std::string path_parameter;  // what stood in `{name}` or behind `/*`
  connect::http::Reply reply;
};

using CallHandler = std::function<void(Call)>;

struct Route {
  std::vector<std::string> methods;  // HEAD comes with GET
  std::string path;
  // Of a path that ends in `/*`: which paths it takes. What it does not take is not found. Empty: all.
  std::function<bool(std::string_view path)> takes = {};
  Access access = Access::kRead;
  // On the pool instead of the loop's thread: what computes or waits for the disk. A full pool answers 503.
  bool computes = false;
  // The handler unpacks bodies that come with a Content-Encoding; elsewhere they are refused with 415.
  bool takes_encoded_body = false;
  CallHandler handler;
};

class Router {
 public:
  // All outlive this. Errors before a handler is reached are answered as text, or as the Prometheus API's JSON error
  // below /api/.
  Router(const Authenticator& authenticator, base::ThreadPool& pool, base::Log& log, base::Registry& registry);

  void add(Route route);
  // What a browser gets for a path that no route takes, outside /api/, in place of a line of text.
  void set_not_found_page(std::function<connect::http::Response()> page) { not_found_page_ = std::move(page); }
  void handle(connect::http::Request request, connect::http::Reply reply) const;

 private:
  const Route* find(std::string_view method, std::string_view path, std::string& parameter,
                    std::set<std::string>& allowed) const;
  connect::http::Response not_found(const connect::http::Request& request) const;

  const Authenticator& authenticator_;
  base::ThreadPool& pool_;
  base::Log& log_;
  base::Counter& refused_;
  base::Registry& registry_;
  std::vector<Route> routes_;
  std::function<connect::http::Response()> not_found_page_;
};

// {"status":"error","errorType":…,"error":…}, as Prometheus answers.
connect::http::Response api_error(int status, std::string_view error_type, std::string_view message);
// The status and errorType that fit: kInvalid 400 bad_data, kTimeout 503 timeout, kCancelled 503 canceled, kLimit and
// the rest 422 execution, kNotFound 404 not_found, kUnavailable 503 unavailable, kPermission 403 forbidden.
connect::http::Response api_error(const base::Error& error);

}  // namespace qd::serve
