// Protocol statistics: /proc/net/netstat, /proc/net/snmp (pairs of lines: names, then values) and /proc/net/snmp6 (a
// name and a value a line).

#include <algorithm>
#include <array>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

// node_exporter's default, with the two TcpExt fields that releases after 1.5 added:
// ^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|
//   TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|
//   Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|
//   Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$
bool wanted(std::string_view protocol, std::string_view field) {
  const auto among = [&](const auto& fields) { return std::find(fields.begin(), fields.end(), field) != fields.end(); };
  static constexpr std::array<std::string_view, 4> kTcpExt = {"TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue",
                                                              "TCPRcvQDrop"};
  static constexpr std::array<std::string_view, 7> kTcp = {"ActiveOpens",  "InSegs",      "OutSegs",  "OutRsts",
                                                           "PassiveOpens", "RetransSegs", "CurrEstab"};
  static constexpr std::array<std::string_view, 5> kUdp = {"InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors",
                                                           "SndbufErrors"};
  if (field == "InErrors" || field == "InErrs") return true;
  if (protocol == "TcpExt") return field.starts_with("Listen") || field.starts_with("Syncookies") || among(kTcpExt);
  if (protocol == "Tcp") return among(kTcp);
  if (protocol == "Udp" || protocol == "Udp6") return among(kUdp);
  if (protocol == "Icmp" || protocol == "Icmp6") return field == "InMsgs" || field == "OutMsgs";
  if (protocol == "Ip6" || protocol == "IpExt") return field == "InOctets" || field == "OutOctets";
  return protocol == "Ip" && field == "Forwarding";
}

class NetstatPart final : public Part {
 public:
  NetstatPart(FileReader& reader, const Roots& roots)
      : netstat_(reader, roots.procfs_net + "/netstat"),
        snmp_(reader, roots.procfs_net + "/snmp"),
        snmp6_(reader, roots.procfs_net + "/snmp6") {}
  std::string_view name() const override { return "netstat"; }

  Outcome collect(const Pass& pass) override {
    fields_.begin();
    Outcome outcome;
    for (KeptFile* file : {&netstat_, &snmp_}) {
      const auto text = file->read();
      if (text) {
        tell_pairs(pass.sink, *text);
      } else {
        outcome = Outcome::failed(text.error(), file->path());
      }
    }
    // Without IPv6 there is no such file.
    if (const auto text = snmp6_.read()) tell_snmp6(pass.sink, *text);
    return outcome;
  }

 private:
  void tell(Sink& sink, std::string_view protocol, std::string_view field, double value) {
    key_ = protocol;
    key_ += '_';
    key_ += field;
    const auto& named = fields_.next(key_, [&](NamedFields::Field& made) {
      made.name = "node_netstat_";
      append_name_part(made.name, key_);
      made.help = "Statistic " + std::string(protocol) + std::string(field) + ".";
    });
    sink.family(named.name, kUnknown, named.help);
    sink.sample(value);
  }

  void tell_pairs(Sink& sink, std::string_view text) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner names(lines.line());
      Scanner values(lines.line());
      std::string_view protocol = names.word();
      if (values.word() != protocol || !protocol.ends_with(':')) continue;
      protocol.remove_suffix(1);
      for (std::string_view field = names.word(); !field.empty(); field = names.word()) {
        const std::string_view value = values.word();
        if (!wanted(protocol, field)) continue;
        // Some are negative ("MaxConn" is -1).
        if (const auto number = real(value)) tell(sink, protocol, field, *number);
      }
    }
  }

  void tell_snmp6(Sink& sink, std::string_view text) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view name = words.word();
      const auto six = name.find('6');
      if (six == std::string_view::npos) continue;
      const std::string_view protocol = name.substr(0, six + 1);
      const std::string_view field = name.substr(six + 1);
      if (!wanted(protocol, field)) continue;
      if (const auto number = real(words.word())) tell(sink, protocol, field, *number);
    }
  }

  KeptFile netstat_;
  KeptFile snmp_;
  KeptFile snmp6_;
  std::string key_;
  NamedFields fields_;
};

}  // namespace

std::unique_ptr<Part> netstat_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<NetstatPart>(reader, roots);
}

}  // namespace qd::observe::host
