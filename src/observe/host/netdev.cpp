// Network devices: /proc/net/dev (net/core/net-procfs.c), and the one count that is only in
// /sys/class/net/<device>/statistics.

#include <array>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

struct NetdevColumn {
  std::string_view metric;
  std::string_view help;
};
// In the order of the file.
constexpr std::array<NetdevColumn, 16> kNetdevColumns = {{
    {"node_network_receive_bytes_total", "Network device statistic receive_bytes."},
    {"node_network_receive_packets_total", "Network device statistic receive_packets."},
    {"node_network_receive_errs_total", "Network device statistic receive_errs."},
    {"node_network_receive_drop_total", "Network device statistic receive_drop."},
    {"node_network_receive_fifo_total", "Network device statistic receive_fifo."},
    {"node_network_receive_frame_total", "Network device statistic receive_frame."},
    {"node_network_receive_compressed_total", "Network device statistic receive_compressed."},
    {"node_network_receive_multicast_total", "Network device statistic receive_multicast."},
    {"node_network_transmit_bytes_total", "Network device statistic transmit_bytes."},
    {"node_network_transmit_packets_total", "Network device statistic transmit_packets."},
    {"node_network_transmit_errs_total", "Network device statistic transmit_errs."},
    {"node_network_transmit_drop_total", "Network device statistic transmit_drop."},
    {"node_network_transmit_fifo_total", "Network device statistic transmit_fifo."},
    {"node_network_transmit_colls_total", "Network device statistic transmit_colls."},
    {"node_network_transmit_carrier_total", "Network device statistic transmit_carrier."},
    {"node_network_transmit_compressed_total", "Network device statistic transmit_compressed."},
}};

class NetdevPart final : public Part {
 public:
  NetdevPart(FileReader& reader, const Roots& roots, std::shared_ptr<NetworkDevices> devices)
      : reader_(reader),
        file_(reader, roots.procfs_net + "/dev", Shows::kShortRecords),
        class_net_(roots.sysfs + "/class/net/"),
        known_(std::move(devices)) {}
  std::string_view name() const override { return "netdev"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    read_rows(*text);
    for (std::size_t column = 0; column < kNetdevColumns.size() && devices_.size() > 0; ++column) {
      pass.sink.family(kNetdevColumns[column].metric, kCounter, kNetdevColumns[column].help);
      for (const Device& device : devices_) {
        pass.sink.sample({{"device", device.name}}, static_cast<double>(device.values[column]));
      }
    }
    bool begun = false;
    for (Device& device : devices_) {
      const auto count = device.nohandler->read();
      const auto value = count ? lone_number(*count) : std::nullopt;
      if (!value) continue;
      if (!begun) {
        pass.sink.family("node_network_receive_nohandler_total", kCounter,
                         "Network device statistic receive_nohandler.");
      }
      begun = true;
      pass.sink.sample({{"device", device.name}}, static_cast<double>(*value));
    }
    return {};
  }

 private:
  struct Device {
    std::string name;
    std::array<std::uint64_t, kNetdevColumns.size()> values{};
    std::optional<KeptFile> nohandler;
  };

  void read_rows(std::string_view text) {
    const std::size_t size_before = devices_.size();
    bool changed = false;
    devices_.clear();
    Scanner lines(text);
    // Two lines of headings.
    lines.line();
    lines.line();
    while (!lines.at_end()) {
      const std::string_view line = lines.line();
      // Aliases have a colon in the name.
      const auto colon = line.rfind(':');
      if (colon == std::string_view::npos) continue;
      const std::string_view name = Scanner(line.substr(0, colon)).word();
      if (name.empty()) continue;
      Device& device = devices_.add();
      if (device.name != name) {
        device.name = name;
        changed = true;
        device.nohandler.emplace(reader_, class_net_ + device.name + "/statistics/rx_nohandler");
      }
      device.values.fill(0);
      Scanner words(line.substr(colon + 1));
      for (std::uint64_t& value : device.values) {
        if (!words.number(value)) break;
      }
    }
    if (changed || devices_.size() != size_before) ++known_->changes;
  }

  FileReader& reader_;
  KeptFile file_;
  std::string class_net_;
  std::shared_ptr<NetworkDevices> known_;
  Rows<Device> devices_;
};

}  // namespace

std::unique_ptr<Part> netdev_part(FileReader& reader, const Roots& roots, std::shared_ptr<NetworkDevices> devices) {
  return std::make_unique<NetdevPart>(reader, roots, std::move(devices));
}

}  // namespace qd::observe::host
