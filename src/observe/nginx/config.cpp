#include "observe/nginx/config.h"

#include <fmt/format.h>

namespace qd::observe::nginx {
namespace {

base::Status must_be_url(const std::string& text) {
  if (text.empty()) return {};
  if (auto url = parse_url(text); !url) return base::fail(url.error());
  return {};
}

}  // namespace

void declare_instances(model::config::Schema& schema, std::vector<Options>& instances) {
  schema
      .list("observe.nginx", instances,
            "Servers of nginx to observe, beside those that are found; each by its status page, its access log, its "
            "traffic status module, or several of them.",
            [](model::config::Schema& item, Options& options) {
              item.text("status_url", options.status_url,
                        "The page of stub_status; for a Unix socket unix:/run/nginx.sock:/stub_status.")
                  .example("http://127.0.0.1/stub_status");
              item.check("status_url", [&options] { return must_be_url(options.status_url); });
              item.text("access_log", options.access_log,
                        "An access log, in JSON (log_format NAME escape=json) or in the combined format: what is "
                        "written from now on is counted by status, method and host, and with JSON by upstream.")
                  .example("/var/log/nginx/access.log");
              item.check("access_log", [&options]() -> base::Status {
                if (options.access_log.empty() || options.access_log.starts_with('/')) return {};
                return base::fail(base::ErrorCode::kInvalid,
                                  fmt::format("{:?} is not an absolute path: write it from the root on, like "
                                              "\"/var/log/nginx/access.log\"",
                                              options.access_log));
              });
              item.text("vts_url", options.vts_url, "The JSON page of nginx-module-vts.")
                  .example("http://127.0.0.1/status/format/json");
              item.check("vts_url", [&options] { return must_be_url(options.vts_url); });
              item.text("user", options.user, "For pages that ask for a password.");
              item.secret("password", options.password, "For pages that ask for a password.");
              item.check("", [&options]() -> base::Status {
                if (!options.status_url.empty() || !options.access_log.empty() || !options.vts_url.empty()) return {};
                return base::fail(base::ErrorCode::kInvalid, "needs one of status_url, access_log and vts_url");
              });
            })
      .example("[{status_url: \"http://127.0.0.1/stub_status\", access_log: /var/log/nginx/access.log}]");
}

}  // namespace qd::observe::nginx
