// Drives that have a class of their own: NVMe (drivers/nvme/host/sysfs.c), tapes (Documentation/scsi/st.rst).

#include <array>

#include "observe/host/attributes.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class NvmePart final : public AttributesPart {
 public:
  NvmePart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/nvme") {}
  std::string_view name() const override { return "nvme"; }

 private:
  // "nvme0n1", or "nvme0c0n1" for the path of a multipath drive: the number of the namespace.
  static std::string_view namespace_of(std::string_view entry) {
    if (!entry.starts_with("nvme")) return {};
    const auto n = entry.rfind('n');
    if (n < 4 || !decimal(entry.substr(n + 1))) return {};
    const std::string_view controller = entry.substr(4, n - 4);
    const auto c = controller.find('c');
    const bool good =
        decimal(controller.substr(0, c)) && (c == std::string_view::npos || decimal(controller.substr(c + 1)));
    return good ? entry.substr(n + 1) : std::string_view();
  }

  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    for (const std::string& device : names) {
      const std::string path = directory + "/" + device;
      rows.add_info({"node_nvme_info", kGauge, "Non-numeric data from /sys/class/nvme/<device>, value is always 1."},
                    {{"device", device}},
                    {{.name = "firmware_revision", .path = path + "/firmware_rev"},
                     {.name = "model", .path = path + "/model"},
                     {.name = "serial", .path = path + "/serial"},
                     {.name = "state", .path = path + "/state"},
                     {.name = "cntlid", .path = path + "/cntlid"}});
      for (const std::string& entry : list_directory(path).value_or(std::vector<std::string>())) {
        const std::string number(namespace_of(entry));
        if (!number.empty()) add_namespace(device, number, path + "/" + entry, rows);
      }
    }
  }

  void add_namespace(const std::string& device, const std::string& number, const std::string& path, Attributes& rows) {
    const Attributes::Labels labels = {{"device", device}, {"nsid", number}};
    rows.add_info({"node_nvme_namespace_info", kGauge, "Information about NVMe namespaces. Value is always 1"}, labels,
                  {{.name = "ana_state", .path = path + "/ana_state", .otherwise = "unknown"}});
    // node_exporter takes all three as counts of the namespace's own blocks.
    const auto block = decimal(text_of(reader(), path + "/queue/logical_block_size").value_or(""));
    const ReadNumber read = block ? reader_of_blocks(*block) : nullptr;
    rows.add({"node_nvme_namespace_logical_block_size_bytes", kGauge,
              "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in "
              "/sys/class/nvme/<device>/<namespace>/queue/logical_block_size"},
             labels, path + "/queue/logical_block_size", read_integer);
    if (read == nullptr) return;
    rows.add({"node_nvme_namespace_capacity_bytes", kGauge,
              "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size"},
             labels, path + "/size", read);
    rows.add({"node_nvme_namespace_size_bytes", kGauge,
              "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size"},
             labels, path + "/size", read);
    rows.add({"node_nvme_namespace_used_bytes", kGauge,
              "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse"},
             labels, path + "/nuse", read);
  }

  template <std::uint64_t Bytes>
  static std::optional<double> read_blocks(std::string_view text) {
    const auto blocks = decimal(text);
    return blocks ? std::optional(static_cast<double>(*blocks) * static_cast<double>(Bytes)) : std::nullopt;
  }

  // Null for sizes that the kernel does not take (512 bytes to 64 KiB).
  static ReadNumber reader_of_blocks(std::uint64_t bytes) {
    switch (bytes) {
      case 512:
        return read_blocks<512>;
      case 1024:
        return read_blocks<1024>;
      case 2048:
        return read_blocks<2048>;
      case 4096:
        return read_blocks<4096>;
      case 8192:
        return read_blocks<8192>;
      case 16384:
        return read_blocks<16384>;
      case 32768:
        return read_blocks<32768>;
      case 65536:
        return read_blocks<65536>;
      default:
        return nullptr;
    }
  }
};

class TapestatsPart final : public AttributesPart {
 public:
  TapestatsPart(FileReader& reader, const Roots& roots) : AttributesPart(reader, roots.sysfs + "/class/scsi_tape") {}
  std::string_view name() const override { return "tapestats"; }

 private:
  struct Column {
    std::string_view file;
    std::string_view metric;
    model::MetricType type;
    ReadNumber read;
    std::string_view help;
  };

  static std::optional<double> read_nanoseconds(std::string_view text) {
    const auto value = read_integer(text);
    return value ? std::optional(*value * 1e-9) : std::nullopt;
  }

  // Besides st<N> each drive has names for other densities and without rewinding, which count the same.
  void find(const std::string& directory, const std::vector<std::string>& names, Attributes& rows) override {
    static constexpr auto kColumns = std::to_array<Column>({
        {"in_flight", "node_tape_io_now", kGauge, read_integer,
         "The number of I/Os currently outstanding to this device."},
        {"io_ns", "node_tape_io_time_seconds_total", kCounter, read_nanoseconds,
         "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape "
         "movement commands such as seeking between file or set marks and implicit tape movement such as when rewind "
         "on close tape devices are used."},
        {"other_cnt", "node_tape_io_others_total", kCounter, read_integer,
         "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete "
         "these commands uses the following calculation "
         "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total"},
        {"read_byte_cnt", "node_tape_read_bytes_total", kCounter, read_integer,
         "The number of bytes read from the tape drive."},
        {"read_cnt", "node_tape_reads_completed_total", kCounter, read_integer,
         "The number of read requests issued to the tape drive."},
        {"read_ns", "node_tape_read_time_seconds_total", kCounter, read_nanoseconds,
         "The amount of time spent waiting for read requests to complete."},
        {"resid_cnt", "node_tape_residual_total", kCounter, read_integer,
         "The number of times during a read or write we found the residual amount to be non-zero. This should mean "
         "that a program is issuing a read larger thean the block size on tape. For write not all data made it to "
         "tape."},
        {"write_byte_cnt", "node_tape_written_bytes_total", kCounter, read_integer,
         "The number of bytes written to the tape drive."},
        {"write_cnt", "node_tape_writes_completed_total", kCounter, read_integer,
         "The number of write requests issued to the tape drive."},
        {"write_ns", "node_tape_write_time_seconds_total", kCounter, read_nanoseconds,
         "The amount of time spent waiting for write requests to complete."},
    });
    for (const std::string& name : names) {
      if (!name.starts_with("st") || !decimal(std::string_view(name).substr(2))) continue;
      for (const auto& [file, metric, type, read, help] : kColumns) {
        rows.add({std::string(metric), type, std::string(help)}, {{"device", name}},
                 directory + "/" + name + "/stats/" + std::string(file), read);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Part> nvme_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<NvmePart>(reader, roots);
}

std::unique_ptr<Part> tapestats_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<TapestatsPart>(reader, roots);
}

}  // namespace qd::observe::host
