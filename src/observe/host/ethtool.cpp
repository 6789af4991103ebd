// Drivers tell their counts as two arrays, names and values. Which metric a place in them is, is worked out when the
// names change; a pass asks for both arrays and compares.
//
// A call takes the kernel's lock on network devices, and a driver may ask its firmware: the pace is that of what is
// dear (observe/host/pace.h). The ends of containers' virtual cables (driver veth) are left out: they come and go with
// containers, and count nothing that /proc/net/dev does not.

#include "observe/host/ethtool.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "observe/host/directory.h"
#include "observe/host/link_modes.h"
#include "observe/host/opt_in_families.h"
#include "observe/host/own_network.h"
#include "observe/host/pace.h"
#include "observe/host/parts.h"
#include "observe/utf8.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

enum EthtoolFamily {
  kSupportedPort,
  kSupportedSpeed,
  kSupportedAutonegotiate,
  kSupportedPause,
  kSupportedAsymmetricPause,
  kAdvertisedSpeed,
  kAdvertisedAutonegotiate,
  kAdvertisedPause,
  kAdvertisedAsymmetricPause,
  kAutonegotiate,
  kDriverInfo
};
constexpr auto kEthtoolFamilies = std::to_array<FamilyInfo>({
    {"node_network_supported_port_info", kGauge, "Type of ports or PHYs supported by network device", "device,type"},
    {"node_network_supported_speed_bytes", kGauge, "Combination of speeds and features supported by network device",
     "device,duplex,mode"},
    {"node_network_autonegotiate_supported", kGauge, "If this port device supports autonegotiate", "device"},
    {"node_network_pause_supported", kGauge, "If this port device supports pause frames", "device"},
    {"node_network_asymmetricpause_supported", kGauge, "If this port device supports asymmetric pause frames",
     "device"},
    {"node_network_advertised_speed_bytes", kGauge, "Combination of speeds and features offered by network device",
     "device,duplex,mode"},
    {"node_network_autonegotiate_advertised", kGauge, "If this port device offers autonegotiate", "device"},
    {"node_network_pause_advertised", kGauge, "If this port device offers pause capability", "device"},
    {"node_network_asymmetricpause_advertised", kGauge, "If this port device offers asymmetric pause capability",
     "device"},
    {"node_network_autonegotiate", kGauge, "If this port is using autonegotiate", "device"},
    {"node_ethtool_info", kGauge,
     "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, "
     "firmware_version, version.",
     "bus_info,device,driver,expansion_rom_version,firmware_version,version"},
    {"node_ethtool_received_bytes_total", kUnknown, "Network interface bytes received", "device"},
    {"node_ethtool_received_dropped_total", kUnknown, "Number of received frames dropped", "device"},
    {"node_ethtool_received_errors_total", kUnknown, "Number of received frames with errors", "device"},
    {"node_ethtool_received_packets_total", kUnknown, "Network interface packets received", "device"},
    {"node_ethtool_transmitted_bytes_total", kUnknown, "Network interface bytes sent", "device"},
    {"node_ethtool_transmitted_errors_total", kUnknown, "Number of sent frames with errors", "device"},
    {"node_ethtool_transmitted_packets_total", kUnknown, "Network interface packets sent", "device"},
    {"node_ethtool_*", kUnknown, "Network interface *", "device"},
});

// Counts that are families of the table, by the driver's name.
struct Common {
  std::string_view name;
  std::string_view metric;
};
constexpr std::array<Common, 7> kCommon = {{
    {"rx_bytes", "node_ethtool_received_bytes_total"},
    {"rx_dropped", "node_ethtool_received_dropped_total"},
    {"rx_errors", "node_ethtool_received_errors_total"},
    {"rx_packets", "node_ethtool_received_packets_total"},
    {"tx_bytes", "node_ethtool_transmitted_bytes_total"},
    {"tx_errors", "node_ethtool_transmitted_errors_total"},
    {"tx_packets", "node_ethtool_transmitted_packets_total"},
}};

constexpr std::string_view kOtherNetwork = "SIOCETHTOOL: this process is not in the machine's network";
constexpr std::size_t kDevicesMax = 4096;
constexpr std::string_view kTooManyDevices = "network devices, of which at most 4096 are asked";
// Network cards have several hundred; those with a queue for each of many CPUs, some thousands.
constexpr std::uint32_t kStatsMax = 16384;
constexpr std::string_view kTooManyStats = "ETHTOOL_GDRVINFO: more than 16384 counts of a device";

class KernelCalls final : public EthtoolCalls {
 public:
  ~KernelCalls() override {
    if (socket_ >= 0) ::close(socket_);
  }
  int call(const char* device, void* command) override {
    if (socket_ < 0) socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return errno;
    ifreq request{};
    const std::size_t size = std::strlen(device);
    if (size >= sizeof(request.ifr_name)) return ENODEV;
    std::memcpy(request.ifr_name, device, size);
    request.ifr_data = static_cast<char*>(command);
    return ::ioctl(socket_, SIOCETHTOOL, &request) == 0 ? 0 : errno;
  }

 private:
  int socket_ = -1;
};

// Fields of a structure are padded with zeros, or full.
template <std::size_t N>
std::string_view field_text(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

class EthtoolPart final : public Part {
 public:
  EthtoolPart(const Roots& roots, std::unique_ptr<EthtoolCalls> calls)
      : class_net_(roots.sysfs + "/class/net"), calls_(std::move(calls)) {}
  std::string_view name() const override { return "ethtool"; }

  Outcome collect(const Pass& pass) override {
    if (calls_ == nullptr) return Outcome::failed(ENOENT, kOtherNetwork);
    const std::int64_t from_ns = pass.clock.monotonic_ns();
    if (pace_.due(from_ns)) {
      outcome_ = refresh(pass);
      pace_.took(from_ns, pass.clock.monotonic_ns());
    }
    tell_links(pass.sink);
    tell_info(pass.sink);
    tell_counts(pass.sink);
    return outcome_;
  }

 private:
  struct Device {
    std::string name;
    bool listed = true;
    bool has_info = false;
    std::string driver, version, firmware, bus, rom;
    std::uint32_t stats = 0;
    bool has_link = false;
    bool autonegotiates = false;
    LinkModes supported, advertised;
    std::vector<char> names;  // ETH_GSTRING_LEN bytes each
    std::vector<std::uint64_t> values;
  };
  // A count of a device, as a metric of that device.
  struct Count {
    std::string metric;
    std::string help;
    std::size_t device;
    std::size_t place;
  };

  Outcome refresh(const Pass& pass) {
    for (Device& device : devices_) device.listed = false;
    const int directory = ::open(class_net_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return forget(Outcome::failed(errno, class_net_));
    const int error = walk_.walk(directory, [&](const char* name) {
      if (name[0] != '.') list(name);
      return devices_.size() > kDevicesMax ? EFBIG : 0;
    });
    ::close(directory);
    if (error != 0) return forget(Outcome::failed(error, error == EFBIG ? kTooManyDevices : class_net_));
    if (std::erase_if(devices_, [](const Device& device) { return !device.listed; }) > 0) changed_ = true;
    Outcome outcome;
    for (Device& device : devices_) {
      if (pass.late()) {
        outcome = Outcome::failed(ETIMEDOUT, "SIOCETHTOOL");
        break;
      }
      if (!ask(device)) outcome = Outcome::failed(EFBIG, kTooManyStats);
    }
    if (changed_) name_counts();
    changed_ = false;
    return outcome;
  }

  Outcome forget(Outcome outcome) {
    devices_.clear();
    counts_.clear();
    return outcome;
  }

  // In order of names.
  void list(std::string_view name) {
    auto at = std::lower_bound(devices_.begin(), devices_.end(), name,
                               [](const Device& device, std::string_view wanted) { return device.name < wanted; });
    if (at == devices_.end() || at->name != name) {
      at = devices_.emplace(at);
      at->name = name;
      changed_ = true;
    }
    at->listed = true;
  }

  // False where a device has more counts than are read. What a device does not know (EOPNOTSUPP), or one that has just
  // gone, tells nothing.
  bool ask(Device& device) {
    if (device.has_info && device.driver == "veth") return true;
    ask_info(device);
    if (device.driver == "veth") return true;
    ask_link(device);
    const bool few = device.stats <= kStatsMax;
    if (!few || !ask_counts(device)) {
      changed_ = changed_ || !device.names.empty();
      device.names.clear();
      device.values.clear();
    }
    return few;
  }

  void ask_info(Device& device) {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    device.has_info = calls_->call(device.name.c_str(), &info) == 0;
    device.stats = device.has_info ? info.n_stats : 0;
    if (!device.has_info) return;
    const auto keep = [](std::string& field, std::string_view text) {
      field = text;
      make_utf8(field);
    };
    keep(device.driver, field_text(info.driver));
    keep(device.version, field_text(info.version));
    keep(device.firmware, field_text(info.fw_version));
    keep(device.bus, field_text(info.bus_info));
    keep(device.rom, field_text(info.erom_version));
  }

  // The kernel says first how many words its sets of link modes have, as a negative number.
  void ask_link(Device& device) {
    constexpr std::size_t kHeaderWords = sizeof(ethtool_link_settings) / sizeof(std::uint32_t);
    std::array<std::uint32_t, kHeaderWords + 3 * INT8_MAX> words{};
    ethtool_link_settings settings{};
    settings.cmd = ETHTOOL_GLINKSETTINGS;
    device.has_link = false;
    for (int round = 0; round < 2; ++round) {
      std::memcpy(words.data(), &settings, sizeof(settings));
      if (calls_->call(device.name.c_str(), words.data()) != 0) return;
      std::memcpy(&settings, words.data(), sizeof(settings));
      if (settings.link_mode_masks_nwords >= 0) break;
      settings.link_mode_masks_nwords = static_cast<std::int8_t>(-settings.link_mode_masks_nwords);
      settings.cmd = ETHTOOL_GLINKSETTINGS;
    }
    if (settings.link_mode_masks_nwords <= 0) return;
    const std::size_t each = static_cast<std::uint8_t>(settings.link_mode_masks_nwords);
    device.has_link = true;
    device.autonegotiates = settings.autoneg == AUTONEG_ENABLE;
    const std::span<const std::uint32_t> sets = std::span(words).subspan(kHeaderWords);
    device.supported.assign(sets.subspan(0, each));
    device.advertised.assign(sets.subspan(each, each));
  }

  bool ask_counts(Device& device) {
    const std::uint32_t count = device.stats;
    if (count == 0) return false;
    // The kernel writes as many as the device has at that moment, whatever it was asked for: room for a device that has
    // just been given more queues.
    const std::size_t room = 2 * std::size_t{count} + 1024;
    answer_.assign((sizeof(ethtool_gstrings) + room * ETH_GSTRING_LEN) / sizeof(std::uint64_t) + 1, 0);
    auto* const names = reinterpret_cast<ethtool_gstrings*>(answer_.data());
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = ETH_SS_STATS;
    names->len = count;
    if (calls_->call(device.name.c_str(), names) != 0 || names->len != count) return false;
    const char* const text = reinterpret_cast<const char*>(names->data);
    const std::size_t size = std::size_t{count} * ETH_GSTRING_LEN;
    if (device.names.size() != size || std::memcmp(device.names.data(), text, size) != 0) {
      device.names.assign(text, text + size);
      changed_ = true;
    }
    auto* const values = reinterpret_cast<ethtool_stats*>(answer_.data());
    values->cmd = ETHTOOL_GSTATS;
    values->n_stats = count;
    if (calls_->call(device.name.c_str(), values) != 0 || values->n_stats != count) return false;
    device.values.assign(values->data, values->data + count);
    return true;
  }

  void name_counts() {
    counts_.clear();
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      const auto& names = devices_[d].names;
      for (std::size_t at = 0; at < names.size(); at += ETH_GSTRING_LEN) {
        const std::string clean =
            ethtool_clean_name({names.data() + at, ::strnlen(names.data() + at, ETH_GSTRING_LEN)});
        const auto common =
            std::find_if(kCommon.begin(), kCommon.end(), [&](const Common& one) { return one.name == clean; });
        const std::size_t place = at / ETH_GSTRING_LEN;
        if (common != kCommon.end()) {
          const auto family = std::find_if(kEthtoolFamilies.begin(), kEthtoolFamilies.end(),
                                           [&](const FamilyInfo& info) { return info.name == common->metric; });
          counts_.push_back({std::string(common->metric), std::string(family->help), d, place});
        } else if (std::string metric = ethtool_metric_name(clean);
                   !metric.empty() && metric != kEthtoolFamilies[kDriverInfo].name) {
          counts_.push_back({std::move(metric), "Network interface " + clean, d, place});
        }
      }
    }
    std::sort(counts_.begin(), counts_.end(), [](const Count& a, const Count& b) {
      return std::tie(a.metric, a.device, a.place) < std::tie(b.metric, b.device, b.place);
    });
    // Counts of a device that become one metric cannot be told apart: none of them is told.
    const auto same = [](const Count& a, const Count& b) { return a.device == b.device && a.metric == b.metric; };
    std::vector<Count> kept;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const bool clash =
          (i > 0 && same(counts_[i - 1], counts_[i])) || (i + 1 < counts_.size() && same(counts_[i], counts_[i + 1]));
      if (!clash) kept.push_back(counts_[i]);
    }
    counts_ = std::move(kept);
  }

  // Calls `tell` with a family and each device whose link is known.
  template <typename Tell>
  void of_links(Sink& sink, EthtoolFamily which, Tell tell) const {
    LazyFamily family(sink, kEthtoolFamilies[which]);
    for (const Device& device : devices_) {
      if (device.has_link) tell(family, device);
    }
  }

  void tell_speeds(Sink& sink, EthtoolFamily which, LinkModes Device::* modes) const {
    of_links(sink, which, [&](LazyFamily& family, const Device& device) {
      for (const LinkSpeed& speed : link_speeds()) {
        if (!(device.*modes).has(speed.bit)) continue;
        family.sample({{"device", device.name}, {"duplex", speed.duplex}, {"mode", speed.mode}}, speed.bytes_per_s);
      }
    });
  }

  void tell_bit(Sink& sink, EthtoolFamily which, LinkModes Device::* modes, std::size_t bit) const {
    of_links(sink, which, [&](LazyFamily& family, const Device& device) {
      family.sample({{"device", device.name}}, (device.*modes).has(bit) ? 1 : 0);
    });
  }

  void tell_links(Sink& sink) const {
    of_links(sink, kSupportedPort, [&](LazyFamily& family, const Device& device) {
      for (const LinkPort& port : link_ports()) {
        if (device.supported.has(port.bit)) family.sample({{"device", device.name}, {"type", port.type}}, 1);
      }
    });
    tell_speeds(sink, kSupportedSpeed, &Device::supported);
    tell_bit(sink, kSupportedAutonegotiate, &Device::supported, ETHTOOL_LINK_MODE_Autoneg_BIT);
    tell_bit(sink, kSupportedPause, &Device::supported, ETHTOOL_LINK_MODE_Pause_BIT);
    tell_bit(sink, kSupportedAsymmetricPause, &Device::supported, ETHTOOL_LINK_MODE_Asym_Pause_BIT);
    tell_speeds(sink, kAdvertisedSpeed, &Device::advertised);
    tell_bit(sink, kAdvertisedAutonegotiate, &Device::advertised, ETHTOOL_LINK_MODE_Autoneg_BIT);
    tell_bit(sink, kAdvertisedPause, &Device::advertised, ETHTOOL_LINK_MODE_Pause_BIT);
    tell_bit(sink, kAdvertisedAsymmetricPause, &Device::advertised, ETHTOOL_LINK_MODE_Asym_Pause_BIT);
    of_links(sink, kAutonegotiate, [&](LazyFamily& family, const Device& device) {
      family.sample({{"device", device.name}}, device.autonegotiates ? 1 : 0);
    });
  }

  void tell_info(Sink& sink) const {
    LazyFamily family(sink, kEthtoolFamilies[kDriverInfo]);
    for (const Device& device : devices_) {
      if (!device.has_info || device.driver == "veth") continue;
      family.sample({{"bus_info", device.bus},
                     {"device", device.name},
                     {"driver", device.driver},
                     {"expansion_rom_version", device.rom},
                     {"firmware_version", device.firmware},
                     {"version", device.version}},
                    1);
    }
  }

  void tell_counts(Sink& sink) const {
    const std::string* metric = nullptr;
    for (const Count& count : counts_) {
      const Device& device = devices_[count.device];
      if (metric == nullptr || *metric != count.metric) sink.family(count.metric, kUnknown, count.help);
      metric = &count.metric;
      sink.sample({{"device", device.name}}, static_cast<double>(device.values[count.place]));
    }
  }

  std::string class_net_;
  std::unique_ptr<EthtoolCalls> calls_;
  DirectoryWalk walk_;
  Pace pace_;
  Outcome outcome_;
  std::vector<Device> devices_;
  bool changed_ = false;
  std::vector<Count> counts_;
  std::vector<std::uint64_t> answer_;
};

bool fits_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

// A run of what fits no name, with the underscores around it, is one underscore.
std::string ethtool_clean_name(std::string_view name) {
  std::string clean;
  for (std::size_t at = 0; at < name.size();) {
    if (fits_name(name[at])) {
      clean += name[at++];
      continue;
    }
    while (!clean.empty() && clean.back() == '_') clean.pop_back();
    while (at < name.size() && (!fits_name(name[at]) || name[at] == '_')) ++at;
    clean += '_';
  }
  return clean;
}

// In lower case, with the words rx and tx written out; empty where nothing is left of the name. Of two such words that
// are the same and follow each other, node_exporter writes out the first alone: "tx_tx_timeouts" is
// "transmitted_tx_timeouts".
std::string ethtool_metric_name(std::string_view clean_name) {
  clean_name.remove_prefix(std::min(clean_name.find_first_not_of('_'), clean_name.size()));
  if (clean_name.empty()) return {};
  std::string metric = "node_ethtool";
  std::string written_out;
  for (std::size_t at = 0; at <= clean_name.size();) {
    const std::size_t end = std::min(clean_name.find('_', at), clean_name.size());
    std::string word(clean_name.substr(at, end - at));
    for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool write_out = (word == "rx" || word == "tx") && word != written_out;
    metric += '_';
    metric += !write_out ? word : word == "rx" ? "received" : "transmitted";
    written_out = write_out ? word : "";
    at = end + 1;
  }
  return metric;
}

std::span<const FamilyInfo> ethtool_families() {
  return kEthtoolFamilies;
}

std::unique_ptr<Part> ethtool_part(const Roots& roots, std::unique_ptr<EthtoolCalls> calls) {
  return std::make_unique<EthtoolPart>(roots, std::move(calls));
}

std::unique_ptr<Part> ethtool_part(FileReader&, const Roots& roots) {
  return ethtool_part(roots, is_own_network(roots) ? std::make_unique<KernelCalls>() : nullptr);
}

}  // namespace qd::observe::host
