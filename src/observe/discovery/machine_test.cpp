#include "observe/discovery/machine.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/temp_directory.h"

namespace qd::observe::discovery {
namespace {

TEST(AttachedNetworks, are_those_of_the_route_table_without_a_gateway) {
  const auto networks = AttachedNetworks::parse(
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
      "vpn0\t0000000A\t010200C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n"
      "down0\t0000A8C0\t00000000\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
      "bad\tx\ty\nbad0\t000011AG\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n");
  EXPECT_TRUE(networks.contains("172.17.0.2"));
  EXPECT_TRUE(networks.contains("192.0.2.77"));
  EXPECT_FALSE(networks.contains("172.18.0.2"));
  EXPECT_FALSE(networks.contains("10.1.2.3")) << "somebody forwards";
  EXPECT_FALSE(networks.contains("8.8.8.8"));
  EXPECT_FALSE(networks.contains("192.168.0.1"));
  for (const char* text : {"", "fd00::2", "172.17.0", "x"}) EXPECT_FALSE(networks.contains(text));
  EXPECT_FALSE(AttachedNetworks::read("/nonexistent").contains("172.17.0.2"));
}

// A /proc in which process 100 has a directory of the test as its root.
struct Rooted {
  Rooted() {
    std::filesystem::create_directories(root() / "run/secrets");
    std::filesystem::create_directories(directory / "proc/100");
    std::filesystem::create_symlink(root(), directory / "proc/100/root");
  }
  std::filesystem::path root() const { return directory / "root"; }
  void write(const std::string& path, std::string_view text) const {
    std::ofstream(root() / path, std::ios::binary) << text;
  }
  std::optional<std::string> read(const std::string& path, std::int64_t pid = 100) const {
    return read_secret((directory / "proc").native(), pid, path);
  }

  base::TempDirectory directory;
};

TEST(Secret, is_the_first_line_of_a_file_in_the_containers_root) {
  const Rooted it;
  it.write("run/secrets/pw", "sesame\n");
  it.write("run/secrets/two", "first\r\nsecond\n");
  it.write("run/secrets/none", "");
  EXPECT_EQ(it.read("/run/secrets/pw"), "sesame");
  EXPECT_EQ(it.read("/run/secrets/two"), "first");
  EXPECT_EQ(it.read("/run/secrets/none"), "");
  EXPECT_EQ(it.read("/run/secrets/absent"), std::nullopt);
  EXPECT_EQ(it.read("run/secrets/pw"), std::nullopt);
  EXPECT_EQ(it.read("/run/secrets/pw", 200), std::nullopt);
  EXPECT_EQ(it.read("/run/secrets/pw", 0), std::nullopt);
}

TEST(Secret, cannot_lead_out_of_the_containers_root) {
  const Rooted it;
  std::ofstream(it.directory / "outside") << "of the machine";
  it.write("inside", "of the container");
  const auto link = [&](const char* name, const std::filesystem::path& target) {
    std::filesystem::create_symlink(target, it.root() / "run/secrets" / name);
  };
  link("absolute", it.directory / "outside");
  link("upwards", "../../../../../../../../../../../etc/hostname");
  link("honest", "/inside");
  link("relative", "../../inside");
  link("directory", "/");
  EXPECT_EQ(it.read("/run/secrets/absolute"), std::nullopt);
  EXPECT_EQ(it.read("/run/secrets/upwards"), std::nullopt);
  EXPECT_EQ(it.read("/../outside"), std::nullopt);
  EXPECT_EQ(it.read("/run/secrets/honest"), "of the container");
  EXPECT_EQ(it.read("/run/secrets/relative"), "of the container");
  EXPECT_EQ(it.read("/run/secrets/directory/inside"), "of the container");
}

TEST(Secret, is_a_regular_file_of_a_few_bytes) {
  const Rooted it;
  it.write("large", std::string(1 << 20, 'x'));
  ASSERT_EQ(::mkfifo((it.root() / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(it.read("/large"), std::nullopt);
  EXPECT_EQ(it.read("/fifo"), std::nullopt);
  EXPECT_EQ(it.read("/run"), std::nullopt);
}

TEST(Secret, of_a_process_in_the_machines_own_root_is_refused) {
  EXPECT_EQ(read_secret("/proc", ::getpid(), "/etc/hostname"), std::nullopt);
}

}  // namespace
}  // namespace qd::observe::discovery
