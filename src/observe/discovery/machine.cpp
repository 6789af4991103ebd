#include "observe/discovery/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/strings.h"

namespace qd::observe::discovery {
namespace {

constexpr std::size_t kSecretBytesMax = 4096;
constexpr std::size_t kRoutesBytesMax = 1 << 20;
constexpr unsigned kUp = 1;
constexpr unsigned kGateway = 2;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::optional<std::string> read_all(int fd, std::size_t limit) {
  std::string text;
  std::array<char, 4096> piece;
  while (text.size() <= limit) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0) return std::nullopt;
    if (n == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return std::nullopt;
}

std::optional<std::uint32_t> hex(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool same_directory(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

AttachedNetworks AttachedNetworks::parse(std::string_view route_table) {
  AttachedNetworks found;
  bool heading = true;
  for (const std::string_view line : base::split(route_table, '\n')) {
    if (std::exchange(heading, false)) continue;
    // Iface Destination Gateway Flags RefCnt Use Metric Mask …, between tabs
    const auto words = base::split(line, '\t');
    if (words.size() < 8) continue;
    const auto destination = hex(base::trim(words[1]));
    const auto flags = hex(base::trim(words[3]));
    const auto mask = hex(base::trim(words[7]));
    if (!destination || !flags || !mask || *mask == 0 || (*flags & kUp) == 0 || (*flags & kGateway) != 0) continue;
    found.networks_.push_back({*destination, *mask});
  }
  return found;
}

AttachedNetworks AttachedNetworks::read(const std::string& procfs) {
  const Descriptor file(::open((procfs + "/net/route").c_str(), O_RDONLY | O_CLOEXEC));
  const auto text = file ? read_all(file.get(), kRoutesBytesMax) : std::nullopt;
  return text ? parse(*text) : AttachedNetworks();
}

bool AttachedNetworks::contains(const std::string& ip) const {
  in_addr address{};
  if (::inet_pton(AF_INET, ip.c_str(), &address) != 1) return false;
  return std::ranges::any_of(
      networks_, [&](const Network& network) { return (address.s_addr & network.mask) == network.destination; });
}

std::optional<std::string> read_secret(const std::string& procfs, std::int64_t pid, const std::string& path) {
  if (pid <= 0 || !path.starts_with('/') || path.find('\0') != std::string::npos) return std::nullopt;
  const Descriptor root(::open(fmt::format("{}/{}/root", procfs, pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat theirs{};
  struct stat ours{};
  if (!root || ::fstat(root.get(), &theirs) != 0) return std::nullopt;
  for (const std::string& one : {std::string("/"), procfs + "/1/root"}) {
    if (::stat(one.c_str(), &ours) == 0 && same_directory(theirs, ours)) return std::nullopt;
  }
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const Descriptor file(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  struct stat kind{};
  if (!file || ::fstat(file.get(), &kind) != 0 || !S_ISREG(kind.st_mode)) return std::nullopt;
  auto text = read_all(file.get(), kSecretBytesMax);
  if (!text) return std::nullopt;
  text->resize(std::min(text->find_first_of("\r\n"), text->size()));
  return text;
}

}  // namespace qd::observe::discovery
