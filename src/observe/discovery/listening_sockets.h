// The TCP sockets that listen in this process's network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace qd::observe::discovery {

struct ListeningSocket {
  std::string address;  // to connect to: for "any" the loopback address
  std::uint16_t port = 0;
  bool operator==(const ListeningSocket&) const = default;
};

// By inode.
using ListeningSockets = std::map<std::uint64_t, ListeningSocket>;

inline constexpr std::size_t kListeningMax = 100'000;

// Asks the kernel (sock_diag(7)) where `procfs` is one of the kernel's; reads <procfs>/net/tcp and tcp6 where it is a
// recorded tree, or the kernel does not answer. Those files take milliseconds on a machine with much memory: for what
// stands in them the kernel walks its whole table of connections.
ListeningSockets listening_sockets(const std::string& procfs);

// Paths of the Unix sockets that listen, by inode: from the rows of /proc/net/unix (net/unix/af_unix.c writes them).
std::map<std::uint64_t, std::string> listening_paths(const std::string& procfs);

// Adds the rows of /proc/net/tcp or tcp6 that listen. The kernel gives these first; reading stops behind.
void add_listening(std::string_view text, ListeningSockets& sockets);

}  // namespace qd::observe::discovery
