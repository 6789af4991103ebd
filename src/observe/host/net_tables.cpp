// Tables of the network: neighbours (net/ipv4/arp.c), queues of UDP sockets (net/ipv4/udp.c), virtual servers
// (net/netfilter/ipvs/ip_vs_ctl.c).

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/format.h"
#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class ArpPart final : public Part {
 public:
  ArpPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs_net + "/arp", Shows::kShortRecords) {}
  std::string_view name() const override { return "arp"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    devices_.clear();
    bool understood = true;
    Scanner lines(*text);
    lines.line();
    while (!lines.at_end()) {
      Scanner words(lines.line());
      std::string_view device;
      std::size_t columns = 0;
      for (std::string_view word = words.word(); !word.empty(); word = words.word(), ++columns) device = word;
      if (columns != kColumns || !count(device)) understood = false;
    }
    if (devices_.size() > 0) pass.sink.family("node_arp_entries", kGauge, "ARP entries by device");
    for (const Device& device : devices_) {
      pass.sink.sample({{"device", device.name}}, static_cast<double>(device.entries));
    }
    return understood ? Outcome() : Outcome::not_understood(file_.path());
  }

 private:
  // IP address, HW type, Flags, HW address, Mask, Device.
  static constexpr std::size_t kColumns = 6;
  static constexpr std::size_t kDevicesMax = 1024;
  struct Device {
    std::string name;
    std::uint64_t entries = 0;
  };

  // False past kDevicesMax.
  bool count(std::string_view name) {
    auto found =
        std::find_if(devices_.begin(), devices_.end(), [&](const Device& device) { return device.name == name; });
    if (found == devices_.end()) {
      if (devices_.size() == kDevicesMax) return false;
      Device& device = devices_.add();
      device.name = name;
      device.entries = 1;
      return true;
    }
    ++found->entries;
    return true;
  }

  KeptFile file_;
  Rows<Device> devices_;
};

class UdpQueuesPart final : public Part {
 public:
  UdpQueuesPart(FileReader& reader, const Roots& roots)
      : v4_(reader, roots.procfs_net + "/udp", Shows::kShortRecords),
        v6_(reader, roots.procfs_net + "/udp6", Shows::kShortRecords) {}
  std::string_view name() const override { return "udp_queues"; }

  Outcome collect(const Pass& pass) override {
    std::array<std::optional<Sums>, 2> found;
    int error = 0;
    for (std::size_t i = 0; i < kFamilies.size(); ++i) {
      RareFile& file = i == 0 ? v4_ : v6_;
      const auto text = file.read(pass);
      if (text) found[i] = sum(*text);
      if (!text && text.error() != ENOENT) error = text.error();
    }
    if (error != 0 || (!found[0] && !found[1])) return Outcome::failed(error == 0 ? ENOENT : error, v4_.path());
    pass.sink.family("node_udp_queues", kGauge, "Number of allocated memory in the kernel for UDP datagrams in bytes.");
    for (std::size_t i = 0; i < kFamilies.size(); ++i) {
      if (!found[i]) continue;
      pass.sink.sample({{"queue", "tx"}, {"ip", kFamilies[i]}}, static_cast<double>(found[i]->tx));
      pass.sink.sample({{"queue", "rx"}, {"ip", kFamilies[i]}}, static_cast<double>(found[i]->rx));
    }
    return {};
  }

 private:
  static constexpr std::array<std::string_view, 2> kFamilies = {"v4", "v6"};
  struct Sums {
    std::uint64_t tx = 0;
    std::uint64_t rx = 0;
  };

  // "sl: local_address rem_address st tx_queue:rx_queue …", hexadecimal.
  static Sums sum(std::string_view text) {
    Sums sums;
    Scanner lines(text);
    lines.line();
    while (!lines.at_end()) {
      Scanner words(lines.line());
      for (int skipped = 0; skipped < 4; ++skipped) words.word();
      const std::string_view queues = words.word();
      const auto colon = queues.find(':');
      if (colon == std::string_view::npos) continue;
      sums.tx += hexadecimal(queues.substr(0, colon)).value_or(0);
      sums.rx += hexadecimal(queues.substr(colon + 1)).value_or(0);
    }
    return sums;
  }

  RareFile v4_;
  RareFile v6_;
};

class IpvsPart final : public Part {
 public:
  IpvsPart(FileReader& reader, const Roots& roots)
      : stats_(reader, roots.procfs_net + "/ip_vs_stats"), backends_(reader, roots.procfs_net + "/ip_vs") {}
  std::string_view name() const override { return "ipvs"; }

  Outcome collect(const Pass& pass) override {
    const auto stats = stats_.read(pass);
    if (!stats) return Outcome::failed(stats.error(), stats_.path());
    if (!tell_totals(pass.sink, *stats)) return Outcome::not_understood(stats_.path());
    const auto backends = backends_.read(pass);
    if (!backends) return Outcome::failed(backends.error(), backends_.path());
    read_backends(*backends);
    if (rows_.size() == 0) return {};
    tell_backends(pass.sink, "node_ipvs_backend_connections_active",
                  "The current active connections by local and remote address.", &Backend::active);
    tell_backends(pass.sink, "node_ipvs_backend_connections_inactive",
                  "The current inactive connections by local and remote address.", &Backend::inactive);
    tell_backends(pass.sink, "node_ipvs_backend_weight", "The current backend weight by local and remote address.",
                  &Backend::weight);
    return {};
  }

 private:
  static constexpr std::size_t kBackendsMax = 65'536;
  struct Address {
    std::string host;
    std::string port;
  };
  struct Backend {
    Address local, remote;
    std::string mark, protocol;
    std::uint64_t weight = 0, active = 0, inactive = 0;
  };

  // Two lines of headings, then what was counted since the start, hexadecimal; below it rates.
  static bool tell_totals(Sink& sink, std::string_view text) {
    struct Column {
      std::string_view metric;
      std::string_view help;
    };
    static constexpr std::array<Column, 5> kColumns = {{
        {"node_ipvs_connections_total", "The total number of connections made."},
        {"node_ipvs_incoming_packets_total", "The total number of incoming packets."},
        {"node_ipvs_outgoing_packets_total", "The total number of outgoing packets."},
        {"node_ipvs_incoming_bytes_total", "The total amount of incoming data."},
        {"node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."},
    }};
    Scanner lines(text);
    lines.line();
    lines.line();
    Scanner words(lines.line());
    std::array<std::uint64_t, kColumns.size()> values{};
    for (std::uint64_t& value : values) {
      const auto number = hexadecimal(words.word());
      if (!number) return false;
      value = *number;
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      sink.family(kColumns[i].metric, kCounter, kColumns[i].help);
      sink.sample(static_cast<double>(values[i]));
    }
    return true;
  }

  // "C0A80016:0CEA" or "[2620:0000:…:0001]:0050". False for what is neither.
  static bool read_address(std::string_view text, Address& address) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    const auto port = hexadecimal(text.substr(colon + 1));
    if (!port) return false;
    std::array<char, INET6_ADDRSTRLEN> shown{};
    const std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']') && host.size() < shown.size() + 2) {
      std::array<char, INET6_ADDRSTRLEN + 1> written{};
      host.substr(1, host.size() - 2).copy(written.data(), written.size() - 1);
      in6_addr bytes{};
      if (::inet_pton(AF_INET6, written.data(), &bytes) != 1) return false;
      if (::inet_ntop(AF_INET6, &bytes, shown.data(), shown.size()) == nullptr) return false;
      address.host = shown.data();
    } else {
      const auto number = hexadecimal(host);
      if (!number || host.size() != 8) return false;
      address.host.clear();
      base::append_format(address.host, "{}.{}.{}.{}", *number >> 24, *number >> 16 & 255, *number >> 8 & 255,
                          *number & 255);
    }
    address.port.clear();
    base::append_format(address.port, "{}", *port);
    return true;
  }

  void read_backends(std::string_view text) {
    rows_.clear();
    bool usable = false;
    Scanner lines(text);
    while (!lines.at_end() && rows_.size() < kBackendsMax) {
      Scanner words(lines.line());
      const std::string_view first = words.word();
      if (first == "TCP" || first == "UDP" || first == "SCTP") {
        usable = read_address(words.word(), service_);
        protocol_ = first;
        mark_ = {};
      } else if (first == "FWM") {
        usable = true;
        protocol_ = first;
        mark_ = words.word();
        service_.host.clear();
        service_.port = "0";
      } else if (first == "->" && usable) {
        Backend& row = rows_.add();
        const bool good = read_address(words.word(), row.remote) && !words.word().empty() && words.number(row.weight) &&
                          words.number(row.active) && words.number(row.inactive);
        if (!good) {
          rows_.drop_last();
          continue;
        }
        row.local.host = service_.host;
        row.local.port = service_.port;
        row.protocol = protocol_;
        row.mark = mark_;
        make_utf8(row.mark);
      }
    }
  }

  void tell_backends(Sink& sink, std::string_view metric, std::string_view help, std::uint64_t Backend::* member) {
    sink.family(metric, kGauge, help);
    for (const Backend& row : rows_) {
      sink.sample({{"local_address", row.local.host},
                   {"local_port", row.local.port},
                   {"remote_address", row.remote.host},
                   {"remote_port", row.remote.port},
                   {"proto", row.protocol},
                   {"local_mark", row.mark}},
                  static_cast<double>(row.*member));
    }
  }

  RareFile stats_;
  RareFile backends_;
  Rows<Backend> rows_;
  Address service_;  // that the backends being read are of
  std::string_view protocol_, mark_;
};

}  // namespace

std::unique_ptr<Part> arp_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<ArpPart>(reader, roots);
}

std::unique_ptr<Part> udp_queues_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<UdpQueuesPart>(reader, roots);
}

std::unique_ptr<Part> ipvs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<IpvsPart>(reader, roots);
}

}  // namespace qd::observe::host
