#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/strings.h"
#include "observe/redis/families.h"
#include "observe/redis/info.h"
#include "observe/redis/tell.h"

namespace qd::observe::redis {
namespace {

constexpr auto kAlways = [](const auto&) { return true; };

}  // namespace

void Info::tell(Sink& sink, std::size_t databases, std::int64_t now_s, double& start_s) {
  tell_instance(sink);
  if (uptime_) {
    // Both clocks count whole seconds, so that the difference wavers by one.
    const double start = static_cast<double>(now_s) - *uptime_;
    if (std::fabs(start - start_s) > 1) start_s = start;
    tell_one(sink, kStartTime, start_s);
  }
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i]) tell_one(sink, fields()[i].family, *values_[i]);
  for (std::size_t i = 0; i < cluster_fields_used_; ++i) {
    const Named& field = cluster_fields_[i];
    sink.family(field.name, model::MetricType::kGauge, field.help);
    sink.sample(field.value);
  }
  tell_commands(sink);
  tell_percentiles(sink);
  tell_databases(sink, databases);
  tell_replication(sink);
  tell_few(sink);
  tell_sentinel(sink);
}

void Info::tell_instance(Sink& sink) {
  static constexpr std::array<std::string_view, kSaid> kNames = {"role",
                                                                 "redis_version",
                                                                 "redis_build_id",
                                                                 "redis_mode",
                                                                 "os",
                                                                 "maxmemory_policy",
                                                                 "tcp_port",
                                                                 "run_id",
                                                                 "process_id",
                                                                 "master_replid",
                                                                 "valkey_version",
                                                                 "valkey_release_stage",
                                                                 "availability_zone"};
  std::array<model::Label, kSaid> labels;
  std::size_t used = 0;
  for (std::size_t i = 0; i < kSaid; ++i) {
    // Those of Valkey are labels only where they are said.
    if (i >= kValkey && said_[i].empty()) continue;
    labels[used++] = {kNames[i], said_[i]};
  }
  begin(sink, kInstanceInfo);
  sink.sample(std::span<const model::Label>(labels.data(), used), 1);
  if (said_[kRole] != "slave") return;
  begin(sink, kReplicaInfo);
  const Master master = masters_.empty() ? Master{} : masters_.front();
  sink.sample({{"master_host", master.host}, {"master_port", master.port}, {"read_only", read_only_}}, 1);
}

void Info::tell_commands(Sink& sink) const {
  const auto tell = [&](const FamilyInfo& family, auto value) {
    tell_rows(
        sink, family, commands_, [&](const Command& command) { return value(command).has_value(); },
        [&](const Command& command) { sink.sample({{"cmd", command.name}}, *value(command)); });
  };
  using Value = std::optional<double>;
  tell(kCommands, [](const Command& command) -> Value { return command.calls; });
  tell(kCommandDuration, [](const Command& command) -> Value { return command.microseconds / 1e6; });
  // The exporter tells the two only together.
  tell(kCommandRejected, [](const Command& command) { return command.failed ? command.rejected : Value{}; });
  tell(kCommandFailed, [](const Command& command) { return command.rejected ? command.failed : Value{}; });
  const auto seconds = [](const Command& command, const Value& ms) {
    return command.slow && command.slow_ms_sum && command.slow_ms_max ? Value(*ms / 1e3) : Value{};
  };
  tell(kCommandSlow,
       [&](const Command& command) { return command.slow_ms_sum && command.slow_ms_max ? command.slow : Value{}; });
  tell(kCommandSlowDuration, [&](const Command& command) { return seconds(command, command.slow_ms_sum); });
  tell(kCommandSlowMax, [&](const Command& command) { return seconds(command, command.slow_ms_max); });
  tell_rows(sink, kErrors, errors_, kAlways,
            [&](const auto& error) { sink.sample({{"err", error.first}}, error.second); });
}

void Info::tell_percentiles(Sink& sink) const {
  tell_rows(
      sink, kPercentiles, percentiles_, [&](const Percentiles& row) { return command(row.command) != nullptr; },
      [&](const Percentiles& row) {
        std::string_view rest = row.text;
        // p50=1.003,p99=2.007,p99.9=2.007: what latency-tracking-info-percentiles asks for.
        for (std::size_t i = 0; !rest.empty() && i < kFewMax; ++i) {
          const auto end = rest.find(',');
          std::string_view part = rest.substr(0, end);
          rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
          const auto equals = part.find('=');
          if (!part.starts_with('p') || equals == std::string_view::npos) continue;
          const std::string_view quantile = part.substr(1, equals - 1);
          const auto value = base::parse_float(part.substr(equals + 1));
          if (!value || !base::parse_float(quantile)) continue;
          sink.sample({{"cmd", row.command}, {"quantile", quantile}}, *value);
        }
        const Command& of = *command(row.command);
        const std::array labels = {model::Label{"cmd", row.command}};
        sink.sample("_sum", labels, of.microseconds);
        sink.sample("_count", labels, of.calls);
      });
}

void Info::tell_databases(Sink& sink, std::size_t databases) {
  databases = std::min(databases, kDatabasesMax);
  while (database_names_.size() < databases) database_names_.push_back("db" + std::to_string(database_names_.size()));
  // In the order of their numbers, the empty ones too, so that the series stay in place as databases fill.
  std::ranges::stable_sort(databases_, {}, &Database::number);
  const auto doubles = std::ranges::unique(databases_, {}, &Database::number);
  databases_.erase(doubles.begin(), doubles.end());
  const auto tell_all = [&](const FamilyInfo& family, double Database::* value) {
    if (databases == 0 && databases_.empty()) return;
    begin(sink, family);
    auto row = databases_.begin();
    for (std::size_t i = 0; i < databases; ++i) {
      const bool there = row != databases_.end() && row->number == i;
      sink.sample({{"db", database_names_[i]}}, there ? (*row).*value : 0);
      if (there) ++row;
    }
    for (; row != databases_.end(); ++row) sink.sample({{"db", row->name}}, (*row).*value);
  };
  tell_all(kDbKeys, &Database::keys);
  tell_all(kDbExpiring, &Database::expiring);
  const auto tell_some = [&](const FamilyInfo& family, std::optional<double> Database::* value) {
    tell_rows(
        sink, family, databases_, [&](const Database& row) { return (row.*value).has_value(); },
        [&](const Database& row) { sink.sample({{"db", row.name}}, *(row.*value)); });
  };
  tell_some(kDbTtl, &Database::ttl_s);
  tell_some(kDbCached, &Database::cached);
  tell_some(kDbExpiringItems, &Database::expiring_items);
}

void Info::tell_replication(Sink& sink) const {
  const auto of_replica = [&](const Replica& row, double value) {
    sink.sample({{"slave_ip", row.ip}, {"slave_port", row.port}, {"slave_state", row.state}}, value);
  };
  tell_rows(sink, kReplicaOffset, replicas_, kAlways, [&](const Replica& row) { of_replica(row, row.offset); });
  tell_rows(
      sink, kReplicaLag, replicas_, [](const Replica& row) { return row.lag.has_value(); },
      [&](const Replica& row) { of_replica(row, *row.lag); });
  const auto of_master = [&](const FamilyInfo& family, std::optional<double> Master::* value) {
    tell_rows(
        sink, family, masters_, [&](const Master& row) { return (row.*value).has_value(); },
        [&](const Master& row) { sink.sample({{"master_host", row.host}, {"master_port", row.port}}, *(row.*value)); });
  };
  of_master(kMasterLink, &Master::link_up);
  of_master(kMasterIo, &Master::last_io);
  of_master(kMasterSync, &Master::sync);
  of_master(kReplOffset, &Master::repl_offset);
}

void Info::tell_few(Sink& sink) const {
  tell_rows(sink, kActiveTime, active_times_, kAlways,
            [&](const auto& row) { sink.sample({{"thread", row.first}}, row.second); });
  tell_rows(sink, kCertificate, certificates_, kAlways,
            [&](const auto& row) { sink.sample({{"certificate", row.first}, {"serial", row.second}}, 1); });
  const auto of_engine = [&](const FamilyInfo& family, auto value) {
    tell_rows(sink, family, engines_, kAlways, [&](const Engine& row) {
      sink.sample({{"engine", row.name}, {"module", row.module}, {"abi_version", row.abi}}, value(row));
    });
  };
  of_engine(kEngine, [](const Engine&) { return 1.0; });
  of_engine(kEngineMemory, [](const Engine& row) { return row.memory; });
  of_engine(kEngineOverhead, [](const Engine& row) { return row.overhead; });
}

void Info::tell_sentinel(Sink& sink) const {
  for (std::size_t i = 0; i < sentinel_fields_.size(); ++i)
    if (sentinel_fields_[i]) tell_one(sink, kSentinel[i], *sentinel_fields_[i]);
  tell_rows(sink, kSentinelStatus, sentinel_masters_, kAlways, [&](const SentinelMaster& row) {
    sink.sample({{"master_name", row.name}, {"master_address", row.address}, {"master_status", row.status}},
                row.status == "ok" ? 1 : 0);
  });
  const auto of_master = [&](const FamilyInfo& family, double SentinelMaster::* value) {
    tell_rows(sink, family, sentinel_masters_, kAlways, [&](const SentinelMaster& row) {
      sink.sample({{"master_name", row.name}, {"master_address", row.address}}, row.*value);
    });
  };
  of_master(kSentinelReplicas, &SentinelMaster::replicas);
  of_master(kSentinelSentinels, &SentinelMaster::sentinels);
}

}  // namespace qd::observe::redis
