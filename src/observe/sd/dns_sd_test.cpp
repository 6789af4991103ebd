#include "observe/sd/dns_sd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "observe/sd/fakes_for_test.h"

namespace qd::observe::sd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ResolvConf, is_read_as_the_system_reads_it) {
  const NameServers servers = parse_resolv_conf(
      "# a comment\nnameserver 10.0.0.1\nnameserver fd00::1\ndomain old\nsearch a.example b.example\noptions ndots:3 "
      "x\n");
  EXPECT_THAT(servers.addresses, ElementsAre("10.0.0.1:53", "[fd00::1]:53"));
  EXPECT_THAT(servers.search, ElementsAre("a.example", "b.example"));
  EXPECT_EQ(servers.ndots, 3);
  EXPECT_THAT(parse_resolv_conf("").addresses, ElementsAre("127.0.0.1:53"));
}

// A real name server on a free port of loopback.
class Dnsmasq {
 public:
  static constexpr const char* kProgram = "/usr/sbin/dnsmasq";

  Dnsmasq() : port_(free_port()) {
    const std::string port = "--port=" + std::to_string(port_);
    std::vector<std::string> arguments = {kProgram,
                                          "--keep-in-foreground",
                                          "--conf-file=/dev/null",
                                          "--no-resolv",
                                          "--no-hosts",
                                          "--pid-file=",
                                          "--user=",
                                          "--listen-address=127.0.0.1",
                                          "--bind-interfaces",
                                          "--local=/example/",
                                          port,
                                          "--address=/web.example/10.1.2.3",
                                          "--address=/v6.example/fd00::7",
                                          "--srv-host=_metrics._tcp.example,one.example,9100,1,2",
                                          "--srv-host=_metrics._tcp.example,two.example,9200,1,2",
                                          "--mx-host=mail.example,mx.example,10",
                                          "--auth-zone=zone.example",
                                          "--auth-server=ns.zone.example"};
    // More than a UDP message holds.
    for (int i = 0; i < 200; ++i)
      arguments.push_back("--srv-host=_many._tcp.example,host-with-a-long-name-" + std::to_string(i) + ".example," +
                          std::to_string(1000 + i));
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (::posix_spawn(&pid_, kProgram, nullptr, nullptr, argv.data(), nullptr) != 0) pid_ = -1;
  }
  ~Dnsmasq() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // It answers within some milliseconds; ten seconds are for a machine that is busy.
  bool ready() const {
    const base::SystemClock clock;
    for (int i = 0; i < 100; ++i) {
      if (const auto found = look_up({.addresses = {address()}}, "web.example.", kTypeA, clock, {});
          found && !found->empty())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }

 private:
  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    ::close(fd);
    return ntohs(at.sin_port);
  }

  std::uint16_t port_;
  pid_t pid_ = -1;
};

TEST(DnsDiscovery, finds_what_a_real_name_server_says) {
  if (!std::filesystem::exists(Dnsmasq::kProgram)) GTEST_SKIP() << "there is no dnsmasq here";
  const Dnsmasq server;
  ASSERT_TRUE(server.ready());
  FakeSurroundings fake;
  auto around = fake.get();
  around.name_servers = {.addresses = {server.address()}, .search = {"example"}};
  const auto look = [&](DnsSdConfig config) {
    const auto groups = DnsDiscovery(config, around).look();
    return groups ? text_of(*groups) : groups.error().message();
  };
  EXPECT_EQ(look({.names = {"web.example"}, .type = "A", .port = 9100}),
            "{__address__=\"10.1.2.3:9100\", __meta_dns_name=\"web.example\"}\n");
  // A short name is looked for in the search domains.
  EXPECT_EQ(look({.names = {"web"}, .type = "A", .port = 9100}),
            "{__address__=\"10.1.2.3:9100\", __meta_dns_name=\"web\"}\n");
  EXPECT_EQ(look({.names = {"v6.example"}, .type = "AAAA", .port = 80}),
            "{__address__=\"[fd00::7]:80\", __meta_dns_name=\"v6.example\"}\n");
  const std::string srv = look({.names = {"_metrics._tcp.example"}});
  EXPECT_THAT(srv, HasSubstr(R"({__address__="one.example:9100", __meta_dns_name="_metrics._tcp.example", )"
                             R"(__meta_dns_srv_record_port="9100", __meta_dns_srv_record_target="one.example."})"));
  EXPECT_THAT(srv, HasSubstr("two.example:9200"));
  EXPECT_THAT(look({.names = {"mail.example"}, .type = "MX", .port = 25}),
              HasSubstr(R"({__address__="mx.example:25", __meta_dns_mx_record_target="mx.example.", )"));
  // Over TCP, where it does not fit.
  const std::string many = look({.names = {"_many._tcp.example"}});
  EXPECT_EQ(std::count(many.begin(), many.end(), '\n'), 200);
  // A name that is not there is nothing, and no fault.
  EXPECT_EQ(look({.names = {"nothing.example"}, .type = "A", .port = 1}), "");
}

TEST(DnsDiscovery, keeps_what_it_knew_when_nobody_answers) {
  if (!std::filesystem::exists(Dnsmasq::kProgram)) GTEST_SKIP() << "there is no dnsmasq here";
  FakeSurroundings fake;
  auto around = fake.get();
  auto server = std::make_unique<Dnsmasq>();
  ASSERT_TRUE(server->ready());
  around.name_servers = {.addresses = {server->address()}};
  DnsDiscovery names({.names = {"web.example"}, .type = "A", .port = 9100}, around);
  const std::string before = text_of(*names.look());
  EXPECT_THAT(before, HasSubstr("10.1.2.3"));
  server.reset();
  EXPECT_EQ(text_of(*names.look()), before);
  EXPECT_FALSE(DnsDiscovery({.names = {"web.example"}, .type = "A", .port = 9100}, around).look());
}

}  // namespace
}  // namespace qd::observe::sd
