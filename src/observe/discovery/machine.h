// What discovery asks this machine: where packets go, and what stands in a container's files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::discovery {

// The IPv4 networks that this machine is attached to: where an address is on one of its own interfaces' networks, it
// can be reached without anybody forwarding, as those in Docker's bridges are.
class AttachedNetworks {
 public:
  // The text of /proc/net/route. What is not understood is passed over.
  static AttachedNetworks parse(std::string_view route_table);
  // Of this process's network; none when it cannot be read.
  static AttachedNetworks read(const std::string& procfs);

  bool contains(const std::string& ip) const;

 private:
  struct Network {
    std::uint32_t destination;  // as in the table: in the order of the bytes on the wire
    std::uint32_t mask;
  };
  std::vector<Network> networks_;
};

// The first line of a file in the root directory that a process has, such as a Docker secret; nothing when it cannot be
// read, is no regular file, or the line is longer than 4 KiB. The path is the container's word: links in it lead
// nowhere outside of that root, and a process that has the same root as this one (its number was given anew) is
// refused.
std::optional<std::string> read_secret(const std::string& procfs, std::int64_t pid, const std::string& path);

}  // namespace qd::observe::discovery
