#include "observe/discovery/listening_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "observe/discovery/proc_text.h"

namespace qd::observe::discovery {
namespace {

constexpr std::string_view kListens = "0A";
constexpr std::size_t kListBytesMax = 4 << 20;

// In the order of the wire.
using Bytes = std::array<std::uint8_t, 16>;

std::string ipv4(const Bytes& bytes, std::size_t at) {
  if (std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4,
                  [](std::uint8_t byte) { return byte == 0; }))
    return "127.0.0.1";
  return fmt::format("{}.{}.{}.{}", bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

// Where to connect to for a socket that listens at this address.
std::string connectable(const Bytes& bytes, std::size_t length) {
  if (length == 4) return ipv4(bytes, 0);
  const auto zeros = [&bytes](std::ptrdiff_t n) {
    return std::all_of(bytes.begin(), bytes.begin() + n, [](std::uint8_t byte) { return byte == 0; });
  };
  if (zeros(10) && bytes[10] == 0xff && bytes[11] == 0xff) return ipv4(bytes, 12);
  // "::" takes IPv4 too, unless it was told not to.
  if (zeros(16)) return "127.0.0.1";
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET6, bytes.data(), text.data(), text.size()) == nullptr ? "" : text.data();
}

// "0100007F", or four such words: each as the machine holds it in memory, which all that run this hold the same way.
std::optional<std::string> address_of(std::string_view text) {
  Bytes bytes{};
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  for (std::size_t word = 0; word < text.size() / 8; ++word) {
    const auto value = number_of<std::uint32_t>(text.substr(word * 8, 8), 16);
    if (!value) return std::nullopt;
    for (std::size_t i = 0; i < 4; ++i) bytes[word * 4 + i] = static_cast<std::uint8_t>(*value >> (8 * i));
  }
  return connectable(bytes, text.size() / 2);
}

// sl local rem st queues timer retransmits uid timeout inode
bool listens(std::string_view line) {
  for (int i = 0; i < 3; ++i) next_word(line);
  return next_word(line) == kListens;
}

// A busy machine has a hundred thousand connections behind the sockets that listen.
std::string read_listening(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  std::array<char, 32 << 10> piece;
  ssize_t n = 0;
  while (text.size() < kListBytesMax && (n = ::read(fd, piece.data(), piece.size())) > 0) {
    text.append(piece.data(), static_cast<std::size_t>(n));
    const auto end = text.rfind('\n');
    const auto begin = end == std::string::npos || end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    if (begin != std::string::npos && !listens(std::string_view(text).substr(begin + 1, end - begin - 1))) break;
  }
  ::close(fd);
  return text;
}

// A dump of the sockets of one family that listen.
class Diagnosis {
 public:
  Diagnosis() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)), buffer_(64 << 10) {
    // The kernel answers at once; should it not, the scan goes on without.
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    if (fd_ >= 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Diagnosis() {
    if (fd_ >= 0) ::close(fd_);
  }
  Diagnosis(const Diagnosis&) = delete;
  Diagnosis& operator=(const Diagnosis&) = delete;

  bool add(int family, ListeningSockets& sockets) {
    if (fd_ < 0 || !ask(family)) return false;
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
      if (n <= 0) return false;
      auto left = static_cast<std::size_t>(n);
      std::size_t at = 0;
      while (left >= sizeof(nlmsghdr)) {
        nlmsghdr header;
        std::memcpy(&header, buffer_.data() + at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) return false;
        if (header.nlmsg_type == NLMSG_DONE) return true;
        if (header.nlmsg_type == NLMSG_ERROR) return false;
        take(at + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN, sockets);
        const std::size_t step = std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), left);
        at += step;
        left -= step;
      }
    }
  }

 private:
  bool ask(int family) const {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = static_cast<std::uint8_t>(family);
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = 1U << TCP_LISTEN;
    return ::send(fd_, &message, sizeof message, 0) == static_cast<ssize_t>(sizeof message);
  }

  void take(std::size_t at, std::size_t size, ListeningSockets& sockets) const {
    inet_diag_msg message;
    if (size < sizeof message || sockets.size() >= kListeningMax) return;
    std::memcpy(&message, buffer_.data() + at, sizeof message);
    if (message.idiag_inode == 0) return;
    Bytes bytes{};
    const std::size_t length = message.idiag_family == AF_INET ? 4 : 16;
    std::memcpy(bytes.data(), &message.id.idiag_src[0], length);
    sockets.emplace(message.idiag_inode, ListeningSocket{connectable(bytes, length), ntohs(message.id.idiag_sport)});
  }

  const int fd_;
  std::vector<char> buffer_;
};

}  // namespace

void add_listening(std::string_view text, std::map<std::uint64_t, ListeningSocket>& sockets) {
  const auto heading_end = text.find('\n');
  if (heading_end == std::string_view::npos) return;
  text.remove_prefix(heading_end + 1);
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!listens(line)) return;
    next_word(line);
    const std::string_view local = next_word(line);
    for (int i = 0; i < 7; ++i) next_word(line);
    const auto inode = number_of<std::uint64_t>(next_word(line));
    const auto colon = local.find(':');
    if (!inode || *inode == 0 || colon == std::string_view::npos) continue;
    const auto port = number_of<std::uint16_t>(local.substr(colon + 1), 16);
    auto address = address_of(local.substr(0, colon));
    if (port && address) sockets.emplace(*inode, ListeningSocket{std::move(*address), *port});
  }
}

std::map<std::uint64_t, std::string> listening_paths(const std::string& procfs) {
  constexpr std::uint32_t kAccepts = 0x10000;  // __SO_ACCEPTCON
  std::map<std::uint64_t, std::string> paths;
  const std::string all = read_text(fmt::format("{}/net/unix", procfs), kListBytesMax).value_or("");
  std::string_view text = all;
  while (!text.empty() && paths.size() < kListeningMax) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    // Num RefCount Protocol Flags Type St Inode Path
    for (int i = 0; i < 3; ++i) next_word(line);
    const auto flags = number_of<std::uint32_t>(next_word(line), 16);
    for (int i = 0; i < 2; ++i) next_word(line);
    const auto inode = number_of<std::uint64_t>(next_word(line));
    // Paths of abstract ones begin with '@'.
    if (!flags || (*flags & kAccepts) == 0 || !inode || !line.starts_with(" /")) continue;
    paths.emplace(*inode, line.substr(1));
  }
  return paths;
}

ListeningSockets listening_sockets(const std::string& procfs) {
  ListeningSockets sockets;
  struct statfs kind{};
  if (::statfs(procfs.c_str(), &kind) == 0 && kind.f_type == PROC_SUPER_MAGIC) {
    Diagnosis diagnosis;
    if (diagnosis.add(AF_INET, sockets) && diagnosis.add(AF_INET6, sockets)) return sockets;
    sockets.clear();
  }
  for (const char* name : {"tcp", "tcp6"})
    add_listening(read_listening(fmt::format("{}/net/{}", procfs, name)), sockets);
  return sockets;
}

}  // namespace qd::observe::discovery
