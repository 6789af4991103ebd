#include "serve/platform/about.h"

#include <utility>

#include "base/build.h"
#include "serve/json.h"

namespace qd::serve::platform {

void add_about_route(Router& router, const About& about) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object();
  json.field("version", base::build_version()).field("revision", base::build_revision());
  json.field("build", base::build_kind()).field("dataDir", about.data_dir).end_object().end_object();
  router.add({.methods = {"GET"}, .path = "/api/platform/v1/about", .handler = [body = std::move(body)](Call call) {
                call.reply.send(connect::http::Response::json(200, body));
              }});
}

}  // namespace qd::serve::platform
