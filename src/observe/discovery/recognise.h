// What there is to measure in a container, or in a process of this machine.
//
// Pure functions of what is known: what has to be asked elsewhere (routes, files in containers) comes with Knowledge.
// Labels and environments are written by whoever starts containers, so they are checked like any input, and complaints
// name the container and the label, never a value of the environment nor a password.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "observe/container.h"
#include "observe/service.h"

namespace qd::observe::discovery {

// A socket that listens, and whose it is.
struct Listener {
  std::string address;  // to connect to from this machine: "127.0.0.1", "::1"
  std::uint16_t port = 0;
  std::string process;  // as the kernel names it
  std::int64_t pid = 0;
  std::string container_id = {};  // that its cgroup names; empty outside
  std::string unix_socket = {};   // that the process listens at as well; the first by its path
  std::int64_t user = -1;         // that the process runs as; -1: not known
  bool operator==(const Listener&) const = default;
};

struct Knowledge {
  // All containers, sorted by id: one may use another's network.
  std::span<const Container> containers;
  // Whether packets to this IP address go straight out of an interface of this machine.
  std::function<bool(const std::string& ip)> is_attached = [](const std::string&) { return false; };
  // The first line of a file as the container sees it.
  std::function<std::optional<std::string>(const Container&, const std::string& path)> read_secret =
      [](const Container&, const std::string&) { return std::nullopt; };
};

// A port of a container that nothing says anything about.
struct UnknownPort {
  std::uint16_t port = 0;
  std::string address;
};

struct Recognised {
  std::vector<Service> services;
  std::vector<UnknownPort> unknown;     // that may be asked what they are; at most kUnknownPortsMax
  std::vector<std::string> complaints;  // for people: what cannot be reached or understood, with the cure
};

inline constexpr std::size_t kUnknownPortsMax = 8;

Recognised recognise(const Container& container, const Knowledge& knowledge);

// The service of `kind` on a port of the container, with what its environment says of credentials; nothing, and a
// complaint, where no address of it can be reached from here.
std::optional<Service> service_of(const Container& container, std::string_view kind, std::uint16_t port,
                                  std::string found_by, const Knowledge& knowledge,
                                  std::vector<std::string>& complaints);

// One service for each process of a known name, at the likeliest of its ports. `listeners` are those outside of known
// containers.
std::vector<Service> recognise(std::span<const Listener> listeners);

// "127.0.0.1:5432", "[::1]:5432"
std::string join_address(std::string_view host, std::uint16_t port);
// Where a port of the container is reached from this machine.
std::optional<std::string> reach(const Container& container, std::uint16_t port, const Knowledge& knowledge);

}  // namespace qd::observe::discovery
