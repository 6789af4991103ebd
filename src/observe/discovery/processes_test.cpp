#include "observe/discovery/processes.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/temp_directory.h"

namespace qd::observe::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kHeading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

std::string row(std::string_view local, std::string_view state, std::uint64_t inode) {
  return fmt::format(
      "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000   100        0 {} 1 0 100 0 0 10 0\n", local,
      state, inode);
}

TEST(ListeningSockets, are_read_as_the_kernel_prints_them) {
  std::map<std::uint64_t, ListeningSocket> sockets;
  add_listening(std::string(kHeading) + row("0100007F:1538", "0A", 11) + row("00000000:0CEA", "0A", 12) +
                    row("0A02000A:18EB", "0A", 13) + row("0100007F:1538", "01", 14) + row("00000000:0050", "0A", 15),
                sockets);
  add_listening(std::string(kHeading) + row("00000000000000000000000000000000:0050", "0A", 21) +
                    row("00000000000000000000000001000000:18EB", "0A", 22) +
                    row("0000000000000000FFFF00000100007F:2BCB", "0A", 23) +
                    row("B80D01200000000000000000010000FF:0050", "0A", 24),
                sockets);
  std::vector<std::string> shown;
  for (const auto& [inode, socket] : sockets)
    shown.push_back(fmt::format("{} {} {}", inode, socket.address, socket.port));
  EXPECT_THAT(shown, ElementsAre("11 127.0.0.1 5432", "12 127.0.0.1 3306", "13 10.0.2.10 6379", "21 127.0.0.1 80",
                                 "22 ::1 6379", "23 127.0.0.1 11211", "24 2001:db8::ff00:1 80"));
}

TEST(ListeningSockets, of_a_damaged_list_are_passed_over) {
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("x"), std::string(kHeading),
        std::string(kHeading) + "   0: 0100007F:1538", std::string(kHeading) + std::string(1000, ' ') + "\n",
        std::string(kHeading) + row("0100007F", "0A", 1) + row("0100007G:1538", "0A", 2) + row("01:1538", "0A", 3) +
            row("0100007F:11538", "0A", 4) + row("0100007F:1538", "0A", 0) + std::string("\0\xff\n", 3)}) {
    std::map<std::uint64_t, ListeningSocket> sockets;
    add_listening(text, sockets);
    EXPECT_THAT(sockets, IsEmpty()) << text;
  }
}

TEST(ListeningSockets, of_the_kernel_are_those_of_its_files) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&where), size), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size);
  struct stat socket{};
  ::fstat(fd, &socket);
  ListeningSockets of_file;
  std::ifstream file("/proc/net/tcp");
  add_listening(std::string(std::istreambuf_iterator<char>(file), {}), of_file);
  const auto of_kernel = listening_sockets("/proc");
  const ListeningSocket expected{"127.0.0.1", ntohs(where.sin_port)};
  for (const ListeningSockets* sockets : {&std::as_const(of_file), &of_kernel}) {
    const auto found = sockets->find(socket.st_ino);
    ASSERT_NE(found, sockets->end());
    EXPECT_EQ(found->second, expected);
  }
  ::close(fd);
}

// A /proc of a test's own.
class Proc {
 public:
  void listen(std::string_view local, std::uint64_t inode) {
    rows_ += row(local, "0A", inode);
    write("net/tcp", std::string(kHeading) + rows_ + row("0100007F:9999", "01", 999));
  }
  void process(std::int64_t pid, std::string_view name, std::int64_t parent, const std::vector<std::uint64_t>& inodes,
               std::string_view cgroup = "0::/system.slice/x.service\n") {
    write(fmt::format("{}/stat", pid), fmt::format("{} ({}) S {} {} 0 0", pid, name, parent, pid));
    write(fmt::format("{}/cgroup", pid), cgroup);
    std::filesystem::create_directories(directory_ / fmt::format("{}/fd", pid));
    int fd = 0;
    std::filesystem::create_symlink("/dev/null", directory_ / fmt::format("{}/fd/{}", pid, fd++));
    for (const auto inode : inodes)
      std::filesystem::create_symlink(fmt::format("socket:[{}]", inode),
                                      directory_ / fmt::format("{}/fd/{}", pid, fd++));
  }
  void end(std::int64_t pid) { std::filesystem::remove_all(directory_ / fmt::format("{}", pid)); }
  void write(const std::string& path, std::string_view text) {
    std::filesystem::create_directories((directory_ / path).parent_path());
    std::ofstream(directory_ / path) << text;
  }
  std::string path() const { return directory_.path().native(); }

 private:
  base::TempDirectory directory_;
  std::string rows_;
};

std::vector<std::string> shown(ProcessScan& scan) {
  std::vector<std::string> lines;
  for (const Listener& one : scan.scan()) {
    lines.push_back(fmt::format("{}:{} {} {}{}", one.address, one.port, one.process, one.pid,
                                one.container_id.empty() ? "" : " in a container"));
  }
  return lines;
}

TEST(ProcessScan, finds_servers_of_known_names_and_what_they_listen_to) {
  Proc proc;
  proc.listen("0100007F:1538", 11);
  proc.listen("00000000:0016", 12);
  proc.listen("00000000:0050", 13);
  proc.process(1, "systemd", 0, {});
  proc.process(100, "postgres", 1, {11});
  proc.process(101, "postgres", 100, {11});
  proc.process(200, "sshd", 1, {12});
  proc.process(300, "nginx", 1, {13});
  proc.process(301, "nginx", 300, {13, 5000});
  proc.process(400, "(odd) name", 1, {});
  ProcessScan scan(proc.path());
  EXPECT_THAT(shown(scan), ElementsAre("127.0.0.1:80 nginx 300", "127.0.0.1:5432 postgres 100"));
  EXPECT_THAT(shown(scan), ElementsAre("127.0.0.1:80 nginx 300", "127.0.0.1:5432 postgres 100"));
  proc.end(300);
  proc.end(301);
  EXPECT_THAT(shown(scan), ElementsAre("127.0.0.1:5432 postgres 100"));
}

TEST(ProcessScan, tells_where_else_a_server_listens) {
  Proc proc;
  proc.listen("0100007F:1538", 11);
  proc.write("net/unix",
             "Num       RefCount Protocol Flags    Type St Inode Path\n"
             "0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/postgresql/.s.PGSQL.5432\n"
             "0000000000000000: 00000003 00000000 00000000 0001 03 22 /run/a-connection\n"
             "0000000000000000: 00000002 00000000 00010000 0001 01 23 @abstract\n"
             "0000000000000000: 00000002 00000000 00010000 0001 01 24 /run/somebody-elses\n"
             "garbage\n\n0: 1");
  proc.process(100, "postgres", 1, {11, 21, 22, 23});
  ProcessScan scan(proc.path());
  const auto found = scan.scan();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].unix_socket, "/run/postgresql/.s.PGSQL.5432");
  EXPECT_EQ(found[0].user, static_cast<std::int64_t>(::getuid()));
}

TEST(ProcessScan, sees_what_comes_later) {
  Proc proc;
  proc.process(100, "sh", 1, {});
  proc.process(200, "redis-server", 1, {21});
  proc.listen("0100007F:0001", 1);
  ProcessScan scan(proc.path());
  EXPECT_THAT(shown(scan), IsEmpty());
  // One begins to listen, the other becomes a server by exec.
  proc.listen("0100007F:18EB", 21);
  proc.listen("0100007F:2BCB", 22);
  proc.end(100);
  proc.process(100, "memcached", 1, {22});
  EXPECT_THAT(shown(scan), ElementsAre("127.0.0.1:6379 redis-server 200", "127.0.0.1:11211 memcached 100"));
}

TEST(ProcessScan, tells_the_container_of_a_process) {
  const std::string id(64, 'c');
  for (const std::string& cgroup : {"0::/docker/" + id + "\n", "1:cpu:/\n0::/system.slice/docker-" + id + ".scope\n",
                                    "0::/machine.slice/libpod-" + id + ".scope/container"}) {
    Proc proc;
    proc.listen("00000000:1538", 11);
    proc.process(100, "postgres", 1, {11}, cgroup);
    ProcessScan scan(proc.path());
    const auto found = scan.scan();
    ASSERT_EQ(found.size(), 1);
    EXPECT_EQ(found.front().container_id, id);
  }
  Proc proc;
  proc.listen("00000000:1538", 11);
  proc.process(100, "postgres", 1, {11}, "0::/" + std::string(65, 'c') + "/" + std::string(63, 'c'));
  ProcessScan scan(proc.path());
  EXPECT_EQ(scan.scan().front().container_id, "");
}

// For root no directory is closed: this thread is nobody while it lasts.
class Nobody {
 public:
  Nobody() { become(kNobody); }
  ~Nobody() { become(0); }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;

 private:
  static constexpr int kNobody = 65534;
  void become(int user) const {
    // The C library's call would change all threads.
    if (was_root_) ::syscall(SYS_setresuid, -1, user, -1);
  }
  const bool was_root_ = ::geteuid() == 0;
};

TEST(ProcessScan, takes_the_usual_port_for_a_process_that_it_may_not_look_into) {
  Proc proc;
  proc.listen("00000000:1538", 11);
  proc.listen("00000000:2222", 12);
  proc.process(100, "postgres", 1, {11});
  proc.process(101, "postgres", 100, {11});
  proc.process(200, "redis-server", 1, {12});
  for (const char* closed : {"/100/fd", "/101/fd", "/200/fd"})
    std::filesystem::permissions(proc.path() + closed, std::filesystem::perms::none);
  std::filesystem::permissions(proc.path(), std::filesystem::perms(0755));
  ProcessScan scan(proc.path());
  std::vector<std::string> found;
  {
    const Nobody nobody;
    found = shown(scan);
  }
  EXPECT_THAT(found, ElementsAre("127.0.0.1:5432 postgres 100"));
  for (const char* closed : {"/100/fd", "/101/fd", "/200/fd"})
    std::filesystem::permissions(proc.path() + closed, std::filesystem::perms::owner_all);
}

TEST(ProcessScan, of_nothing_finds_nothing) {
  ProcessScan absent("/nonexistent");
  EXPECT_THAT(absent.scan(), IsEmpty());
  Proc proc;
  proc.process(100, "postgres", 1, {11});
  proc.write("200/stat", "200 (postgres");
  proc.write("300/stat", "");
  proc.write("99999999999999999999/stat", "x");
  ProcessScan scan(proc.path());
  EXPECT_THAT(scan.scan(), IsEmpty());
}

TEST(ProcessScan, looks_into_many_servers_in_several_scans) {
  Proc proc;
  for (std::uint64_t i = 0; i < 100; ++i) {
    proc.listen(fmt::format("00000000:{:04X}", 7000 + i), 1000 + i);
    proc.process(static_cast<std::int64_t>(10 + i), "redis-server", 1, {1000 + i});
  }
  ProcessScan scan(proc.path());
  EXPECT_EQ(scan.scan().size(), ProcessScan::kLookedIntoMax);
  EXPECT_EQ(scan.scan().size(), 100);
}

TEST(ProcessScan, of_an_unchanged_machine_costs_little) {
  Proc proc;
  proc.listen("0100007F:1538", 11);
  proc.process(1, "postgres", 0, {11});
  for (int pid = 2; pid < 300; ++pid) proc.write(fmt::format("{}/stat", pid), fmt::format("{} (worker) S 1 0", pid));
  ProcessScan scan(proc.path());
  scan.scan();
  scan.scan();
  rusage before{}, after{};
  ::getrusage(RUSAGE_THREAD, &before);
  constexpr int kScans = 20;
  for (int i = 0; i < kScans; ++i) scan.scan();
  ::getrusage(RUSAGE_THREAD, &after);
  const auto us = [](const timeval& from, const timeval& to) {
    return (to.tv_sec - from.tv_sec) * 1'000'000 + (to.tv_usec - from.tv_usec);
  };
  const auto cpu_us = us(before.ru_utime, after.ru_utime) + us(before.ru_stime, after.ru_stime);
  // 5 ms are promised for 300 processes; sanitizers and a loaded machine get their share.
  EXPECT_LT(cpu_us / kScans, 20'000);
  RecordProperty("cpu_us_per_scan", static_cast<int>(cpu_us / kScans));
}

}  // namespace
}  // namespace qd::observe::discovery
