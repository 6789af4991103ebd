#include "connect/peer_as.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "base/temp_directory.h"

namespace qd::connect {
namespace {

constexpr uid_t kNobody = 65534;

// A Unix socket that listens, and says who connected.
class Listening {
 public:
  Listening() {
    address_.sun_family = AF_UNIX;
    const std::string path = (directory_ / "s").native();
    path.copy(address_.sun_path, sizeof address_.sun_path - 1);
    std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    std::filesystem::permissions(path, std::filesystem::perms::all);
    EXPECT_EQ(::listen(socket_, 5), 0);
  }
  ~Listening() { ::close(socket_); }

  uid_t user_of_a_connection() const {
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    const int server = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    ucred peer{};
    socklen_t size = sizeof peer;
    EXPECT_EQ(::getsockopt(server, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    ::close(server);
    ::close(client);
    return peer.uid;
  }

 private:
  base::TempDirectory directory_;
  sockaddr_un address_{};
  const int socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

TEST(PeerAs, is_another_user_to_whom_it_connects_while_it_lives) {
  if (::geteuid() != 0) GTEST_SKIP() << "it takes root";
  const Listening listening;
  EXPECT_EQ(listening.user_of_a_connection(), 0U);
  std::promise<void> looked;
  std::promise<void> changed;
  std::thread other([&] {
    const PeerAs nobody(kNobody);
    changed.set_value();
    EXPECT_EQ(listening.user_of_a_connection(), kNobody);
    looked.get_future().wait();
  });
  changed.get_future().wait();
  EXPECT_EQ(::geteuid(), 0U) << "other threads stay who they are";
  looked.set_value();
  other.join();
  {
    const PeerAs nobody(kNobody);
    EXPECT_EQ(listening.user_of_a_connection(), kNobody);
  }
  EXPECT_EQ(::geteuid(), 0U);
  EXPECT_EQ(listening.user_of_a_connection(), 0U);
}

TEST(PeerAs, of_nobody_in_particular_changes_nothing) {
  const Listening listening;
  const PeerAs same(std::nullopt);
  const PeerAs self(::geteuid());
  EXPECT_EQ(listening.user_of_a_connection(), ::geteuid());
}

}  // namespace
}  // namespace qd::connect
