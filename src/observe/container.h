// A container as its engine describes it: what discovery finds, and what the container collector names cgroups by.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/sample.h"

namespace qd::observe {

struct ContainerPort {
  std::uint16_t container_port = 0;
  std::uint16_t host_port = 0;  // 0 when it is not published
  std::string host_ip;
  std::string protocol;  // "tcp", "udp", "sctp"
  bool operator==(const ContainerPort&) const = default;
};

struct Container {
  std::string id;     // 64 hexadecimal digits
  std::string name;   // without the engine's slash in front
  std::string image;  // as it was asked for: "postgres:16"
  std::string image_id;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> environment;  // holds secrets: never shown, never logged
  std::map<std::string, std::string> addresses;    // network name to IP address
  std::vector<ContainerPort> ports;
  std::vector<std::string> command;  // may hold secrets as well
  std::string network_mode;          // "host", "none", "bridge", "container:<id>", or a network's name
  std::string state;                 // "running", "paused", "restarting", "exited", …
  std::string health;                // "healthy", "unhealthy", "starting"; empty without a health check
  std::int64_t pid = 0;              // of its first process as the host sees it; 0 when it does not run
  model::TimestampMs created_ms = 0;
  model::TimestampMs started_ms = 0;
  std::int64_t restart_count = 0;
  std::int64_t exit_code = 0;
  bool oom_killed = false;
  bool operator==(const Container&) const = default;

  // Of Compose or Swarm, by the labels that they set; empty for others.
  std::string project() const;
  std::string service() const;
  std::string replica() const;
};

// All containers there are at one moment, sorted by id; never null.
using ContainerList = std::shared_ptr<const std::vector<Container>>;

// The one with this id; null when there is none, or no list.
const Container* find_container(const ContainerList& containers, std::string_view id);

// The container whose cgroup this is: the 64 hexadecimal digits in the last part of the path ("/docker/<id>",
// "/system.slice/docker-<id>.scope", "/kubepods/…/cri-containerd-<id>.scope"); empty for any other cgroup.
std::string_view container_id(std::string_view cgroup_path);

// The container that a process is in, by the text of its /proc/<pid>/cgroup: the id that comes first, which is that of
// the outermost container; empty for a process outside of containers.
std::string_view container_id_of_process(std::string_view cgroup_file);

}  // namespace qd::observe
