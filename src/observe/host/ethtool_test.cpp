#include "observe/host/ethtool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/ethtool.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "observe/host/link_modes.h"
#include "observe/host/opt_in_families.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Key;
using testing::Not;

struct FakeDevice {
  std::string driver = "e1000e";
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  std::vector<std::size_t> supported, advertised;  // bits
  bool has_link = true;
  std::uint32_t more_counts = 0;  // than it has names for
};

// Devices as the kernel answers for them.
class FakeCalls final : public EthtoolCalls {
 public:
  static constexpr int kWords = 4;
  explicit FakeCalls(std::map<std::string, FakeDevice>& devices) : devices_(devices) {}

  int call(const char* name, void* command) override {
    const auto found = devices_.find(name);
    if (found == devices_.end()) return ENODEV;
    const FakeDevice& device = found->second;
    std::uint32_t what = 0;
    std::memcpy(&what, command, sizeof(what));
    switch (what) {
      case ETHTOOL_GDRVINFO:
        return info(device, *static_cast<ethtool_drvinfo*>(command));
      case ETHTOOL_GLINKSETTINGS:
        return link(device, static_cast<ethtool_link_settings*>(command));
      case ETHTOOL_GSTRINGS: {
        auto* const names = static_cast<ethtool_gstrings*>(command);
        names->len = static_cast<std::uint32_t>(device.counts.size());
        for (std::size_t i = 0; i < device.counts.size(); ++i) {
          char* const to = reinterpret_cast<char*>(names->data) + i * ETH_GSTRING_LEN;
          std::memset(to, 0, ETH_GSTRING_LEN);
          device.counts[i].first.copy(to, ETH_GSTRING_LEN);
        }
        return 0;
      }
      case ETHTOOL_GSTATS: {
        auto* const values = static_cast<ethtool_stats*>(command);
        values->n_stats = static_cast<std::uint32_t>(device.counts.size());
        for (std::size_t i = 0; i < device.counts.size(); ++i) values->data[i] = device.counts[i].second;
        return 0;
      }
      default:
        return EOPNOTSUPP;
    }
  }

 private:
  static int info(const FakeDevice& device, ethtool_drvinfo& info) {
    if (device.driver.empty()) return EOPNOTSUPP;
    device.driver.copy(info.driver, sizeof(info.driver));
    std::memcpy(info.bus_info, "0000:00:1f.6", 13);
    std::memset(info.fw_version, 'f', sizeof(info.fw_version));
    info.n_stats = static_cast<std::uint32_t>(device.counts.size()) + device.more_counts;
    return 0;
  }
  static int link(const FakeDevice& device, ethtool_link_settings* settings) {
    if (!device.has_link) return EOPNOTSUPP;
    if (settings->link_mode_masks_nwords != kWords) {
      settings->link_mode_masks_nwords = -kWords;
      return 0;
    }
    settings->autoneg = AUTONEG_ENABLE;
    for (int i = 0; i < 3 * kWords; ++i) settings->link_mode_masks[i] = 0;
    for (const auto bit : device.supported) settings->link_mode_masks[bit / 32] |= 1U << (bit % 32);
    for (const auto bit : device.advertised) settings->link_mode_masks[kWords + bit / 32] |= 1U << (bit % 32);
    return 0;
  }

  std::map<std::string, FakeDevice>& devices_;
};

class HostEthtool : public testing::Test {
 protected:
  std::unique_ptr<Part> part() {
    for (const auto& [name, device] : devices) tree.write("sys/class/net/" + name, "");
    return ethtool_part(Roots{"", tree.at("sys"), "", ""}, std::make_unique<FakeCalls>(devices));
  }
  Tree tree;
  std::map<std::string, FakeDevice> devices;
  base::ManualClock clock;
};

TEST(EthtoolNames, are_those_of_node_exporter) {
  const std::map<std::string, std::string> names = {
      {"rx_errors", "node_ethtool_received_errors"},
      {"port.rx_errors", "node_ethtool_port_received_errors"},
      {"Queue[0] AllocFails", "node_ethtool_queue_0_allocfails"},
      {"Tx LPI entry count", "node_ethtool_transmitted_lpi_entry_count"},
      {"[3]: tx_bytes", "node_ethtool_3_transmitted_bytes"},
      {"     err", "node_ethtool_err"},
      {"rxq_tx__x", "node_ethtool_rxq_transmitted__x"},
      {"last_rx", "node_ethtool_last_received"},
      {"tx_tx_timeouts", "node_ethtool_transmitted_tx_timeouts"},
      {"tx_tx_tx_x", "node_ethtool_transmitted_tx_transmitted_x"},
      {"rx_tx_x", "node_ethtool_received_transmitted_x"},
      {"...", ""},
      {"", ""},
  };
  for (const auto& [name, metric] : names) EXPECT_EQ(ethtool_metric_name(ethtool_clean_name(name)), metric) << name;
}

TEST_F(HostEthtool, drivers_counts_are_a_metric_each_for_all_devices) {
  devices["eth0"].counts = {{"rx_bytes", 5}, {"Queue[0] drops", 6}, {"align_errors", 7}};
  devices["eth1"].counts = {{"align_errors", 8}, {"rx_bytes", 9}};
  devices["lo"] = {.driver = "", .counts = {}, .supported = {}, .advertised = {}, .has_link = false};
  const auto it = part();
  for (int passes = 0; passes < 2; ++passes) {
    const Told told = pass_of(*it, clock);
    EXPECT_TRUE(told.outcome.ok);
    EXPECT_THAT(told.sink.faults(), IsEmpty());
    EXPECT_EQ(told.value(R"(node_ethtool_received_bytes_total{device="eth0"})"), 5);
    EXPECT_EQ(told.value(R"(node_ethtool_received_bytes_total{device="eth1"})"), 9);
    expect_in_table(told.sink, ethtool_families());
    EXPECT_EQ(told.value(R"(node_ethtool_queue_0_drops{device="eth0"})"), 6);
    EXPECT_EQ(told.value(R"(node_ethtool_align_errors{device="eth1"})"), 8);
    EXPECT_EQ(told.sink.types().at("node_ethtool_align_errors"), model::MetricType::kUnknown);
    EXPECT_EQ(told.sink.helps().at("node_ethtool_queue_0_drops"), "Network interface Queue_0_drops");
    EXPECT_EQ(told.sink.helps().at("node_ethtool_received_bytes_total"), "Network interface bytes received");
    EXPECT_EQ(told.value(R"(node_ethtool_info{bus_info="0000:00:1f.6",device="eth0",driver="e1000e",)"
                         R"(expansion_rom_version="",firmware_version=")" +
                         std::string(ETHTOOL_FWVERS_LEN, 'f') + R"(",version=""})"),
              1);
    EXPECT_THAT(told.sink.values(), Not(Contains(Key(testing::HasSubstr("lo")))));
  }
}

TEST_F(HostEthtool, counts_that_become_one_metric_are_not_told) {
  devices["eth0"].counts = {{"a b", 1}, {"a.b", 2}, {"A_b", 3}, {"c", 4}, {"info", 5}};
  devices["eth1"].counts = {{"a b", 6}};
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  EXPECT_EQ(told.value(R"(node_ethtool_a_b{device="eth0"})"), std::nullopt);
  EXPECT_EQ(told.value(R"(node_ethtool_a_b{device="eth1"})"), 6);
  EXPECT_EQ(told.value(R"(node_ethtool_c{device="eth0"})"), 4);
  EXPECT_EQ(told.value(R"(node_ethtool_info{device="eth0"})"), std::nullopt);
}

TEST_F(HostEthtool, what_a_link_can_be_is_told_beyond_the_first_32_modes) {
  devices["eth0"].supported = {
      ETHTOOL_LINK_MODE_10baseT_Half_BIT,   ETHTOOL_LINK_MODE_TP_BIT,    ETHTOOL_LINK_MODE_25000baseKR_Full_BIT,
      ETHTOOL_LINK_MODE_100baseFX_Full_BIT, ETHTOOL_LINK_MODE_Pause_BIT, ETHTOOL_LINK_MODE_Autoneg_BIT};
  devices["eth0"].advertised = {ETHTOOL_LINK_MODE_Asym_Pause_BIT, ETHTOOL_LINK_MODE_400000baseCR4_Full_BIT};
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  const auto speed = [&](const std::string& what, const std::string& duplex, const std::string& mode) {
    return told.value("node_network_" + what + "_speed_bytes{device=\"eth0\",duplex=\"" + duplex + "\",mode=\"" + mode +
                      "\"}");
  };
  EXPECT_EQ(speed("supported", "half", "10baseT"), 1.25e6);
  EXPECT_EQ(speed("supported", "full", "25000baseKR"), 3.125e9);
  EXPECT_EQ(speed("supported", "full", "100baseFX"), 1.25e7);
  EXPECT_EQ(speed("advertised", "full", "400000baseCR4"), 5e10);
  EXPECT_EQ(speed("advertised", "full", "25000baseKR"), std::nullopt);
  EXPECT_EQ(told.value(R"(node_network_supported_port_info{device="eth0",type="TP"})"), 1);
  expect_in_table(told.sink, ethtool_families());
  const auto flag = [&](const std::string& name) { return told.value("node_network_" + name + "{device=\"eth0\"}"); };
  EXPECT_EQ(flag("pause_supported"), 1);
  EXPECT_EQ(flag("asymmetricpause_supported"), 0);
  EXPECT_EQ(flag("autonegotiate_supported"), 1);
  EXPECT_EQ(flag("pause_advertised"), 0);
  EXPECT_EQ(flag("asymmetricpause_advertised"), 1);
  EXPECT_EQ(flag("autonegotiate_advertised"), 0);
  EXPECT_EQ(flag("autonegotiate"), 1);
}

TEST_F(HostEthtool, devices_come_and_go_and_change_their_counts) {
  devices["eth0"].counts = {{"a", 1}};
  devices["veth1234"] = {.driver = "veth", .counts = {{"peer_ifindex", 7}}, .supported = {}, .advertised = {}};
  const auto it = part();
  const Told first = pass_of(*it, clock);
  EXPECT_EQ(first.value(R"(node_ethtool_a{device="eth0"})"), 1);
  EXPECT_THAT(first.sink.values(), Not(Contains(Key(testing::HasSubstr("veth"))))) << "a container's cable";
  devices["eth0"].counts = {{"b", 2}};
  devices["dummy0"].counts = {{"a", 3}};
  tree.write("sys/class/net/dummy0", "");
  const Told second = pass_of(*it, clock);
  EXPECT_EQ(second.value(R"(node_ethtool_a{device="eth0"})"), std::nullopt);
  EXPECT_EQ(second.value(R"(node_ethtool_b{device="eth0"})"), 2);
  EXPECT_EQ(second.value(R"(node_ethtool_a{device="dummy0"})"), 3);
  tree.remove("sys/class/net/eth0");
  devices.erase("dummy0");
  const Told third = pass_of(*it, clock);
  EXPECT_THAT(third.sink.values(), IsEmpty()) << "one is not listed, the other has just gone";
  EXPECT_TRUE(third.outcome.ok);
}

TEST_F(HostEthtool, a_device_whose_counts_change_under_the_calls_waits_for_the_next_pass) {
  devices["eth0"].counts = {{"a", 1}, {"b", 2}};
  devices["eth0"].more_counts = 1;
  const auto it = part();
  EXPECT_THAT(pass_of(*it, clock).sink.types(), Not(Contains(Key("node_ethtool_a"))));
  devices["eth0"].more_counts = 0;
  EXPECT_EQ(pass_of(*it, clock).value(R"(node_ethtool_b{device="eth0"})"), 2);
  devices["eth0"].more_counts = 1'000'000;
  const Told many = pass_of(*it, clock);
  EXPECT_EQ(many.outcome.error, EFBIG);
  EXPECT_EQ(many.value(R"(node_ethtool_b{device="eth0"})"), std::nullopt);
}

TEST_F(HostEthtool, another_network_is_not_asked_for_devices_of_the_same_name) {
  tree.write("sys/class/net/lo", "");
  FileReader reader;
  const auto it = ethtool_part(reader, Roots{tree.at("proc"), tree.at("sys"), "", tree.at("proc/net")});
  const Told told = pass_of(*it, clock);
  EXPECT_EQ(told.outcome.error, ENOENT);
  EXPECT_THAT(told.sink.values(), IsEmpty());
}

TEST(EthtoolLinkModes, are_each_named_once) {
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> modes;
  for (const LinkSpeed& speed : link_speeds()) {
    EXPECT_TRUE(modes.emplace(std::pair(speed.mode, speed.duplex), speed.bit).second) << speed.mode;
    EXPECT_LT(speed.bit, 32 * LinkModes::kWords);
  }
}

}  // namespace
}  // namespace qd::observe::host
