// The text of INFO ALL (and of CLUSTER INFO), taken apart.
//
// Rows keep their memory from pass to pass; texts are views into the answer that was parsed, and valid as long as it.
// What is not understood is passed over. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/collector.h"

namespace qd::observe::redis {

// Rows past these are left out.
inline constexpr std::size_t kCommandsMax = 2000;
inline constexpr std::size_t kDatabasesMax = 1024;
inline constexpr std::size_t kReplicasMax = 500;
inline constexpr std::size_t kMastersMax = 100;  // of KeyDB's multi-master, and of sentinels
inline constexpr std::size_t kErrorsMax = 500;
inline constexpr std::size_t kClusterFieldsMax = 100;
inline constexpr std::size_t kFewMax = 64;  // threads, certificates, scripting engines, percentiles of a command

class Info {
 public:
  struct Command {
    std::string_view name;
    double calls = 0, microseconds = 0;
    std::optional<double> rejected, failed;                // since Redis 6.2
    std::optional<double> slow, slow_ms_sum, slow_ms_max;  // since Redis 8.8
  };
  struct Master {  // of a replica
    std::string_view host, port;
    std::optional<double> link_up, last_io, sync, repl_offset;
  };

  Info() = default;
  Info(const Info&) = delete;
  Info& operator=(const Info&) = delete;

  void parse(std::string_view text);
  // What CLUSTER INFO says is told with the rest.
  void parse_cluster(std::string_view text);

  bool is_cluster() const { return cluster_; }
  bool is_sentinel() const { return sentinel_; }
  // The first number of redis_version: 7 of "7.0.15"; 0 where it is not said.
  int major_version() const { return major_version_; }
  // Those with COMMANDLOG: Valkey from 8.1 on.
  bool has_commandlog() const { return commandlog_; }
  const Command* command(std::string_view name) const;

  // Everything but instance_info's neighbours that other commands give. `databases` is how many there are, each told
  // even if empty. `start_s` of the last pass keeps the start time from wavering with the second's end.
  void tell(Sink& sink, std::size_t databases, std::int64_t now_s, double& start_s);

 private:
  struct Database {
    std::string_view name;
    std::uint64_t number = 0;
    double keys = 0, expiring = 0;
    std::optional<double> ttl_s, cached, expiring_items;
  };
  struct Replica {
    std::string_view ip, port, state;
    double offset = 0;
    std::optional<double> lag;
  };
  struct Percentiles {
    std::string_view command;
    std::string_view text;  // "p50=1.003,p99=2.007"
  };
  struct Engine {
    std::string_view name, module, abi;
    double memory = 0, overhead = 0;
  };
  struct SentinelMaster {
    std::string_view name, status, address;
    double replicas = 0, sentinels = 0;
  };
  enum class Section : std::uint8_t {
    kOther,
    kReplication,
    kServer,
    kTls,
    kEngines,
    kCommandstats,
    kLatencystats,
    kErrorstats,
    kClusterInfo,
    kKeyspace,
    kSentinel,
  };
  // What instance_info says, by the key in INFO.
  enum Said : std::uint8_t {
    kRole,
    kVersion,
    kBuild,
    kMode,
    kOs,
    kPolicy,
    kPort,
    kRunId,
    kProcess,
    kReplid,
    kValkey,
    kStage,
    kZone,
    kSaid,
  };
  struct Named {  // a family whose name comes from the server
    std::string key, name, help;
    double value = 0;
  };

  void clear();
  void take(std::string_view key, std::string_view value);
  bool take_replication(std::string_view key, std::string_view value);
  void take_command(std::string_view key, std::string_view value);
  void take_database(std::string_view key, std::string_view value);
  void take_engine(std::string_view value);
  void take_sentinel(std::string_view key, std::string_view value);
  void take_field(std::string_view key, std::string_view value);
  void tell_instance(Sink& sink);
  void tell_commands(Sink& sink) const;
  void tell_percentiles(Sink& sink) const;
  void tell_databases(Sink& sink, std::size_t databases);
  void tell_replication(Sink& sink) const;
  void tell_few(Sink& sink) const;
  void tell_sentinel(Sink& sink) const;

  Section section_ = Section::kOther;
  bool cluster_ = false;
  bool sentinel_ = false;
  bool commandlog_ = false;
  int major_version_ = 0;
  std::array<std::string_view, kSaid> said_{};
  std::string_view read_only_;
  std::optional<double> uptime_;
  std::vector<std::optional<double>> values_;  // in the order of fields()
  std::vector<Named> cluster_fields_;
  std::size_t cluster_fields_used_ = 0;
  std::vector<Command> commands_;
  std::vector<std::size_t> commands_by_name_;
  std::vector<Percentiles> percentiles_;
  std::vector<std::pair<std::string_view, double>> errors_;
  std::vector<std::pair<std::string_view, double>> active_times_;  // of I/O threads
  std::vector<Database> databases_;
  std::vector<std::string> database_names_;
  std::vector<Replica> replicas_;
  std::vector<Master> masters_;
  std::vector<std::pair<std::string_view, std::string_view>> certificates_;
  std::vector<Engine> engines_;
  std::array<std::optional<double>, 5> sentinel_fields_{};
  std::vector<SentinelMaster> sentinel_masters_;
};

}  // namespace qd::observe::redis
