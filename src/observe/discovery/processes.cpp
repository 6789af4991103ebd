#include "observe/discovery/processes.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "observe/container.h"
#include "observe/discovery/kinds.h"
#include "observe/discovery/proc_text.h"

namespace qd::observe::discovery {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

}  // namespace

ProcessScan::ProcessScan(std::string procfs) : procfs_(std::move(procfs)) {}

std::vector<Listener> ProcessScan::scan() {
  ++scans_;
  read_sockets();
  list_processes();
  std::size_t looked = 0;
  for (auto& [pid, process] : processes_) {
    if (!process.known || process.looked_change == change_ || is_worker(process)) continue;
    if (looked++ == kLookedIntoMax) break;
    look_into(pid, process);
  }
  paths_.reset();
  auto found = listeners();
  assume_usual_ports(found);
  std::ranges::sort(found, {}, [](const Listener& one) { return std::tuple(one.port, one.pid, one.address); });
  return found;
}

void ProcessScan::read_sockets() {
  ListeningSockets now = listening_sockets(procfs_);
  const bool has_new = std::ranges::any_of(now, [this](const auto& one) { return !sockets_.contains(one.first); });
  if (has_new) ++change_;
  sockets_ = std::move(now);
  std::erase_if(holder_, [this](const auto& one) { return !sockets_.contains(one.first); });
}

void ProcessScan::list_processes() {
  const Directory directory(::opendir(procfs_.c_str()));
  if (directory == nullptr) return;
  std::size_t seen = 0;
  std::size_t named = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto pid = number_of<std::int64_t>(std::string_view(entry->d_name));
    if (!pid) continue;
    if (++seen > kProcessesMax) break;
    const auto [found, is_new] = processes_.try_emplace(*pid);
    Process& process = found->second;
    if (is_new) process.first_at = scans_;
    process.seen_at = scans_;
    // What is young may not have become what it was started for.
    const bool young = scans_ - process.first_at <= 1;
    const bool due = (scans_ + static_cast<std::uint64_t>(*pid)) % kNameScans == 0;
    if ((is_new || young || due || process.named_at == 0) && named < kNewNamesMax) {
      ++named;
      name(*pid, process);
    }
  }
  std::erase_if(processes_, [this](const auto& one) { return one.second.seen_at != scans_; });
}

// "812 (postgres) S 1 …"; the name may have parentheses in it.
void ProcessScan::name(std::int64_t pid, Process& process) {
  constexpr std::size_t kStatBytesMax = 4096;
  process.named_at = scans_;
  const auto text = read_text(fmt::format("{}/{}/stat", procfs_, pid), kStatBytesMax);
  if (!text) return;
  const auto open = text->find('(');
  const auto close = text->rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return;
  std::string name = text->substr(open + 1, close - open - 1);
  std::string_view rest = std::string_view(*text).substr(close + 1);
  next_word(rest);
  process.parent = number_of<std::int64_t>(next_word(rest)).value_or(0);
  if (process.name == name) return;
  process.known = !kind_of_process(name).empty() && base::valid_utf8(name);
  process.name = std::move(name);
  process.unreadable = false;
  process.looked_change = 0;
  process.container_id.clear();
}

// A process that a server of the same name started shares its sockets.
bool ProcessScan::is_worker(const Process& process) const {
  const auto parent = processes_.find(process.parent);
  return parent != processes_.end() && parent->second.known && parent->second.name == process.name;
}

void ProcessScan::look_into(std::int64_t pid, Process& process) {
  process.looked_change = change_;
  process.container_id = container_of(pid);
  const std::string path = fmt::format("{}/{}/fd", procfs_, pid);
  const Directory directory(::opendir(path.c_str()));
  process.unreadable = directory == nullptr && (errno == EACCES || errno == EPERM);
  if (directory == nullptr) return;
  process.user = user_of(pid);
  if (!paths_) paths_ = listening_paths(procfs_);
  std::vector<std::string> held;
  std::size_t seen = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    if (++seen > kDescriptorsMax) break;
    std::array<char, 64> target;
    const ssize_t n = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    std::string_view text(target.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (!text.starts_with("socket:[") || !text.ends_with(']')) continue;
    text.remove_prefix(8);
    text.remove_suffix(1);
    const auto inode = number_of<std::uint64_t>(text);
    if (inode && sockets_.contains(*inode)) holder_[*inode] = pid;
    if (const auto at = inode ? paths_->find(*inode) : paths_->end(); at != paths_->end()) held.push_back(at->second);
  }
  process.unix_socket = held.empty() ? "" : *std::ranges::min_element(held);
}

std::int64_t ProcessScan::user_of(std::int64_t pid) const {
  struct stat status{};
  return ::stat(fmt::format("{}/{}", procfs_, pid).c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_uid)
                                                                          : -1;
}

// Engines name a container's cgroup by its id: "/docker/<id>", "docker-<id>.scope", "libpod-<id>.scope".
std::string ProcessScan::container_of(std::int64_t pid) const {
  constexpr std::size_t kCgroupBytesMax = 64 << 10;
  const auto text = read_text(fmt::format("{}/{}/cgroup", procfs_, pid), kCgroupBytesMax);
  if (!text) return {};
  return std::string(container_id_of_process(*text));
}

std::vector<Listener> ProcessScan::listeners() const {
  std::vector<Listener> found;
  for (const auto& [inode, pid] : holder_) {
    const auto process = processes_.find(pid);
    if (process == processes_.end() || !process->second.known) continue;
    const ListeningSocket& socket = sockets_.at(inode);
    found.push_back({socket.address, socket.port, process->second.name, pid, process->second.container_id,
                     process->second.unix_socket, process->second.user});
  }
  return found;
}

void ProcessScan::assume_usual_ports(std::vector<Listener>& found) const {
  std::map<std::uint16_t, const ListeningSocket*> free;
  for (const auto& [inode, socket] : sockets_) {
    if (holder_.contains(inode)) continue;
    const ListeningSocket*& one = free[socket.port];
    if (one == nullptr || socket.address == "127.0.0.1") one = &socket;
  }
  for (const auto& [pid, process] : processes_) {
    // One in a container listens in a network of its own, as far as can be told without seeing its sockets.
    if (!process.known || !process.unreadable || !process.container_id.empty() || is_worker(process)) continue;
    const auto socket = free.find(usual_port(kind_of_process(process.name)));
    if (socket == free.end()) continue;
    found.push_back({socket->second->address, socket->first, process.name, pid, {}});
    free.erase(socket);
  }
}

}  // namespace qd::observe::discovery
