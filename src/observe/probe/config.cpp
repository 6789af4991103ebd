#include "observe/probe/config.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/strings.h"
#include "observe/probe/modules_file.h"

namespace qd::observe::probe {
namespace {

constexpr std::int64_t kShortestMs = 1000;
constexpr std::int64_t kLongestMs = 60 * 60 * 1000;

}  // namespace

void declare(model::config::Schema& schema, ProbeSettings& settings) {
  schema.section("observe.blackbox",
                 "Probes of what others offer, from outside: HTTP, TCP, TLS, DNS, ICMP and gRPC, in the place of "
                 "blackbox_exporter. Beside the targets here, anything is probed at "
                 "/exporters/blackbox/probe?module=…&target=….");
  schema
      .text(
          "observe.blackbox.modules_file", settings.modules_file,
          "A file of modules as blackbox_exporter has it. Without one there are http_2xx, http_post_2xx, tcp_connect, "
          "pop3s_banner, grpc, grpc_plain, ssh_banner, irc_banner, icmp, icmp_ttl5, dns_udp and dns_tcp.")
      .example("/etc/prometheus/blackbox.yml");
  schema
      .list("observe.blackbox.targets", settings.targets, "What Quarterdeck probes by itself.",
            [](model::config::Schema& item, TargetOptions& options) {
              item.text("target", options.target, "A URL, host:port or a host, as the module has it.")
                  .required()
                  .example("https://example.com/");
              item.check("target", [&options]() -> base::Status {
                if (options.target.empty())
                  return base::fail(base::ErrorCode::kInvalid, "it is empty: write a URL, host:port or a host");
                // It becomes the label `instance`.
                const auto scheme = options.target.find("://");
                const auto from = scheme == std::string::npos ? 0 : scheme + 3;
                if (options.target.substr(from, options.target.find_first_of("/?#", from) - from).find('@') !=
                    std::string::npos) {
                  return base::fail(base::ErrorCode::kInvalid,
                                    "a user and password in it would be shown: write them as basic_auth of a module");
                }
                return {};
              });
              item.text("module", options.module_name, "The name of a module.");
              item.text("name", options.name, "What people call it; the target and its module when empty.");
              item.duration_ms("interval", options.interval_ms, "How often.", kShortestMs, kLongestMs);
              item.duration_ms("timeout", options.timeout_ms,
                               "How long a probe may take: the module's timeout, or 10s, or the interval where that is "
                               "shorter, when 0.",
                               0, kLongestMs);
            })
      .example("[{target: \"https://example.com/\", module: http_2xx, interval: 30s}]");
}

base::Status load(ProbeSettings& settings, base::Files& files) {
  settings.modules = default_modules();
  if (!settings.modules_file.empty()) {
    auto modules = load_modules(files, settings.modules_file);
    if (!modules) return base::fail(modules.error().within("observe.blackbox.modules_file"));
    settings.modules = std::move(*modules);
  }
  std::set<std::pair<std::string, std::string>> seen;
  for (std::size_t i = 0; i < settings.targets.size(); ++i) {
    auto& target = settings.targets[i];
    const std::string where = fmt::format("observe.blackbox.targets[{}]", i);
    const auto module = settings.modules->find(target.module_name);
    if (module == settings.modules->end()) {
      std::vector<std::string> names;
      for (const auto& [name, one] : *settings.modules) names.push_back(name);
      const auto near = base::nearest(target.module_name, names);
      return base::fail(base::ErrorCode::kInvalid,
                        fmt::format("{}: there is no module {:?}{}{}", where, target.module_name,
                                    near ? "; did you mean " : "", near.value_or("")));
    }
    target.module = module->second;
    if (!seen.emplace(target.target, target.module_name).second) {
      return base::fail(base::ErrorCode::kInvalid, fmt::format("{}: {} is probed with {} by an earlier target already",
                                                               where, target.target, target.module_name));
    }
  }
  return {};
}

}  // namespace qd::observe::probe
