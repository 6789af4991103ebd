// What the NFS client and server count: <procfs>/net/rpc/nfs (net/sunrpc/stats.c) and nfsd (fs/nfsd/stats.c), lines of
// a key and numbers. Procedures are counted in the order of their numbers in the protocol, behind how many there are;
// those of the client's version 4 in the order of the kernel's own list (fs/nfs/nfs4xdr.c).

#include <algorithm>
#include <array>
#include <span>

#include "observe/host/listing.h"
#include "observe/host/parts.h"

namespace qd::observe::host {
namespace {

using enum model::MetricType;

constexpr auto kVersion2 = std::to_array<std::string_view>({"Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink",
                                                            "Read", "WrCache", "Write", "Create", "Remove", "Rename",
                                                            "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat"});
constexpr auto kVersion3 = std::to_array<std::string_view>(
    {"Null",    "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
     "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
     "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit"});
constexpr auto kClientVersion4 = std::to_array<std::string_view>({"Null",
                                                                  "Read",
                                                                  "Write",
                                                                  "Commit",
                                                                  "Open",
                                                                  "OpenConfirm",
                                                                  "OpenNoattr",
                                                                  "OpenDowngrade",
                                                                  "Close",
                                                                  "Setattr",
                                                                  "FsInfo",
                                                                  "Renew",
                                                                  "SetClientID",
                                                                  "SetClientIDConfirm",
                                                                  "Lock",
                                                                  "Lockt",
                                                                  "Locku",
                                                                  "Access",
                                                                  "Getattr",
                                                                  "Lookup",
                                                                  "LookupRoot",
                                                                  "Remove",
                                                                  "Rename",
                                                                  "Link",
                                                                  "Symlink",
                                                                  "Create",
                                                                  "Pathconf",
                                                                  "StatFs",
                                                                  "ReadLink",
                                                                  "ReadDir",
                                                                  "ServerCaps",
                                                                  "DelegReturn",
                                                                  "GetACL",
                                                                  "SetACL",
                                                                  "FsLocations",
                                                                  "ReleaseLockowner",
                                                                  "Secinfo",
                                                                  "FsidPresent",
                                                                  "ExchangeID",
                                                                  "CreateSession",
                                                                  "DestroySession",
                                                                  "Sequence",
                                                                  "GetLeaseTime",
                                                                  "ReclaimComplete",
                                                                  "LayoutGet",
                                                                  "GetDeviceInfo",
                                                                  "LayoutCommit",
                                                                  "LayoutReturn",
                                                                  "SecinfoNoName",
                                                                  "TestStateID",
                                                                  "FreeStateID",
                                                                  "GetDeviceList",
                                                                  "BindConnToSession",
                                                                  "DestroyClientID",
                                                                  "Seek",
                                                                  "Allocate",
                                                                  "DeAllocate",
                                                                  "LayoutStats",
                                                                  "Clone"});
// Empty for what node_exporter does not tell, such as Null, which is what a ping calls.
constexpr auto without_null(auto names) {
  names[0] = {};
  return names;
}
constexpr auto kServerVersion2 = without_null(kVersion2);
constexpr auto kServerVersion3 = without_null(kVersion3);
constexpr auto kServerVersion4 = std::to_array<std::string_view>({"",
                                                                  "",
                                                                  "",
                                                                  "Access",
                                                                  "Close",
                                                                  "Commit",
                                                                  "Create",
                                                                  "DelegPurge",
                                                                  "DelegReturn",
                                                                  "GetAttr",
                                                                  "GetFH",
                                                                  "Link",
                                                                  "Lock",
                                                                  "Lockt",
                                                                  "Locku",
                                                                  "Lookup",
                                                                  "LookupRoot",
                                                                  "Nverify",
                                                                  "Open",
                                                                  "OpenAttr",
                                                                  "OpenConfirm",
                                                                  "OpenDgrd",
                                                                  "PutFH",
                                                                  "",
                                                                  "",
                                                                  "Read",
                                                                  "ReadDir",
                                                                  "ReadLink",
                                                                  "Remove",
                                                                  "Rename",
                                                                  "Renew",
                                                                  "RestoreFH",
                                                                  "SaveFH",
                                                                  "SecInfo",
                                                                  "SetAttr",
                                                                  "SetClientID",
                                                                  "SetClientIDConfirm",
                                                                  "Verify",
                                                                  "Write",
                                                                  "RelLockOwner"});

// The numbers of one line; those that are absent are 0.
struct Line {
  std::array<std::uint64_t, 128> numbers{};
  std::size_t size = 0;

  double at(std::size_t place) const { return static_cast<double>(numbers[place]); }

  void read(Scanner words) {
    numbers.fill(0);
    size = 0;
    while (size < numbers.size() && words.number(numbers[size])) {
      ++size;
      // Percentages of threads ("0.000") are of no use any more.
      if (words.rest().starts_with('.')) break;
    }
  }
};

class RpcPart : public Part {
 public:
  Outcome collect(const Pass& pass) final {
    const auto text = file_.read(pass);
    if (!text) return Outcome::failed(text.error(), file_.path());
    for (Line& line : lines_) line.size = 0;
    Scanner lines(*text);
    while (!lines.at_end()) {
      Scanner words(lines.line());
      const std::string_view key = words.word();
      const auto known = std::find(keys_.begin(), keys_.end(), key);
      if (known != keys_.end()) lines_[static_cast<std::size_t>(known - keys_.begin())].read(words);
    }
    if (std::all_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.size == 0; })) {
      return Outcome::not_understood(file_.path());
    }
    tell(pass.sink);
    return {};
  }

 protected:
  // Of a line, once it is there.
  struct Count {
    std::size_t line;
    std::size_t place;
    std::string_view metric;
    model::MetricType type;
    std::string_view help;
  };
  // The procedures that a line counts, of a version of the protocol.
  struct Procedures {
    std::size_t line;
    std::string_view version;
    std::span<const std::string_view> names;
  };

  RpcPart(FileReader& reader, std::string path, std::span<const std::string_view> keys)
      : file_(reader, std::move(path)), keys_(keys), lines_(keys.size()) {}

  virtual void tell(Sink& sink) = 0;

  // Null where the file has no such line.
  const Line* line(std::size_t index) const { return lines_[index].size > 0 ? &lines_[index] : nullptr; }

  void tell_counts(Sink& sink, std::span<const Count> counts) const {
    for (const Count& count : counts) {
      if (line(count.line) == nullptr) continue;
      sink.family(count.metric, count.type, count.help);
      sink.sample(line(count.line)->at(count.place));
    }
  }

  // Two or three numbers of one line, told apart by a label.
  void tell_by(Sink& sink, std::size_t index, std::string_view metric, std::string_view help, std::string_view label,
               std::span<const std::pair<std::string_view, std::size_t>> values) const {
    if (line(index) == nullptr) return;
    sink.family(metric, kCounter, help);
    for (const auto& [value, place] : values) sink.sample({{label, value}}, line(index)->at(place));
  }

  // The first number is how many follow. True once the family is begun.
  bool tell_procedures(Sink& sink, std::string_view metric, std::string_view help,
                       std::span<const Procedures> all) const {
    bool begun = false;
    for (const Procedures& procedures : all) {
      if (line(procedures.line) == nullptr) continue;
      if (!begun) sink.family(metric, kCounter, help);
      begun = true;
      for (std::size_t i = 0; i < procedures.names.size(); ++i) {
        if (procedures.names[i].empty()) continue;
        sink.sample({{"method", procedures.names[i]}, {"proto", procedures.version}}, line(procedures.line)->at(i + 1));
      }
    }
    return begun;
  }

 private:
  RareFile file_;
  std::span<const std::string_view> keys_;
  std::vector<Line> lines_;
};

class NfsPart final : public RpcPart {
 public:
  NfsPart(FileReader& reader, const Roots& roots) : RpcPart(reader, roots.procfs_net + "/rpc/nfs", kKeys) {}
  std::string_view name() const override { return "nfs"; }

 private:
  enum Key { kNet, kRpc, kProc2, kProc3, kProc4 };
  static constexpr std::array<std::string_view, 5> kKeys = {"net", "rpc", "proc2", "proc3", "proc4"};

  void tell(Sink& sink) override {
    static constexpr std::array<Count, 4> kCounts = {{
        {kNet, 3, "node_nfs_connections_total", kCounter, "Total number of NFSd TCP connections."},
        {kRpc, 0, "node_nfs_rpcs_total", kCounter, "Total number of RPCs performed."},
        {kRpc, 1, "node_nfs_rpc_retransmissions_total", kCounter, "Number of RPC transmissions performed."},
        {kRpc, 2, "node_nfs_rpc_authentication_refreshes_total", kCounter,
         "Number of RPC authentication refreshes performed."},
    }};
    static constexpr std::array<std::pair<std::string_view, std::size_t>, 2> kPackets = {{{"udp", 1}, {"tcp", 2}}};
    static constexpr std::array<Procedures, 3> kProcedures = {
        {{kProc2, "2", kVersion2}, {kProc3, "3", kVersion3}, {kProc4, "4", kClientVersion4}}};
    tell_counts(sink, kCounts);
    tell_by(sink, kNet, "node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.",
            "protocol", kPackets);
    tell_procedures(sink, "node_nfs_requests_total", "Number of NFS procedures invoked.", kProcedures);
  }
};

class NfsdPart final : public RpcPart {
 public:
  NfsdPart(FileReader& reader, const Roots& roots) : RpcPart(reader, roots.procfs_net + "/rpc/nfsd", kKeys) {}
  std::string_view name() const override { return "nfsd"; }

 private:
  enum Key { kRc, kFh, kIo, kTh, kRa, kNet, kRpc, kProc2, kProc3, kProc4Ops, kDelegation };
  static constexpr std::array<std::string_view, 11> kKeys = {
      "rc", "fh", "io", "th", "ra", "net", "rpc", "proc2", "proc3", "proc4ops", "wdeleg_getattr"};

  void tell(Sink& sink) override {
    static constexpr std::array<Count, 11> kCounts = {{
        {kRc, 0, "node_nfsd_reply_cache_hits_total", kCounter,
         "Total number of NFSd Reply Cache hits (client lost server response)."},
        {kRc, 1, "node_nfsd_reply_cache_misses_total", kCounter,
         "Total number of NFSd Reply Cache an operation that requires caching (idempotent)."},
        {kRc, 2, "node_nfsd_reply_cache_nocache_total", kCounter,
         "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…)."},
        {kFh, 0, "node_nfsd_file_handles_stale_total", kCounter, "Total number of NFSd stale file handles"},
        {kIo, 0, "node_nfsd_disk_bytes_read_total", kCounter, "Total NFSd bytes read."},
        {kIo, 1, "node_nfsd_disk_bytes_written_total", kCounter, "Total NFSd bytes written."},
        {kTh, 0, "node_nfsd_server_threads", kGauge, "Total number of NFSd kernel threads that are running."},
        {kRa, 0, "node_nfsd_read_ahead_cache_size_blocks", kGauge, "How large the read ahead cache is in blocks."},
        {kRa, 11, "node_nfsd_read_ahead_cache_not_found_total", kCounter,
         "Total number of NFSd read ahead cache not found."},
        {kNet, 3, "node_nfsd_connections_total", kCounter, "Total number of NFSd TCP connections."},
        {kRpc, 0, "node_nfsd_server_rpcs_total", kCounter, "Total number of NFSd RPCs."},
    }};
    static constexpr std::array<std::pair<std::string_view, std::size_t>, 2> kPackets = {{{"udp", 1}, {"tcp", 2}}};
    static constexpr std::array<std::pair<std::string_view, std::size_t>, 3> kErrors = {
        {{"fmt", 2}, {"auth", 3}, {"cInt", 4}}};
    static constexpr std::array<Procedures, 3> kProcedures = {
        {{kProc2, "2", kServerVersion2}, {kProc3, "3", kServerVersion3}, {kProc4Ops, "4", kServerVersion4}}};
    tell_counts(sink, kCounts);
    tell_by(sink, kNet, "node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.",
            "proto", kPackets);
    tell_by(sink, kRpc, "node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", "error",
            kErrors);
    const bool begun = tell_procedures(sink, "node_nfsd_requests_total",
                                       "Total number NFSd Requests by method and protocol.", kProcedures);
    if (begun && line(kDelegation) != nullptr) {
      sink.sample({{"method", "WdelegGetattr"}, {"proto", "4"}}, line(kDelegation)->at(0));
    }
  }
};

}  // namespace

std::unique_ptr<Part> nfs_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<NfsPart>(reader, roots);
}

std::unique_ptr<Part> nfsd_part(FileReader& reader, const Roots& roots) {
  return std::make_unique<NfsdPart>(reader, roots);
}

}  // namespace qd::observe::host
