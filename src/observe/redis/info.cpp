#include "observe/redis/info.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/strings.h"
#include "observe/redis/families.h"

namespace qd::observe::redis {
namespace {

// Up to `separator`, which is passed over.
std::string_view take_part(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return part;
}

// Calls `take(key, value)` for each part of "key=value,key=value".
template <typename Take>
void each_pair(std::string_view text, Take take) {
  while (!text.empty()) {
    std::string_view value = take_part(text, ',');
    const std::string_view key = take_part(value, '=');
    take(key, value);
  }
}

std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool cut_front(std::string_view& text, std::string_view front) {
  if (!text.starts_with(front)) return false;
  text.remove_prefix(front.size());
  return true;
}

// What is behind "master_" or, of KeyDB with several masters, "master_1_"; empty for others.
std::string_view of_master(std::string_view key) {
  if (!cut_front(key, "master_")) return {};
  const auto end = key.find_first_not_of("0123456789");
  if (end != 0 && end != std::string_view::npos && key[end] == '_') key.remove_prefix(end + 1);
  return key;
}

}  // namespace

void Info::clear() {
  section_ = Section::kOther;
  cluster_ = sentinel_ = commandlog_ = false;
  major_version_ = 0;
  said_.fill({});
  read_only_ = {};
  uptime_.reset();
  values_.assign(fields().size(), std::nullopt);
  cluster_fields_used_ = 0;
  commands_.clear();
  percentiles_.clear();
  errors_.clear();
  active_times_.clear();
  databases_.clear();
  replicas_.clear();
  masters_.clear();
  certificates_.clear();
  engines_.clear();
  sentinel_fields_.fill(std::nullopt);
  sentinel_masters_.clear();
}

void Info::parse(std::string_view text) {
  static constexpr std::pair<std::string_view, Section> kSections[] = {
      {"Replication", Section::kReplication},
      {"Server", Section::kServer},
      {"TLS", Section::kTls},
      {"Scripting Engines", Section::kEngines},
      {"Commandstats", Section::kCommandstats},
      {"Latencystats", Section::kLatencystats},
      {"Errorstats", Section::kErrorstats},
      {"Cluster Info", Section::kClusterInfo},
      {"Keyspace", Section::kKeyspace},
      {"Sentinel", Section::kSentinel},
  };
  clear();
  while (!text.empty()) {
    std::string_view line = base::trim(take_part(text, '\n'));
    if (cut_front(line, "# ")) {
      section_ = Section::kOther;
      for (const auto& [name, section] : kSections)
        if (line == name) section_ = section;
      sentinel_ = sentinel_ || section_ == Section::kSentinel;
      continue;
    }
    if (line.find(':') == std::string_view::npos) continue;
    const std::string_view key = take_part(line, ':');
    take(key, line);
  }
  commands_by_name_.resize(commands_.size());
  std::iota(commands_by_name_.begin(), commands_by_name_.end(), std::size_t{0});
  std::ranges::sort(commands_by_name_, {}, [&](std::size_t i) { return commands_[i].name; });
}

void Info::parse_cluster(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = base::trim(take_part(text, '\n'));
    const std::string_view key = take_part(line, ':');
    take_field(key, line);
  }
}

const Info::Command* Info::command(std::string_view name) const {
  const auto by_name = [&](std::size_t i) { return commands_[i].name; };
  const auto found = std::ranges::lower_bound(commands_by_name_, name, {}, by_name);
  return found == commands_by_name_.end() || by_name(*found) != name ? nullptr : &commands_[*found];
}

void Info::take(std::string_view key, std::string_view value) {
  static constexpr std::array<std::string_view, kSaid> kSaidKeys = {"role",
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
  switch (section_) {
    case Section::kCommandstats:
      return take_command(key, value);
    case Section::kLatencystats:
      if (cut_front(key, "latency_percentiles_usec_") && percentiles_.size() < kCommandsMax) {
        percentiles_.push_back({key, value});
      }
      return;
    case Section::kErrorstats:
      if (cut_front(key, "errorstat_") && cut_front(value, "count=") && errors_.size() < kErrorsMax) {
        if (const auto count = base::parse_float(value)) errors_.emplace_back(key, *count);
      }
      return;
    // Valkey from 9.1 on repeats CLUSTER INFO here.
    case Section::kClusterInfo:
      return;
    case Section::kKeyspace:
      return take_database(key, value);
    case Section::kSentinel:
      return take_sentinel(key, value);
    case Section::kEngines:
      if (key.starts_with("engine_")) return take_engine(value);
      break;
    case Section::kTls:
      if (cut_front(key, "tls_")) {
        const std::string_view certificate = key.substr(0, key.find('_'));
        if (key.ends_with("_cert_serial") && certificates_.size() < kFewMax) {
          certificates_.emplace_back(certificate, value);
          return;
        }
        key = {key.data() - 4, key.size() + 4};
      }
      break;
    case Section::kReplication:
      if (take_replication(key, value)) return;
      break;
    default:
      break;
  }
  for (std::size_t i = 0; i < kSaid; ++i)
    if (key == kSaidKeys[i]) said_[i] = value;
  // Valkey may leave out the names that it inherited.
  if (key == "server_mode" && said_[kMode].empty()) said_[kMode] = value;
  if (key == "redis_version") {
    std::from_chars(value.data(), value.data() + value.size(), major_version_);
  } else if (key == "valkey_version") {
    std::string_view rest = value;
    const auto major = digits(take_part(rest, '.')), minor = digits(take_part(rest, '.'));
    commandlog_ = major && minor && (*major > 8 || (*major == 8 && *minor >= 1));
  } else if (key == "uptime_in_seconds") {
    uptime_ = base::parse_float(value);
  } else if (key == "slave_read_only") {
    read_only_ = value;
  } else if (key == "cluster_enabled") {
    cluster_ = value == "1";
  }
  take_field(key, value);
}

void Info::take_field(std::string_view key, std::string_view value) {
  const std::string_view whole = key;
  std::optional<double> number;
  if (value == "ok" || value == "true") {
    number = 1;
  } else if (value == "err" || value == "fail" || value == "false") {
    number = 0;
  } else {
    number = base::parse_float(value);
  }
  if (!number) return;
  if (const auto place = field_of(key)) {
    values_[*place] = *number / fields()[*place].divisor;
  } else if (cut_front(key, "used_active_time_io_thread_")) {
    if (digits(key) && active_times_.size() < kFewMax) active_times_.emplace_back(key, *number);
  } else if (key.starts_with("cluster_")) {
    if (cluster_fields_used_ == kClusterFieldsMax) return;
    for (std::size_t i = 0; i < cluster_fields_used_; ++i)
      if (cluster_fields_[i].key == whole) return;
    if (cluster_fields_used_ == cluster_fields_.size()) cluster_fields_.emplace_back();
    Named& field = cluster_fields_[cluster_fields_used_];
    if (field.key != whole) {
      for (const char c : whole) {
        const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!fits) return;
      }
      field.key = whole;
      std::string_view metric = whole;
      if (whole == "cluster_stats_messages_sent") metric = "cluster_messages_sent_total";
      if (whole == "cluster_stats_messages_received") metric = "cluster_messages_received_total";
      field.name.assign("redis_").append(metric);
      field.help.assign(metric).append(" metric");
    }
    field.value = *number;
    ++cluster_fields_used_;
  }
}

// True for what stands in no other way among the fields.
bool Info::take_replication(std::string_view key, std::string_view value) {
  const std::string_view of = of_master(key);
  if (of == "host") {
    if (masters_.size() < kMastersMax)
      masters_.push_back({.host = value, .port = {}, .link_up = {}, .last_io = {}, .sync = {}, .repl_offset = {}});
    return true;
  }
  if (!masters_.empty()) {
    Master& master = masters_.back();
    const bool known = of == "port" || of == "link_status" || of == "last_io_seconds_ago" || of == "sync_in_progress" ||
                       key == "slave_repl_offset";
    if (of == "port") master.port = value;
    if (of == "link_status") master.link_up = value == "up" ? 1 : 0;
    if (of == "last_io_seconds_ago") master.last_io = base::parse_float(value);
    if (of == "sync_in_progress") master.sync = base::parse_float(value);
    if (key == "slave_repl_offset") master.repl_offset = base::parse_float(value);
    if (known) return true;
  }
  // slave0:ip=10.0.0.2,port=6379,state=online,offset=123,lag=0
  if (!cut_front(key, "slave") || !digits(key)) return false;
  Replica replica;
  std::optional<double> offset;
  each_pair(value, [&](std::string_view name, std::string_view said) {
    if (name == "ip") replica.ip = said;
    if (name == "port") replica.port = said;
    if (name == "state") replica.state = said;
    if (name == "offset") offset = base::parse_float(said);
    if (name == "lag") replica.lag = base::parse_float(said);
  });
  if (!offset || replicas_.size() == kReplicasMax) return true;
  replica.offset = *offset;
  // Before Redis 3.0, or while it is not known.
  if (replica.lag && *replica.lag < 0) replica.lag.reset();
  for (const Replica& other : replicas_)
    if (other.ip == replica.ip && other.port == replica.port && other.state == replica.state) return true;
  replicas_.push_back(replica);
  return true;
}

// cmdstat_get:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0
void Info::take_command(std::string_view key, std::string_view value) {
  if (!cut_front(key, "cmdstat_") || commands_.size() == kCommandsMax) return;
  Command command;
  command.name = key;
  std::optional<double> calls, microseconds;
  each_pair(value, [&](std::string_view name, std::string_view said) {
    const auto number = base::parse_float(said);
    if (name == "calls") calls = number;
    if (name == "usec") microseconds = number;
    if (name == "rejected_calls") command.rejected = number;
    if (name == "failed_calls") command.failed = number;
    if (name == "slowlog_count") command.slow = number;
    if (name == "slowlog_time_ms_sum") command.slow_ms_sum = number;
    if (name == "slowlog_time_ms_max") command.slow_ms_max = number;
  });
  if (!calls || !microseconds) return;
  command.calls = *calls;
  command.microseconds = *microseconds;
  commands_.push_back(command);
}

// db0:keys=3,expires=1,avg_ttl=99950,subexpiry=0
void Info::take_database(std::string_view key, std::string_view value) {
  std::string_view rest = key;
  const auto index = cut_front(rest, "db") ? digits(rest) : std::nullopt;
  if (!index || databases_.size() == kDatabasesMax) return;
  Database database;
  database.name = key;
  database.number = *index;
  std::optional<double> keys, expiring;
  each_pair(value, [&](std::string_view name, std::string_view said) {
    const auto number = base::parse_float(said);
    if (name == "keys") keys = number;
    if (name == "expires") expiring = number;
    if (name == "avg_ttl" && number) database.ttl_s = *number / 1000;
    if (name == "cached_keys") database.cached = number;
    if (name == "subexpiry" || name == "keys_with_volatile_items") database.expiring_items = number;
  });
  if (!keys || !expiring) return;
  database.keys = *keys;
  database.expiring = *expiring;
  databases_.push_back(database);
}

void Info::take_engine(std::string_view value) {
  Engine engine;
  std::optional<double> memory, overhead;
  each_pair(value, [&](std::string_view name, std::string_view said) {
    if (name == "name") engine.name = said;
    if (name == "module") engine.module = said;
    if (name == "abi_version") engine.abi = said;
    if (name == "used_memory") memory = base::parse_float(said);
    if (name == "memory_overhead") overhead = base::parse_float(said);
  });
  if (!memory || !overhead || engines_.size() == kFewMax) return;
  engine.memory = *memory;
  engine.overhead = *overhead;
  engines_.push_back(engine);
}

// master0:name=main,status=ok,address=127.0.0.1:6379,slaves=1,sentinels=3
void Info::take_sentinel(std::string_view key, std::string_view value) {
  static constexpr std::array<std::string_view, 5> kKeys = {"sentinel_masters", "sentinel_tilt",
                                                            "sentinel_running_scripts", "sentinel_scripts_queue_length",
                                                            "sentinel_simulate_failure_flags"};
  for (std::size_t i = 0; i < kKeys.size(); ++i)
    if (key == kKeys[i]) sentinel_fields_[i] = base::parse_float(value);
  if (!cut_front(key, "master") || !digits(key) || sentinel_masters_.size() == kMastersMax) return;
  SentinelMaster master;
  std::optional<double> replicas, sentinels;
  each_pair(value, [&](std::string_view name, std::string_view said) {
    if (name == "name") master.name = said;
    if (name == "status") master.status = said;
    if (name == "address") master.address = said;
    if (name == "slaves") replicas = base::parse_float(said);
    if (name == "sentinels") sentinels = base::parse_float(said);
  });
  if (!replicas || !sentinels) return;
  master.replicas = *replicas;
  master.sentinels = *sentinels;
  sentinel_masters_.push_back(master);
}

}  // namespace qd::observe::redis
