// Host adapters of storage and compute networks: Fibre Channel (include/scsi/scsi_transport_fc.h, all numbers
// hexadecimal), InfiniBand and RoCE (Documentation/ABI/stable/sysfs-class-infiniband).

#include <array>
#include <span>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

struct Counter {
  std::string_view file;
  std::string_view metric;
  std::string_view help;
};

class FibreChannelPart final : public AttributesPart {
 public:
  FibreChannelPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/fc_host") {}
  std::string_view name() const override { return "fibrechannel"; }

 private:
  // All ones is what a driver says of what it does not count.
  static std::optional<double> read_counter(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    const auto value = hexadecimal(text);
    if (!value || *value == UINT64_MAX) return std::nullopt;
    return static_cast<double>(*value);
  }

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static constexpr auto kCounters = std::to_array<Counter>({
        {"dumped_frames", "node_fibrechannel_dumped_frames_total", "Number of dumped frames"},
        {"error_frames", "node_fibrechannel_error_frames_total", "Number of errors in frames"},
        {"fcp_packet_aborts", "node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets"},
        {"invalid_crc_count", "node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count"},
        {"invalid_tx_word_count", "node_fibrechannel_invalid_tx_words_total",
         "Number of invalid words transmitted by host port"},
        {"link_failure_count", "node_fibrechannel_link_failure_total", "Number of times the host port link has failed"},
        {"loss_of_signal_count", "node_fibrechannel_loss_of_signal_total", "Number of times signal has been lost"},
        {"loss_of_sync_count", "node_fibrechannel_loss_of_sync_total",
         "Number of failures on either bit or transmission word boundaries"},
        {"nos_count", "node_fibrechannel_nos_total", "Number Not_Operational Primitive Sequence received by host port"},
        {"rx_frames", "node_fibrechannel_rx_frames_total", "Number of frames received"},
        {"rx_words", "node_fibrechannel_rx_words_total", "Number of words received by host port"},
        {"seconds_since_last_reset", "node_fibrechannel_seconds_since_last_reset_total",
         "Number of seconds since last host port reset"},
        {"tx_frames", "node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port"},
        {"tx_words", "node_fibrechannel_tx_words_total", "Number of words transmitted by host port"},
    });
    for (const std::string& name : names) {
      const std::string host = directory + "/" + name + "/";
      for (const auto& [file, metric, help] : kCounters) {
        rows.add({std::string(metric), kCounter, std::string(help)}, {{"fc_host", name}},
                 host + "statistics/" + std::string(file), read_counter);
      }
      std::vector<Attributes::Text> texts;
      for (const std::string_view file : {"speed", "port_state", "port_type", "port_id", "port_name", "fabric_name",
                                          "symbolic_name", "supported_classes", "supported_speeds", "dev_loss_tmo"}) {
        const bool is_name = file == "port_id" || file == "port_name" || file == "fabric_name";
        texts.push_back({.name = file, .path = host + std::string(file), .without_prefix = is_name ? "0x" : ""});
      }
      rows.add_info(
          {"node_fibrechannel_info", kGauge, "Non-numeric data from /sys/class/fc_host/<host>, value is always 1."},
          {{"fc_host", name}}, std::move(texts));
    }
  }
};

class InfinibandPart final : public AttributesPart {
 public:
  InfinibandPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/infiniband") {}
  std::string_view name() const override { return "infiniband"; }

 private:
  struct PortCounter {
    std::string_view file;
    std::string_view metric;  // behind "node_infiniband_"
    std::string_view help;
    ReadNumber read = read_integer;
  };

  // Data is counted in words of four octets.
  static std::optional<double> read_words(std::string_view text) {
    const auto words = decimal(text);
    return words ? std::optional(static_cast<double>(*words) * 4) : std::nullopt;
  }
  // "4: ACTIVE"
  static std::optional<double> read_state(std::string_view text) {
    const auto state = decimal(text.substr(0, text.find(':')));
    return state ? std::optional(static_cast<double>(*state)) : std::nullopt;
  }
  // "2.5 Gb/sec (1X SDR)"
  static std::optional<double> read_rate(std::string_view text) {
    const auto gigabits = real(text.substr(0, text.find(' ')));
    return gigabits ? std::optional(*gigabits * 1e9 / 8) : std::nullopt;
  }
  // Milliseconds, told in whole seconds.
  static std::optional<double> read_lifespan(std::string_view text) {
    const auto milliseconds = decimal(text);
    if (!milliseconds) return std::nullopt;
    const std::uint64_t seconds = *milliseconds / 1000;
    return static_cast<double>(seconds);
  }

  static std::span<const PortCounter> counters();
  static std::span<const PortCounter> hardware_counters();

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& device : names) {
      const std::string path = directory + "/" + device;
      rows.add_info(
          {"node_infiniband_info", kGauge, "Non-numeric data from /sys/class/infiniband/<device>, value is always 1."},
          {{"device", device}},
          {{.name = "board_id", .path = path + "/board_id"},
           {.name = "firmware_version", .path = path + "/fw_ver"},
           {.name = "hca_type", .path = path + "/hca_type"}});
      for (const std::string& port : list_directory(path + "/ports").value_or(std::vector<std::string>())) {
        if (decimal(port)) add_port(device, port, path + "/ports/" + port + "/", rows);
      }
    }
  }

  static void add_port(const std::string& device, const std::string& port, const std::string& path, Attributes& rows) {
    const Attributes::Labels labels = {{"device", device}, {"port", port}};
    rows.add({"node_infiniband_state_id", kGauge,
              "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)"},
             labels, path + "state", read_state);
    rows.add({"node_infiniband_physical_state_id", kGauge,
              "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, "
              "5: link up, 6: link error recover, 7: phytest)"},
             labels, path + "phys_state", read_state);
    rows.add({"node_infiniband_rate_bytes_per_second", kGauge, "Maximum signal transfer rate"}, labels, path + "rate",
             read_rate);
    rows.add({"node_infiniband_lifespan_seconds", kGauge,
              "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within "
              "this period might return the same values."},
             labels, path + "hw_counters/lifespan", read_lifespan);
    const auto add = [&](const PortCounter& counter, std::string_view below) {
      rows.add({"node_infiniband_" + std::string(counter.metric), kCounter, std::string(counter.help)}, labels,
               path + std::string(below) + std::string(counter.file), counter.read);
    };
    for (const PortCounter& counter : counters()) {
      add(counter, counter.metric.starts_with("legacy_") ? "counters_ext/" : "counters/");
    }
    for (const PortCounter& counter : hardware_counters()) add(counter, "hw_counters/");
  }
};

std::span<const InfinibandPart::PortCounter> InfinibandPart::counters() {
  static constexpr auto kCounters = std::to_array<PortCounter>({
      {"VL15_dropped", "vl15_dropped_total", "Number of incoming VL15 packets dropped due to resource limitations."},
      {"excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors_total",
       "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one "
       "overrun error."},
      {"link_downed", "link_downed_total",
       "Number of times the link failed to recover from an error state and went down"},
      {"link_error_recovery", "link_error_recovery_total",
       "Number of times the link successfully recovered from an error state"},
      {"local_link_integrity_errors", "local_link_integrity_errors_total",
       "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors."},
      {"multicast_rcv_packets", "multicast_packets_received_total",
       "Number of multicast packets received (including errors)"},
      {"multicast_xmit_packets", "multicast_packets_transmitted_total",
       "Number of multicast packets transmitted (including errors)"},
      {"port_rcv_constraint_errors", "port_constraint_errors_received_total",
       "Number of packets received on the switch physical port that are discarded"},
      {"port_rcv_data", "port_data_received_bytes_total", "Number of data octets received on all links", read_words},
      {"port_rcv_discards", "port_discards_received_total",
       "Number of inbound packets discarded by the port because the port is down or congested"},
      {"port_rcv_errors", "port_errors_received_total",
       "Number of packets containing an error that were received on this port"},
      {"port_rcv_packets", "port_packets_received_total",
       "Number of packets received on all VLs by this port (including errors)"},
      {"port_rcv_remote_physical_errors", "port_receive_remote_physical_errors_total",
       "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."},
      {"port_rcv_switch_relay_errors", "port_receive_switch_relay_errors_total",
       "Number of packets that could not be forwarded by the switch."},
      {"port_xmit_constraint_errors", "port_constraint_errors_transmitted_total",
       "Number of packets not transmitted from the switch physical port"},
      {"port_xmit_data", "port_data_transmitted_bytes_total", "Number of data octets transmitted on all links",
       read_words},
      {"port_xmit_discards", "port_discards_transmitted_total",
       "Number of outbound packets discarded by the port because the port is down or congested"},
      {"port_xmit_packets", "port_packets_transmitted_total",
       "Number of packets transmitted on all VLs from this port (including errors)"},
      {"port_xmit_wait", "port_transmit_wait_total",
       "Number of ticks during which the port had data to transmit but no data was sent during the entire tick"},
      {"symbol_error", "symbol_error_total", "Number of minor link errors detected on one or more physical lanes."},
      {"unicast_rcv_packets", "unicast_packets_received_total",
       "Number of unicast packets received (including errors)"},
      {"unicast_xmit_packets", "unicast_packets_transmitted_total",
       "Number of unicast packets transmitted (including errors)"},
      {"port_multicast_rcv_packets", "legacy_multicast_packets_received_total", "Number of multicast packets received"},
      {"port_multicast_xmit_packets", "legacy_multicast_packets_transmitted_total",
       "Number of multicast packets transmitted"},
      {"port_rcv_data_64", "legacy_data_received_bytes_total", "Number of data octets received on all links",
       read_words},
      {"port_rcv_packets_64", "legacy_packets_received_total", "Number of data packets received on all links"},
      {"port_unicast_rcv_packets", "legacy_unicast_packets_received_total", "Number of unicast packets received"},
      {"port_unicast_xmit_packets", "legacy_unicast_packets_transmitted_total",
       "Number of unicast packets transmitted"},
      {"port_xmit_data_64", "legacy_data_transmitted_bytes_total", "Number of data octets transmitted on all links",
       read_words},
      {"port_xmit_packets_64", "legacy_packets_transmitted_total", "Number of data packets received on all links"},
  });
  return kCounters;
}

std::span<const InfinibandPart::PortCounter> InfinibandPart::hardware_counters() {
  static constexpr auto kCounters = std::to_array<PortCounter>({
      {"duplicate_request", "duplicate_requests_packets_total",
       "The number of received packets. A duplicate request is a request that had been previously executed."},
      {"implied_nak_seq_err", "implied_nak_seq_errors_total",
       "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA read or "
       "response."},
      {"local_ack_timeout_err", "local_ack_timeout_errors_total",
       "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit was not "
       "exceed, therefore it is still recoverable error."},
      {"np_cnp_sent", "np_cnp_packets_sent_total",
       "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the RoCEv2 "
       "IP header (ECN bits). The counters was added in MLNX_OFED 4.1"},
      {"np_ecn_marked_roce_packets", "np_ecn_marked_roce_packets_received_total",
       "The number of RoCEv2 packets received by the notification point which were marked for experiencing the "
       "congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED 4.1"},
      {"out_of_buffer", "out_of_buffer_drops_total",
       "The number of drops occurred due to lack of WQE for the associated QPs."},
      {"out_of_sequence", "out_of_sequence_packets_received_total", "The number of out of sequence packets received."},
      {"packet_seq_err", "packet_sequence_errors_total",
       "The number of received NAK sequence error packets. The QP retry limit was not exceeded."},
      {"req_cqe_error", "req_cqes_errors_total",
       "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"},
      {"req_cqe_flush_error", "req_cqes_flush_errors_total",
       "The number of times requester detected CQEs completed with flushed errors. The counters was added in MLNX_OFED "
       "4.1"},
      {"req_remote_access_errors", "req_remote_access_errors_total",
       "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1"},
      {"req_remote_invalid_request", "req_remote_invalid_request_errors_total",
       "The number of times requester detected remote invalid request errors. The counters was added in MLNX_OFED 4.1"},
      {"resp_cqe_error", "resp_cqes_errors_total",
       "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"},
      {"resp_cqe_flush_error", "resp_cqes_flush_errors_total",
       "The number of times responder detected CQEs completed with flushed errors. The counters was added in MLNX_OFED "
       "4.1"},
      {"resp_local_length_error", "resp_local_length_errors_total",
       "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1"},
      {"resp_remote_access_errors", "resp_remote_access_errors_total",
       "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1"},
      {"rnr_nak_retry_err", "rnr_nak_retry_packets_received_total",
       "The number of received RNR NAK packets. The QP retry limit was not exceeded."},
      {"roce_adp_retrans", "roce_adp_retransmits_total",
       "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 "
       "and kernel v5.6.0"},
      {"roce_adp_retrans_to", "roce_adp_retransmits_timeout_total",
       "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added in "
       "MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"},
      {"roce_slow_restart", "roce_slow_restart_used_total",
       "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel "
       "v5.6.0"},
      {"roce_slow_restart_cnps", "roce_slow_restart_cnps_total",
       "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev "
       "5.0-1.0.0.0 and kernel v5.6.0"},
      {"roce_slow_restart_trans", "roce_slow_restart_total",
       "The number of times RoCE slow restart changed state to slow restart. The counter was added in MLNX_OFED rev "
       "5.0-1.0.0.0 and kernel v5.6.0"},
      {"rp_cnp_handled", "rp_cnp_packets_handled_total",
       "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The counters "
       "was added in MLNX_OFED 4.1"},
      {"rp_cnp_ignored", "rp_cnp_ignored_packets_received_total",
       "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not raise if "
       "RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN was enabled on the "
       "adapter."},
      {"rx_atomic_requests", "rx_atomic_requests_total",
       "The number of received ATOMIC request for the associated QPs."},
      {"rx_dct_connect", "rx_dct_connect_requests_total",
       "The number of received connection requests for the associated DCTs."},
      {"rx_read_requests", "rx_read_requests_total", "The number of received READ requests for the associated QPs."},
      {"rx_write_requests", "rx_write_requests_total", "The number of received WRITE requests for the associated QPs."},
      {"rx_icrc_encapsulated", "rx_icrc_encapsulated_errors_total",
       "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19"},
  });
  return kCounters;
}

}  // namespace

std::unique_ptr<Part> fibrechannel_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<FibreChannelPart>(reader, roots);
}

std::unique_ptr<Part> infiniband_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<InfinibandPart>(reader, roots);
}

}  // namespace qd::observe::host
