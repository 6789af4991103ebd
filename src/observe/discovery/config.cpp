#include "observe/discovery/config.h"

#include <fmt/format.h>

#include <string_view>

namespace qd::observe::discovery {
namespace {

constexpr std::string_view kPodmanSocket = "/run/podman/podman.sock";
constexpr std::string_view kUnixScheme = "unix://";  // as DOCKER_HOST has it

std::string path_of(const std::string& socket) {
  return socket.starts_with(kUnixScheme) ? socket.substr(kUnixScheme.size()) : socket;
}

}  // namespace

void declare(model::config::Schema& schema, DiscoveryOptions& options) {
  constexpr std::int64_t kContainersMax = 100'000;
  schema.section("observe.docker", "The container engine of this machine: Docker, or Podman's compatible socket.");
  schema
      .choice("observe.docker.enabled", options.docker, {"auto", "on", "off"},
              "Whether containers are watched. auto: where there is an engine; on: its absence is a fault.")
      .only_at_start();
  schema
      .text("observe.docker.socket", options.docker_socket,
            "The engine's Unix socket. Where this is as it was and nothing is there, /run/podman/podman.sock is tried.")
      .only_at_start();
  schema.check("observe.docker.socket", [&options]() -> base::Status {
    if (path_of(options.docker_socket).starts_with('/')) return {};
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("{:?} is no path of a Unix socket: write it from the root on, like "
                                  "\"/var/run/docker.sock\"",
                                  options.docker_socket));
  });
  schema
      .integer("observe.docker.containers_limit", options.containers_limit,
               "So many containers are watched; of more, those that run come first.", 1, kContainersMax)
      .only_at_start();
  schema.section("observe.discovery", "Finding by itself what there is to measure.");
  schema
      .flag("observe.discovery.enabled", options.enabled,
            "Whether services are found by themselves; what is declared is measured in any case.")
      .only_at_start();
  schema
      .flag("observe.discovery.processes", options.processes,
            "Whether servers outside of containers are found, by listening sockets and process names.")
      .only_at_start();
  schema
      .flag(
          "observe.discovery.sockets", options.sockets,
          "Whether databases outside of containers are asked over their Unix sockets: as root, PostgreSQL as the user "
          "that owns it, MySQL and MariaDB as root, so that they need no credentials.")
      .only_at_start();
}

std::vector<std::string> sockets_of(const DiscoveryOptions& options) {
  std::vector<std::string> sockets = {path_of(options.docker_socket)};
  if (options.docker_socket == DiscoveryOptions().docker_socket) sockets.emplace_back(kPodmanSocket);
  return sockets;
}

}  // namespace qd::observe::discovery
