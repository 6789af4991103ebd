#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "observe/host/opt_in_families.h"
#include "observe/host/own_network.h"
#include "observe/host/pace.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/sock_diag.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::IsEmpty;

constexpr const char* kHeadings =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

std::string state(const std::string& name) {
  return "node_tcp_connection_states{state=\"" + name + "\"}";
}

class HostTcpstat : public testing::Test {
 protected:
  std::unique_ptr<Part> part() {
    return tcpstat_part(reader, {tree.at("proc"), tree.at("sys"), tree.at("root"), tree.at("proc/net")});
  }
  Tree tree;
  FileReader reader;
  base::ManualClock clock;
};

TEST_F(HostTcpstat, the_tables_of_another_proc_are_read) {
  tree.write("proc/net/tcp", std::string(kHeadings) +
                                 "   0: 0500000A:0016 00000000:0000 0A 00000000:00000005 00:00000000 00000000\n"
                                 "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
                                 "   2: 0500000A:0016 0500000A:BC96 01 00000015:00000002 02:000A78A1 00000000\n");
  tree.write("proc/net/tcp6", std::string(kHeadings) +
                                  "   0: 00000000000000000000000001000000:0016 "
                                  "00000000000000000000000001000000:BC96 08 00000001:00000000 02:000A78A1 00000000\n");
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_TRUE(told.outcome.ok);
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  EXPECT_EQ(told.value(state("listen")), 2);
  EXPECT_EQ(told.value(state("established")), 1);
  expect_in_table(told.sink, tcpstat_families());
  EXPECT_EQ(told.value(state("close_wait")), 1);
  EXPECT_EQ(told.value(state("time_wait")), std::nullopt);
  EXPECT_EQ(told.value(state("tx_queued_bytes")), 0x15 + 1);
  EXPECT_EQ(told.value(state("rx_queued_bytes")), 2) << "connections that wait to be accepted are no bytes";
  tree.write("proc/net/tcp", kHeadings);
  tree.remove("proc/net/tcp6");
  const Told later = pass_of(*it, clock);
  EXPECT_TRUE(later.outcome.ok) << "without IPv6";
  EXPECT_EQ(later.value(state("established")), 0);
}

TEST_F(HostTcpstat, garbage_is_said) {
  tree.write("proc/net/tcp", std::string(kHeadings) + "   0: what\n");
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_FALSE(told.outcome.ok);
  EXPECT_THAT(told.sink.values(), IsEmpty());
}

TEST_F(HostTcpstat, many_sockets_are_counted_seldom) {
  const std::string line = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n";
  tree.write("proc/net/tcp", kHeadings + line);
  const auto it = part();
  SlowClock slow(Pace::kCheapNs + 1);
  EXPECT_EQ(pass_of(*it, slow).value(state("listen")), 1);
  tree.write("proc/net/tcp", kHeadings + line + line);
  EXPECT_EQ(pass_of(*it, slow).value(state("listen")), 1);
  EXPECT_EQ(pass_of(*it, slow).value(state("listen")), 1);
  EXPECT_EQ(pass_of(*it, slow).value(state("listen")), 2);
}

// In a network of its own, where nobody else has sockets.
void count_own_sockets(bool& had_network) {
  if (::unshare(CLONE_NEWNET) != 0) return;
  had_network = true;
  const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  ASSERT_EQ(::ioctl(control, SIOCSIFFLAGS, &request), 0);
  ::close(control);

  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int server6 = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_TRUE(server >= 0 && client >= 0 && server6 >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(server, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(server, 100), 0);
  ASSERT_EQ(::getsockname(server, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_EQ(::listen(server6, 100), 0);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
  const int accepted = ::accept4(server, nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_EQ(::send(client, "12345", 5, 0), 5);

  SockDiag diag;
  base::SystemClock clock;
  for (int round = 0; round < 2; ++round) {
    TcpSockets sockets;
    EXPECT_EQ(diag.count(clock, clock.monotonic_ns() + 5'000'000'000, sockets), 0);
    EXPECT_EQ(sockets.in_state[1], 2U) << "established";
    EXPECT_EQ(sockets.in_state[TcpSockets::kListen], 2U) << "IPv4 and IPv6";
    EXPECT_EQ(sockets.total(), 4U);
    EXPECT_EQ(sockets.received_bytes, 5U);
    EXPECT_EQ(sockets.sent_bytes, 0U) << "the limits of listening sockets are no bytes";
  }
  for (const int socket : {server, client, server6, accepted}) ::close(socket);
}

TEST(HostSockDiag, sockets_of_both_protocols_are_counted) {
  bool had_network = false;
  std::thread([&] { count_own_sockets(had_network); }).join();
  if (!had_network) GTEST_SKIP() << "a network of its own is for root";
}

TEST(HostOwnNetwork, is_known_by_its_files_wherever_proc_is_mounted) {
  const std::string self = "/proc/" + std::to_string(::getpid());
  EXPECT_TRUE(is_own_network({"/proc", "/sys", "", "/proc/net"}));
  EXPECT_TRUE(is_own_network({"/host/proc", "/sys", "", self + "/net"}));
  Tree tree;
  tree.write("proc/net/dev", "");
  EXPECT_FALSE(is_own_network({tree.at("proc"), "/sys", "", tree.at("proc/net")}));
  bool had_network = false;
  std::thread([&] {
    had_network = ::unshare(CLONE_NEWNET) == 0;
    const std::string thread = "/proc/" + std::to_string(::gettid());
    if (had_network) EXPECT_FALSE(is_own_network({"/host/proc", "/sys", "", thread + "/net"}));
  }).join();
  if (!had_network) GTEST_SKIP() << "a network of its own is for root";
}

TEST(HostSockDiag, a_late_pass_ends_the_dump_and_the_next_begins_anew) {
  SockDiag diag;
  base::ManualClock clock;
  TcpSockets sockets;
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(server, 0);
  ASSERT_EQ(::listen(server, 1), 0);
  EXPECT_EQ(diag.count(clock, clock.monotonic_ns() - 1, sockets), ETIMEDOUT);
  sockets = {};
  EXPECT_EQ(diag.count(clock, clock.monotonic_ns() + 1, sockets), 0);
  EXPECT_GE(sockets.in_state[TcpSockets::kListen], 1U);
  ::close(server);
}

}  // namespace
}  // namespace qd::observe::host
