// SHOW GLOBAL VARIABLES and SHOW GLOBAL STATUS.

#include <array>
#include <charconv>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "base/strings.h"
#include "observe/mysql/families.h"
#include "observe/mysql/part.h"

namespace qd::observe::mysql {
namespace {

using connect::mysql::Table;

// The rows of an answer as metrics, once their values are numbers. Keeps its memory.
struct Entries {
  struct Entry {
    std::uint32_t name_at;  // in `names`
    std::uint32_t name_size;
    std::uint8_t group;
    double value;
  };
  std::vector<Entry> list;
  std::string names;
  Repeats repeats;

  void clear() {
    list.clear();
    names.clear();
    repeats.clear();
  }
  // The part of the name from `skip` on is what counts.
  void add(std::size_t from, std::size_t skip, std::uint8_t group, double value) {
    const std::string_view name = std::string_view(names).substr(from);
    repeats.add(std::hash<std::string_view>{}(name));
    list.push_back(
        {static_cast<std::uint32_t>(from + skip), static_cast<std::uint32_t>(name.size() - skip), group, value});
  }
  std::string_view name(const Entry& entry) const {
    return std::string_view(names).substr(entry.name_at, entry.name_size);
  }
};

void tell_text(Sink& sink, const FamilyInfo& info, std::initializer_list<model::Label> labels) {
  tell(sink, info);
  sink.sample(labels, 1);
}

// "…; gcache.size = 128M; …"
double gcache_bytes(std::string_view options) {
  constexpr std::string_view kKey = "gcache.size = ";
  const std::size_t at = options.find(kKey);
  if (at == std::string_view::npos) return 0;
  options.remove_prefix(at + kKey.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(options.data(), options.data() + options.size(), value);
  if (error != std::errc{}) return 0;
  const char unit = end == options.data() + options.size() ? ';' : *end;
  const double factor = unit == 'K' ? 1024.0 : unit == 'M' ? 1024.0 * 1024 : unit == 'G' ? 1024.0 * 1024 * 1024 : 1;
  return static_cast<double>(value) * factor;
}

class GlobalVariablesPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    static constexpr std::string_view kPrefix = "mysql_global_variables_";
    static constexpr std::string_view kHelp = "Generic gauge metric from SHOW GLOBAL VARIABLES.";
    QD_ASSIGN(const Table* const table, pass.session.ask("SHOW GLOBAL VARIABLES"));
    entries_.clear();
    for (std::string& text : texts_) text.clear();
    Server& server = pass.server();
    server.performance_schema = server.user_statistics = server.binary_log = server.response_times = false;
    for (std::size_t row = 0; table->columns() >= 2 && row < table->rows(); ++row) {
      const std::size_t from = entries_.names.size();
      entries_.names += kPrefix;
      append_name(entries_.names, table->text(row, 0));
      const std::string_view key = std::string_view(entries_.names).substr(from + kPrefix.size());
      const std::string_view text = table->text(row, 1);
      if (const auto value = status_value(text)) {
        learn(server, key, *value != 0);
        entries_.add(from, 0, 0, *value);
        continue;
      }
      for (std::size_t at = 0; at < kTexts.size(); ++at) {
        if (key == kTexts[at]) texts_[at] = label_(text);
      }
      entries_.names.resize(from);
    }
    const auto& repeated = entries_.repeats.find();
    for (std::size_t at = 0; at < entries_.list.size(); ++at) {
      if (repeated[at]) continue;
      pass.sink.family(entries_.name(entries_.list[at]), model::MetricType::kGauge, kHelp);
      pass.sink.sample(entries_.list[at].value);
    }
    tell_texts(pass.sink);
    return {};
  }

 private:
  enum Text { kInnodbVersion, kVersion, kComment, kCluster, kProvider, kIsolation, kOldIsolation, kTextCount };
  static constexpr std::array<std::string_view, kTextCount> kTexts = {
      "innodb_version",         "version",      "version_comment",      "wsrep_cluster_name",
      "wsrep_provider_options", "tx_isolation", "transaction_isolation"};

  static void learn(Server& server, std::string_view key, bool on) {
    if (key == "performance_schema") server.performance_schema = on;
    if (key == "userstat" || key == "userstat_running") server.user_statistics = on;
    if (key == "log_bin") server.binary_log = on;
    if (key == "query_response_time_stats") server.response_times = on;
  }

  void tell_texts(Sink& sink) {
    static const FamilyInfo& kVersionInfo = family("mysql_version_info");
    static const FamilyInfo& kIsolationInfo = family("mysql_transaction_isolation");
    static const FamilyInfo& kClusterInfo = family("mysql_galera_variables_info");
    static const FamilyInfo& kCacheSize = family("mysql_galera_gcache_size_bytes");
    tell_text(sink, kVersionInfo,
              {{"innodb_version", texts_[kInnodbVersion]},
               {"version", texts_[kVersion]},
               {"version_comment", texts_[kComment]}});
    const std::string& level = texts_[kOldIsolation].empty() ? texts_[kIsolation] : texts_[kOldIsolation];
    if (!level.empty()) tell_text(sink, kIsolationInfo, {{"level", level}});
    if (!texts_[kCluster].empty()) tell_text(sink, kClusterInfo, {{"wsrep_cluster_name", texts_[kCluster]}});
    if (!texts_[kProvider].empty()) {
      tell(sink, kCacheSize);
      sink.sample(gcache_bytes(texts_[kProvider]));
    }
  }

  Entries entries_;
  LabelText label_;
  std::array<std::string, kTextCount> texts_;
};

class GlobalStatusPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    QD_ASSIGN(const Table* const table, pass.session.ask("SHOW GLOBAL STATUS"));
    entries_.clear();
    for (std::string& text : texts_) text.clear();
    for (std::size_t row = 0; table->columns() >= 2 && row < table->rows(); ++row) {
      add(table->text(row, 0), table->text(row, 1));
    }
    const auto& repeated = entries_.repeats.find();
    // Families that stand together come first, each in one run over the list.
    for (std::size_t group = 0; group < kGroups.size(); ++group) {
      const FamilyInfo* told = nullptr;
      for (std::size_t at = 0; at < entries_.list.size(); ++at) {
        const Entries::Entry& entry = entries_.list[at];
        if (entry.group != group || repeated[at]) continue;
        if (told == nullptr) tell(pass.sink, *(told = &kGroups[group].info()));
        pass.sink.sample({{kGroups[group].label, entries_.name(entry)}}, entry.value);
      }
    }
    for (std::size_t at = 0; at < entries_.list.size(); ++at) {
      const Entries::Entry& entry = entries_.list[at];
      if (entry.group != kAlone || repeated[at]) continue;
      const std::string_view name = entries_.name(entry);
      if (name == kDirtyPages) {
        tell(pass.sink, family(kDirtyPages));
      } else {
        pass.sink.family(name, model::MetricType::kUnknown, "Generic metric from SHOW GLOBAL STATUS.");
      }
      pass.sink.sample(entry.value);
    }
    tell_galera(pass.sink);
    return {};
  }

 private:
  static constexpr std::uint8_t kAlone = 0xff;
  static constexpr std::string_view kPrefix = "mysql_global_status_";
  static constexpr std::string_view kPages = "innodb_buffer_pool_pages_";
  static constexpr std::string_view kDirtyPages = "mysql_global_status_buffer_pool_dirty_pages";

  struct Group {
    std::string_view begins_with;  // of the variable's name; what follows is the label's value
    std::string_view family;
    std::string_view label;

    const FamilyInfo& info() const { return mysql::family(family); }
  };
  static constexpr std::uint8_t kPagesByState = 5;
  static constexpr std::uint8_t kPageChanges = 6;
  static constexpr std::array<Group, 7> kGroups = {{
      {"com_", "mysql_global_status_commands_total", "command"},
      {"handler_", "mysql_global_status_handlers_total", "handler"},
      {"connection_errors_", "mysql_global_status_connection_errors_total", "error"},
      {"innodb_rows_", "mysql_global_status_innodb_row_ops_total", "operation"},
      {"performance_schema_", "mysql_global_status_performance_schema_lost_total", "instrumentation"},
      {kPages, "mysql_global_status_buffer_pool_pages", "state"},
      {kPages, "mysql_global_status_buffer_pool_page_changes_total", "operation"},
  }};

  enum Text { kLocalUuid, kClusterUuid, kProviderVersion, kLatency, kTextCount };
  static constexpr std::array<std::string_view, kTextCount> kTexts = {
      "wsrep_local_state_uuid", "wsrep_cluster_state_uuid", "wsrep_provider_version", "wsrep_evs_repl_latency"};

  void add(std::string_view key, std::string_view text) {
    const std::size_t from = entries_.names.size();
    entries_.names += kPrefix;
    append_name(entries_.names, key);
    const std::string_view name = std::string_view(entries_.names).substr(from + kPrefix.size());
    const auto value = status_value(text);
    if (!value) {
      for (std::size_t at = 0; at < kTexts.size(); ++at) {
        if (name == kTexts[at]) texts_[at] = label_(text);
      }
      entries_.names.resize(from);
      return;
    }
    if (name.starts_with(kPages)) {
      const std::string_view kind = name.substr(kPages.size());
      if (kind == "total") {
        entries_.names.resize(from);  // the sum of the others
      } else if (kind == "dirty") {
        entries_.names.replace(from, std::string::npos, kDirtyPages);
        entries_.add(from, 0, kAlone, *value);
      } else {
        const bool is_state = kind == "data" || kind == "free" || kind == "misc" || kind == "old";
        entries_.add(from, kPrefix.size() + kPages.size(), is_state ? kPagesByState : kPageChanges, *value);
      }
      return;
    }
    for (std::uint8_t group = 0; group < kPagesByState; ++group) {
      if (!name.starts_with(kGroups[group].begins_with)) continue;
      entries_.add(from, kPrefix.size() + kGroups[group].begins_with.size(), group, *value);
      return;
    }
    entries_.add(from, 0, kAlone, *value);
  }

  void tell_galera(Sink& sink) {
    static const FamilyInfo& kStatus = family("mysql_galera_status_info");
    if (!texts_[kLocalUuid].empty()) {
      tell_text(sink, kStatus,
                {{"wsrep_local_state_uuid", texts_[kLocalUuid]},
                 {"wsrep_cluster_state_uuid", texts_[kClusterUuid]},
                 {"wsrep_provider_version", texts_[kProviderVersion]}});
    }
    // "0.000243/0.000512/0.001/0.0002/10": least, mean, most, deviation, samples
    static constexpr std::array<std::string_view, 5> kLatencies = {
        "mysql_galera_evs_repl_latency_min_seconds", "mysql_galera_evs_repl_latency_avg_seconds",
        "mysql_galera_evs_repl_latency_max_seconds", "mysql_galera_evs_repl_latency_stdev",
        "mysql_galera_evs_repl_latency_sample_size"};
    const auto pieces = base::split(texts_[kLatency], '/');
    if (pieces.size() != kLatencies.size()) return;
    std::array<double, kLatencies.size()> values{};
    for (std::size_t at = 0; at < values.size(); ++at) {
      const auto value = base::parse_float(pieces[at]);
      if (!value) return;
      values[at] = *value;
    }
    for (std::size_t at = 0; at < values.size(); ++at) {
      tell(sink, family(kLatencies[at]));
      sink.sample(values[at]);
    }
  }

  Entries entries_;
  LabelText label_;
  std::array<std::string, kTextCount> texts_;
};

}  // namespace

std::unique_ptr<Part> global_variables_part(const Options&) {
  return std::make_unique<GlobalVariablesPart>();
}

std::unique_ptr<Part> global_status_part(const Options&) {
  return std::make_unique<GlobalStatusPart>();
}

}  // namespace qd::observe::mysql
