// Sockets (/proc/net/sockstat, sockstat6), the network's soft interrupts (/proc/net/softnet_stat) and connection
// tracking.

#include <unistd.h>

#include <algorithm>
#include <array>

#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

class SockstatPart final : public Part {
 public:
  SockstatPart(FileReader& reader, const Roots& roots)
      : sockstat_(reader, roots.procfs_net + "/sockstat"),
        sockstat6_(reader, roots.procfs_net + "/sockstat6"),
        page_bytes_(static_cast<double>(::sysconf(_SC_PAGESIZE))) {}
  std::string_view name() const override { return "sockstat"; }

  Outcome collect(const Pass& pass) override {
    fields_.begin();
    const auto text = sockstat_.read();
    if (!text && text.error() != ENOENT) return Outcome::failed(text.error(), sockstat_.path());
    if (text) tell(pass.sink, *text);
    // Without IPv6 there is no such file.
    if (const auto text6 = sockstat6_.read()) tell(pass.sink, *text6);
    return {};
  }

 private:
  // "TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1"
  void tell(Sink& sink, std::string_view text) {
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      std::string_view protocol = words.word();
      if (!protocol.ends_with(':')) continue;
      protocol.remove_suffix(1);
      for (std::string_view field = words.word(); !field.empty(); field = words.word()) {
        const auto value = decimal(words.word());
        if (!value) break;
        tell(sink, protocol, field, static_cast<double>(*value));
        // "mem" counts pages; "memory" (of FRAG) is in bytes already.
        if (field == "mem") tell(sink, protocol, "mem_bytes", static_cast<double>(*value) * page_bytes_);
      }
    }
  }

  void tell(Sink& sink, std::string_view protocol, std::string_view field, double value) {
    key_ = protocol;
    key_ += '_';
    key_ += field;
    const auto& named = fields_.next(key_, [&](NamedFields::Field& made) {
      made.name = "node_sockstat_";
      append_name_part(made.name, key_);
      made.help = protocol == "sockets"
                      ? std::string("Number of IPv4 sockets in use.")
                      : "Number of " + std::string(protocol) + " sockets in state " + std::string(field) + ".";
    });
    sink.family(named.name, kGauge, named.help);
    sink.sample(value);
  }

  KeptFile sockstat_;
  KeptFile sockstat6_;
  double page_bytes_;
  std::string key_;
  NamedFields fields_;
};

class SoftnetPart final : public Part {
 public:
  SoftnetPart(FileReader& reader, const Roots& roots) : file_(reader, roots.procfs_net + "/softnet_stat") {}
  std::string_view name() const override { return "softnet"; }

  Outcome collect(const Pass& pass) override {
    const auto text = file_.read();
    if (!text) return Outcome::failed(text.error(), file_.path());
    read_rows(*text);
    for (const Column& column : kColumns) {
      bool begun = false;
      for (const Cpu& cpu : cpus_) {
        if (column.index >= cpu.columns) continue;
        if (!begun) pass.sink.family(column.metric, column.type, column.help);
        begun = true;
        pass.sink.sample({{"cpu", cpu.label}}, static_cast<double>(cpu.values[column.index]));
      }
    }
    return {};
  }

 private:
  // Columns of net/core/net-procfs.c, softnet_seq_show.
  static constexpr std::size_t kBacklogLength = 11;
  static constexpr std::size_t kCpuNumber = 12;
  struct Column {
    std::size_t index;
    std::string_view metric;
    model::MetricType type;
    std::string_view help;
  };
  static constexpr std::array<Column, 7> kColumns = {{
      {0, "node_softnet_processed_total", kCounter, "Number of processed packets"},
      {1, "node_softnet_dropped_total", kCounter, "Number of dropped packets"},
      {2, "node_softnet_times_squeezed_total", kCounter, "Number of times processing packets ran out of quota"},
      {8, "node_softnet_cpu_collision_total", kCounter,
       "Number of collision occur while obtaining device lock while transmitting"},
      {9, "node_softnet_received_rps_total", kCounter, "Number of times cpu woken up received_rps"},
      {10, "node_softnet_flow_limit_count_total", kCounter, "Number of times flow limit has been reached"},
      {kBacklogLength, "node_softnet_backlog_len", kGauge, "Softnet backlog status"},
  }};
  struct Cpu {
    std::string label;
    std::size_t columns = 0;
    std::array<std::uint64_t, 16> values{};
  };

  void read_rows(std::string_view text) {
    cpus_.clear();
    Scanner lines(text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const auto first = hexadecimal(words.word());
      if (!first) continue;
      Cpu& cpu = cpus_.add();
      cpu.values[0] = *first;
      for (cpu.columns = 1; cpu.columns < cpu.values.size(); ++cpu.columns) {
        const auto value = hexadecimal(words.word());
        if (!value) break;
        cpu.values[cpu.columns] = *value;
      }
      // Only online CPUs have a line; older kernels do not say which this is.
      const std::uint64_t number = cpu.columns > kCpuNumber ? cpu.values[kCpuNumber] : cpus_.size() - 1;
      std::array<char, 20> digits;
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
      cpu.label.assign(digits.data(), end);
    }
  }

  KeptFile file_;
  Rows<Cpu> cpus_;
};

class ConntrackPart final : public Part {
 public:
  ConntrackPart(FileReader& reader, const Roots& roots)
      : count_(reader, roots.procfs + "/sys/net/netfilter/nf_conntrack_count"),
        limit_(reader, roots.procfs + "/sys/net/netfilter/nf_conntrack_max"),
        stat_(reader, roots.procfs_net + "/stat/nf_conntrack") {}
  std::string_view name() const override { return "conntrack"; }

  Outcome collect(const Pass& pass) override {
    if (const Outcome outcome = tell_number(pass.sink, count_, "node_nf_conntrack_entries",
                                            "Number of currently allocated flow entries for connection tracking.");
        !outcome.ok) {
      return outcome;
    }
    if (const Outcome outcome = tell_number(pass.sink, limit_, "node_nf_conntrack_entries_limit",
                                            "Maximum size of connection tracking table.");
        !outcome.ok) {
      return outcome;
    }
    const auto text = stat_.read();
    if (!text) return Outcome::failed(text.error(), stat_.path());
    tell_stat(pass.sink, *text);
    return {};
  }

 private:
  struct Column {
    std::string_view field;
    std::string_view metric;
    std::string_view help;
  };
  static constexpr std::array<Column, 8> kColumns = {{
      {"found", "node_nf_conntrack_stat_found", "Number of searched entries which were successful."},
      {"invalid", "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."},
      {"ignore", "node_nf_conntrack_stat_ignore",
       "Number of packets seen which are already connected to a conntrack entry."},
      {"insert", "node_nf_conntrack_stat_insert", "Number of entries inserted into the list."},
      {"insert_failed", "node_nf_conntrack_stat_insert_failed",
       "Number of entries for which list insertion was attempted but failed."},
      {"drop", "node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure."},
      {"early_drop", "node_nf_conntrack_stat_early_drop",
       "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached."},
      {"search_restart", "node_nf_conntrack_stat_search_restart",
       "Number of conntrack table lookups which had to be restarted due to hashtable resizes."},
  }};

  static Outcome tell_number(Sink& sink, KeptFile& file, std::string_view metric, std::string_view help) {
    const auto text = file.read();
    if (!text) return Outcome::failed(text.error(), file.path());
    const auto value = lone_number(*text);
    if (!value) return Outcome::not_understood(file.path());
    sink.family(metric, kGauge, help);
    sink.sample(static_cast<double>(*value));
    return {};
  }

  // A line of names, then a line of hexadecimal counts for each CPU.
  static void tell_stat(Sink& sink, std::string_view text) {
    std::array<std::size_t, kColumns.size()> places;
    places.fill(SIZE_MAX);
    Scanner lines(text);
    Scanner names(lines.line());
    std::size_t place = 0;
    for (std::string_view name = names.word(); !name.empty(); name = names.word(), ++place) {
      for (std::size_t i = 0; i < kColumns.size(); ++i) {
        // Linux 5.9 has "clashres" where "searched" was, and says 0 for what it no longer counts.
        if (kColumns[i].field == name) places[i] = place;
      }
    }
    std::array<std::uint64_t, kColumns.size()> sums{};
    while (!lines.at_end()) {
      Scanner words(lines.line());
      std::size_t at = 0;
      for (std::string_view word = words.word(); !word.empty(); word = words.word(), ++at) {
        for (std::size_t i = 0; i < kColumns.size(); ++i) {
          if (places[i] == at) sums[i] += hexadecimal(word).value_or(0);
        }
      }
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      if (places[i] == SIZE_MAX) continue;
      sink.family(kColumns[i].metric, kGauge, kColumns[i].help);
      sink.sample(static_cast<double>(sums[i]));
    }
  }

  KeptFile count_;
  KeptFile limit_;
  KeptFile stat_;
};

}  // namespace

std::unique_ptr<Part> sockstat_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<SockstatPart>(reader, roots);
}

std::unique_ptr<Part> softnet_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<SoftnetPart>(reader, roots);
}

std::unique_ptr<Part> conntrack_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<ConntrackPart>(reader, roots);
}

}  // namespace qd::observe::host
