// Something that can be measured: a server that discovery found, or that the configuration declares.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::observe {

// How a service was found.
enum class Origin : std::uint8_t { kDeclared, kContainer, kProcess };

// The kind of what is scraped: a page of metrics.
inline constexpr std::string_view kPageKind = "openmetrics";

struct Service {
  std::string kind;          // "postgres", "mysql", "redis", "memcached", "nginx", kPageKind
  std::string name;          // for people: the Compose or Swarm service, the container, or the process
  std::string address;       // "127.0.0.1:5432", or the path of a socket: what the collector connects to
  std::string metrics_path;  // of openmetrics: "/metrics"
  std::string scheme;        // of openmetrics: "http"
  std::string user;
  std::string password;  // never shown, never logged
  std::string database;
  Origin origin = Origin::kDeclared;
  std::string found_by;      // for people: "image postgres:16", "port 5432 of process postgres (pid 812)"
  std::string container_id;  // of kContainer
  std::int64_t pid = 0;      // of kProcess
  std::string unix_socket;   // of kProcess: where the same server listens as well
  std::int64_t owner = -1;   // of kProcess: the user that it runs as; -1: not known
  std::string project;
  std::string service;
  std::string replica;
  std::string variant;  // tells apart services of one kind and address: the label `module` of a probe
  // Labels of the container that tune it (prometheus.io/…, quarterdeck.…), by name.
  std::map<std::string, std::string> tuning;
  bool operator==(const Service&) const = default;

  // What stays when a container is made anew: the same kind at the same address.
  std::string key() const { return kind + "\n" + address + (variant.empty() ? "" : "\n" + variant); }
};

}  // namespace qd::observe
