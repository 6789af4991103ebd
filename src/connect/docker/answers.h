// What a container engine answers, as values: the parts of the Docker Engine API that say which containers there are.
//
// Answers come from outside: each parser takes any bytes, has bounds on depth and size, and gives kCorrupt for what is
// no answer of an engine. A field that is absent, null or of another type is empty; what a container has beyond the
// bounds below is left out. Errors never repeat the answer's text, since it holds secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace qd::connect::docker {

inline constexpr std::size_t kListBytesMax = 64 << 20;
inline constexpr std::size_t kDetailsBytesMax = 4 << 20;
inline constexpr std::size_t kEventBytesMax = 1 << 20;
// Of one container.
inline constexpr std::size_t kTextBytesMax = 128 << 10;  // of its labels, its environment, its command, each
inline constexpr std::size_t kPortsMax = 1024;
inline constexpr std::size_t kNetworksMax = 64;

// A container in the list of all.
struct Listed {
  std::string id;  // 64 hexadecimal digits
  bool running = false;
  // Differs when something that people see has changed; ages do not count.
  std::uint64_t fingerprint = 0;
};

struct Port {
  std::uint16_t container_port = 0;
  std::uint16_t host_port = 0;  // 0 when it is not published
  std::string host_ip;
  std::string protocol;  // "tcp", "udp", "sctp"
};

// What inspecting a container tells.
struct Details {
  std::string id;
  std::string name;  // without the slash in front
  std::string image;
  std::string image_id;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> environment;  // holds secrets
  std::map<std::string, std::string> addresses;    // network name to IP address
  std::vector<Port> ports;
  std::vector<std::string> command;  // program and arguments; may hold secrets
  std::string network_mode;
  std::string state;
  std::string health;  // empty without a health check
  std::int64_t pid = 0;
  std::int64_t created_ms = 0;  // since 1970; 0 when unknown or never
  std::int64_t started_ms = 0;
  std::int64_t restart_count = 0;
  std::int64_t exit_code = 0;
  bool oom_killed = false;
};

struct Event {
  std::string action;  // "start", "die", "health_status", "exec_create": without what follows a colon
  std::string id;      // of the container; empty when it is none
};

base::Result<std::vector<Listed>> parse_list(std::string_view body);
base::Result<Details> parse_details(std::string_view body);
base::Result<Event> parse_event(std::string_view line);
// ApiVersion of an answer to /version: "1.41".
base::Result<std::string> parse_version(std::string_view body);
// What an error answer says, in one line of at most 200 bytes of valid UTF-8.
std::string parse_message(std::string_view body);

// 64 hexadecimal digits, so that it can stand in a path.
bool is_id(std::string_view text);

}  // namespace qd::connect::docker
