// Properties of network devices (Documentation/ABI/testing/sysfs-class-net) and the state of bonds
// (Documentation/networking/bonding.rst).

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "observe/host/attributes.h"
#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// A host with containers has hundreds of devices with twenty files each. What follows from a device's state is read
// when one of three files says that the state has changed, and everything rarely. Devices that come show a pass after
// netdev has seen them.
class NetclassPart final : public Part {
 public:
  NetclassPart(FileReader& reader, const Roots& roots, std::shared_ptr<const NetworkDevices> devices)
      : reader_(reader), listing_(roots.sysfs + "/class/net"), known_(std::move(devices)) {}
  std::string_view name() const override { return "netclass"; }

  Outcome collect(const Pass& pass) override {
    const bool asked = std::exchange(seen_changes_, known_->changes) != known_->changes;
    if (listing_.changed(pass, asked)) find_devices();
    if (listing_.error() != 0) return Outcome::failed(listing_.error(), listing_.directory());
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      if (pass.late()) return Outcome::failed(ETIMEDOUT, listing_.directory());
      refresh(devices_[i], pass, i);
    }
    tell_texts(pass.sink);
    for (std::size_t i = 0; i < kNumbers.size(); ++i) {
      bool begun = false;
      for (const Device& device : devices_) {
        if (!device.present || !device.numbers[i]) continue;
        if (!begun) pass.sink.family(kNumbers[i].metric, kNumbers[i].type, kNumbers[i].help);
        begun = true;
        pass.sink.sample({{"device", device.name}}, *device.numbers[i]);
      }
    }
    return {};
  }

 private:
  struct Number {
    std::string_view file;
    std::string_view metric;
    model::MetricType type;
    std::string_view help;
  };
  static constexpr auto kNumbers = std::to_array<Number>({
      {"addr_assign_type", "node_network_address_assign_type", kGauge, "Network device property: address_assign_type"},
      {"carrier", "node_network_carrier", kGauge, "Network device property: carrier"},
      {"carrier_changes", "node_network_carrier_changes_total", kCounter,
       "Network device property: carrier_changes_total"},
      {"carrier_down_count", "node_network_carrier_down_changes_total", kCounter,
       "Network device property: carrier_down_changes_total"},
      {"carrier_up_count", "node_network_carrier_up_changes_total", kCounter,
       "Network device property: carrier_up_changes_total"},
      {"dev_id", "node_network_device_id", kGauge, "Network device property: device_id"},
      {"dormant", "node_network_dormant", kGauge, "Network device property: dormant"},
      {"flags", "node_network_flags", kGauge, "Network device property: flags"},
      {"ifindex", "node_network_iface_id", kGauge, "Network device property: iface_id"},
      {"iflink", "node_network_iface_link", kGauge, "Network device property: iface_link"},
      {"link_mode", "node_network_iface_link_mode", kGauge, "Network device property: iface_link_mode"},
      {"mtu", "node_network_mtu_bytes", kGauge, "Network device property: mtu_bytes"},
      {"name_assign_type", "node_network_name_assign_type", kGauge, "Network device property: name_assign_type"},
      {"netdev_group", "node_network_net_dev_group", kGauge, "Network device property: net_dev_group"},
      {"speed", "node_network_speed_bytes", kGauge, "Network device property: speed_bytes"},
      {"tx_queue_len", "node_network_transmit_queue_length", kGauge, "Network device property: transmit_queue_length"},
      {"type", "node_network_protocol_type", kGauge, "Network device property: protocol_type"},
  });
  static constexpr std::size_t kFlags = 7, kSpeed = 14;
  static_assert(kNumbers[kFlags].file == "flags" && kNumbers[kSpeed].file == "speed");
  static constexpr double kBytesPerMegabit = 125'000;

  // What only an administrator changes (address, MTU, alias) may be this old: it is most of the files.
  static constexpr std::uint64_t kRereadPasses = 3 * kRarelyPasses;
  static constexpr std::size_t kDevicesMax = 16'384;
  struct Device {
    std::string name;
    std::string path;  // with a slash at the end
    // What says that the device's state has changed.
    std::array<KeptFile, 3> state_files;
    std::array<std::string, 3> state;
    bool present = false;
    std::uint64_t reread = 0;  // the pass that reads everything again
    std::array<std::optional<double>, kNumbers.size()> numbers{};
    std::string address, broadcast, duplex, operstate, ifalias;
  };

  void find_devices() {
    std::vector<Device> devices;
    for (const std::string& name : listing_.names()) {
      if (devices.size() == kDevicesMax) break;
      const auto known =
          std::find_if(devices_.begin(), devices_.end(), [&](const Device& device) { return device.name == name; });
      std::string path = listing_.directory() + "/" + name + "/";
      struct stat status{};
      // bonding_masters is a file.
      if (::stat(path.c_str(), &status) != 0) continue;
      if (known != devices_.end()) {
        devices.push_back(std::move(*known));
        continue;
      }
      std::array<KeptFile, 3> state_files = {KeptFile(reader_, path + "operstate"), KeptFile(reader_, path + "flags"),
                                             KeptFile(reader_, path + "carrier_changes")};
      devices.push_back({.name = name, .path = std::move(path), .state_files = std::move(state_files)});
      make_utf8(devices.back().name);
    }
    devices_ = std::move(devices);
  }

  void refresh(Device& device, const Pass& pass, std::size_t index) {
    bool changed = false;
    int error = 0;
    for (std::size_t i = 0; i < device.state_files.size(); ++i) {
      const auto text = device.state_files[i].read();
      const std::string_view now = text ? *text : std::string_view();
      if (!text) error = text.error();
      if (now == device.state[i]) continue;
      device.state[i] = now;
      changed = true;
    }
    if (error == ENODEV) {
      // It was removed since the directory was listed.
      device.present = false;
      return;
    }
    if (!changed && device.present && pass.number < device.reread) return;
    device.reread = pass.number + kRereadPasses - (device.present ? 0 : index % kRereadPasses);
    device.present = true;
    for (std::size_t i = 0; i < kNumbers.size(); ++i) {
      const auto text = read(device.path, kNumbers[i].file);
      device.numbers[i] = text ? read_any_base(*text) : std::nullopt;
      if (i == kSpeed && device.numbers[i]) *device.numbers[i] *= kBytesPerMegabit;
    }
    const auto take = [&](std::string_view file, std::string& into) {
      into = read(device.path, file).value_or(std::string_view());
      make_utf8(into);
    };
    take("address", device.address);
    take("broadcast", device.broadcast);
    take("duplex", device.duplex);
    take("operstate", device.operstate);
    take("ifalias", device.ifalias);
  }

  // Not kept open: it is read rarely.
  std::optional<std::string_view> read(const std::string& directory, std::string_view file) {
    path_ = directory;
    path_ += file;
    const auto text = reader_.read_once(path_.c_str(), Shows::kEverything);
    return text ? std::optional(base::trim(*text)) : std::nullopt;
  }

  void tell_texts(Sink& sink) {
    if (std::none_of(devices_.begin(), devices_.end(), [](const Device& device) { return device.present; })) return;
    sink.family("node_network_info", kGauge, "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
    for (const Device& device : devices_) {
      if (!device.present) continue;
      const auto& flags = device.numbers[kFlags];
      // IFF_UP
      const std::string_view admin = !flags ? "unknown" : (static_cast<std::uint64_t>(*flags) & 1) != 0 ? "up" : "down";
      sink.sample({{"device", device.name},
                   {"address", device.address},
                   {"broadcast", device.broadcast},
                   {"duplex", device.duplex},
                   {"operstate", device.operstate},
                   {"adminstate", admin},
                   {"ifalias", device.ifalias}},
                  1);
    }
    sink.family("node_network_up", kGauge, "Value is 1 if operstate is 'up', 0 otherwise.");
    for (const Device& device : devices_) {
      if (device.present) sink.sample({{"device", device.name}}, device.operstate == "up" ? 1 : 0);
    }
  }

  FileReader& reader_;
  Listing listing_;
  std::shared_ptr<const NetworkDevices> known_;
  std::uint64_t seen_changes_ = 0;
  std::vector<Device> devices_;
  std::string path_;
};

class BondingPart final : public Part {
 public:
  BondingPart(FileReader& reader, const Roots& roots)
      : reader_(reader),
        class_net_(roots.sysfs + "/class/net/"),
        masters_file_(reader, class_net_ + "bonding_masters") {}
  std::string_view name() const override { return "bonding"; }

  Outcome collect(const Pass& pass) override {
    const auto text = masters_file_.read(pass);
    if (!text) return Outcome::failed(text.error(), masters_file_.path());
    if (*text != masters_text_) {
      masters_text_ = *text;
      find_masters();
    }
    for (Master& master : masters_) read_slaves(master);
    tell(pass.sink, "node_bonding_slaves", "Number of configured slaves per bonding interface.", &Master::slaves);
    tell(pass.sink, "node_bonding_active", "Number of active slaves per bonding interface.", &Master::active);
    return {};
  }

 private:
  static constexpr std::size_t kMastersMax = 1024, kSlavesMax = 1024;
  struct Master {
    std::string name;
    KeptFile file;
    std::string text;  // of the file, when slave_files was made
    std::vector<KeptFile> slave_files;
    std::uint64_t slaves = 0, active = 0;
    bool known = false;
  };

  void find_masters() {
    masters_.clear();
    Scanner lines(masters_text_);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      for (std::string_view word = words.word(); !word.empty() && masters_.size() < kMastersMax; word = words.word()) {
        std::string name(word);
        KeptFile file(reader_, class_net_ + name + "/bonding/slaves");
        make_utf8(name);
        masters_.push_back({.name = std::move(name), .file = std::move(file), .text = {}, .slave_files = {}});
      }
    }
  }

  // A slave is "lower_<name>" below its master, before Linux 3.13 "slave_<name>".
  void read_slaves(Master& master) {
    const auto text = master.file.read();
    master.known = text.has_value();
    if (!text) return;
    if (*text != master.text) {
      master.text = *text;
      master.slave_files.clear();
      const std::string directory =
          master.file.path().substr(0, master.file.path().size() - sizeof("bonding/slaves") + 1);
      Scanner words(Scanner(master.text).line());
      for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
        if (master.slave_files.size() == kSlavesMax) break;
        const std::string slave(word);
        std::string path = directory + "lower_" + slave + "/bonding_slave/mii_status";
        if (!exists(path)) path = directory + "slave_" + slave + "/bonding_slave/mii_status";
        master.slave_files.emplace_back(reader_, std::move(path));
      }
    }
    master.slaves = master.slave_files.size();
    master.active = 0;
    for (KeptFile& slave : master.slave_files) {
      const auto status = slave.read();
      if (status && base::trim(*status) == "up") ++master.active;
    }
  }

  void tell(Sink& sink, std::string_view metric, std::string_view help, std::uint64_t Master::* member) {
    bool begun = false;
    for (const Master& master : masters_) {
      if (!master.known) continue;
      if (!begun) sink.family(metric, kGauge, help);
      begun = true;
      sink.sample({{"master", master.name}}, static_cast<double>(master.*member));
    }
  }

  FileReader& reader_;
  std::string class_net_;
  RareFile masters_file_;
  std::string masters_text_;
  std::vector<Master> masters_;
};

}  // namespace

std::unique_ptr<Part> netclass_part(FileReader& reader, const Roots& roots,
                                    std::shared_ptr<const NetworkDevices> devices) {
  return std::make_unique<NetclassPart>(reader, roots, std::move(devices));
}

std::unique_ptr<Part> bonding_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<BondingPart>(reader, roots);
}

}  // namespace qd::observe::host
