// Listening TCP sockets of this machine's own network, with the processes of known servers that hold them.
//
// Only processes whose name says that they are a server of a known kind (kinds.h) are looked into, and each only when
// it is new or a socket has appeared that nobody is known to hold: a pass over an unchanged machine reads the list of
// listening sockets and the list of processes. Where the sockets of such a process cannot be seen (it is another
// user's), it is taken to hold its kind's usual port when somebody listens there.
//
// Not thread-safe. Everything is bounded: what does not fit in one scan comes with the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "observe/discovery/listening_sockets.h"
#include "observe/discovery/recognise.h"

namespace qd::observe::discovery {

class ProcessScan {
 public:
  static constexpr std::size_t kProcessesMax = 65'536;  // looked at
  static constexpr std::size_t kDescriptorsMax = 1024;  // of one process: servers listen before they do else
  static constexpr std::size_t kLookedIntoMax = 64;     // processes in one scan
  static constexpr std::size_t kNewNamesMax = 4096;     // read in one scan
  // A process may become another by exec: its name is read again as often.
  static constexpr std::uint64_t kNameScans = 6;

  explicit ProcessScan(std::string procfs);

  // Sorted by port and pid; one for each socket of a known server.
  std::vector<Listener> scan();

 private:
  struct Process {
    std::string name;
    std::int64_t parent = 0;
    bool known = false;               // its name is that of a server
    bool unreadable = false;          // its descriptors, for this user
    std::uint64_t looked_change = 0;  // change_ when its descriptors were last looked into; 0 never
    std::uint64_t named_at = 0;
    std::uint64_t first_at = 0;
    std::uint64_t seen_at = 0;
    std::string container_id;
    std::string unix_socket;
    std::int64_t user = -1;
  };

  void list_processes();
  void name(std::int64_t pid, Process& process);
  bool is_worker(const Process& process) const;
  void look_into(std::int64_t pid, Process& process);
  void read_sockets();
  std::string container_of(std::int64_t pid) const;
  std::int64_t user_of(std::int64_t pid) const;
  std::vector<Listener> listeners() const;
  void assume_usual_ports(std::vector<Listener>& found) const;

  const std::string procfs_;
  std::uint64_t scans_ = 0;
  ListeningSockets sockets_;                                // by inode
  std::uint64_t change_ = 1;                                // counts scans that saw a socket for the first time
  std::unordered_map<std::uint64_t, std::int64_t> holder_;  // inode to pid, of listening sockets
  std::map<std::int64_t, Process> processes_;
  std::optional<std::map<std::uint64_t, std::string>> paths_;  // of Unix sockets, once a scan needs them
};

}  // namespace qd::observe::discovery
