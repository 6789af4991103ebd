// Replicas, the binary log, group replication.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <string>

#include "base/strings.h"
#include "observe/mysql/families.h"
#include "observe/mysql/mysql.h"
#include "observe/mysql/part.h"

namespace qd::observe::mysql {
namespace {

using connect::mysql::Table;

std::string_view text_of(const Table& table, std::size_t row, std::string_view column) {
  const auto at = table.find(column);
  return at ? table.text(row, *at) : std::string_view();
}

// "Seconds_Behind_Source" is "Seconds_Behind_Master" in the words of servers before MySQL 8.4.
std::string old_words(std::string_view column) {
  std::string old;
  for (const std::string_view word : base::split(column, '_')) {
    if (!old.empty()) old += '_';
    old += word == "Replica" ? "Slave" : word == "Source" ? "Master" : word;
  }
  return old;
}

class SlaveStatusPart final : public Part {
 public:
  explicit SlaveStatusPart(bool legacy_names) : legacy_names_(legacy_names) {}

  base::Status collect(const Pass& pass) override {
    const Server& server = pass.server();
    const bool new_words = !server.is_mariadb && server.is_at_least(8, 4);
    QD_ASSIGN(const Table* const table, pass.session.ask(server.is_mariadb ? "SHOW ALL SLAVES STATUS"
                                                         : new_words       ? "SHOW REPLICA STATUS"
                                                                           : "SHOW SLAVE STATUS"));
    repeats_.clear();
    for (std::size_t row = 0; row < table->rows(); ++row) {
      std::uint64_t hash = 0;
      for (const std::string_view column : {"Master_Host", "Source_Host", "Channel_Name", "Connection_name"}) {
        hash = hash * 31 + std::hash<std::string_view>{}(text_of(*table, row, column));
      }
      repeats_.add(hash);
    }
    const auto& repeated = repeats_.find();
    for (std::size_t column = 0; column < table->columns(); ++column) {
      tell_column(*table, column, table->name(column), repeated, pass.sink);
      if (!new_words || !legacy_names_) continue;
      const std::string old = old_words(table->name(column));
      if (old != table->name(column)) tell_column(*table, column, old, repeated, pass.sink);
    }
    return {};
  }

 private:
  void tell_column(const Table& table, std::size_t column, std::string_view called, const std::vector<bool>& repeated,
                   Sink& sink) {
    bool told = false;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const auto value = repeated[row] ? std::nullopt : status_value(table.text(row, column));
      if (!value) continue;
      if (!told) {
        name_ = "mysql_slave_status_";
        append_name(name_, called);
        sink.family(name_, model::MetricType::kUnknown, "Generic metric from SHOW SLAVE STATUS.");
        told = true;
      }
      const auto either = [&](std::string_view first, std::string_view second) {
        return table.find(first) ? text_of(table, row, first) : text_of(table, row, second);
      };
      sink.sample({{"master_host", host_(either("Master_Host", "Source_Host"))},
                   {"master_uuid", uuid_(either("Master_UUID", "Source_UUID"))},
                   {"channel_name", channel_(text_of(table, row, "Channel_Name"))},
                   {"connection_name", connection_(text_of(table, row, "Connection_name"))}},
                  *value);
    }
  }

  const bool legacy_names_;
  std::string name_;
  Repeats repeats_;
  LabelText host_;
  LabelText uuid_;
  LabelText channel_;
  LabelText connection_;
};

class SlaveHostsPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    const Server& server = pass.server();
    const bool new_words = !server.is_mariadb && server.is_at_least(8, 4);
    QD_ASSIGN(const Table* const table, pass.session.ask(new_words ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS"));
    static const FamilyInfo& kFamily = family("mysql_heartbeat_mysql_slave_hosts_info");
    if (table->rows() > 0 && table->find("Server_id")) tell(pass.sink, kFamily);
    for (std::size_t row = 0; table->find("Server_id") && row < table->rows(); ++row) {
      const auto either = [&](std::string_view first, std::string_view second) {
        return table->find(first) ? text_of(*table, row, first) : text_of(*table, row, second);
      };
      pass.sink.sample({{"server_id", id_(text_of(*table, row, "Server_id"))},
                        {"slave_host", host_(text_of(*table, row, "Host"))},
                        {"port", port_(text_of(*table, row, "Port"))},
                        {"master_id", master_(either("Master_id", "Source_id"))},
                        {"slave_uuid", uuid_(either("Slave_UUID", "Replica_UUID"))}},
                       1);
    }
    return {};
  }

 private:
  LabelText id_;
  LabelText host_;
  LabelText port_;
  LabelText master_;
  LabelText uuid_;
};

class BinlogSizePart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    if (!pass.server().binary_log) return {};
    QD_ASSIGN(const Table* const table, pass.session.ask("SHOW BINARY LOGS"));
    double bytes = 0;
    double number = 0;
    for (std::size_t row = 0; table->columns() >= 2 && row < table->rows(); ++row) {
      bytes += base::parse_float(table->text(row, 1)).value_or(0);
      const std::string_view name = table->text(row, 0);
      number = base::parse_float(name.substr(name.rfind('.') + 1)).value_or(0);
    }
    static const FamilyInfo& kBinlogBytes = family("mysql_binlog_size_bytes");
    static const FamilyInfo& kBinlogFiles = family("mysql_binlog_files");
    static const FamilyInfo& kBinlogNumber = family("mysql_binlog_file_number");
    tell(pass.sink, kBinlogBytes);
    pass.sink.sample(bytes);
    tell(pass.sink, kBinlogFiles);
    pass.sink.sample(static_cast<double>(table->rows()));
    tell(pass.sink, kBinlogNumber);
    pass.sink.sample(number);
    return {};
  }
};

// Every column is a label.
class GroupMembersPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    if (pass.server().is_mariadb) return {};
    QD_ASSIGN(const Table* const table, pass.session.ask("SELECT * FROM performance_schema.replication_group_members"));
    static const FamilyInfo& kFamily = family("mysql_perf_schema_replication_group_member_info");
    const std::size_t columns = std::min<std::size_t>(table->columns(), kColumnsMax);
    names_.resize(columns);
    texts_.resize(columns);
    for (std::size_t at = 0; at < columns; ++at) {
      names_[at].clear();
      append_name(names_[at], table->name(at));
    }
    if (table->rows() > 0) tell(pass.sink, kFamily);
    for (std::size_t row = 0; row < table->rows(); ++row) {
      labels_.clear();
      for (std::size_t at = 0; at < columns; ++at) labels_.push_back({names_[at], texts_[at](table->text(row, at))});
      pass.sink.sample(labels_, 1);
    }
    return {};
  }

 private:
  static constexpr std::size_t kColumnsMax = 20;
  std::vector<std::string> names_;
  std::vector<LabelText> texts_;
  std::vector<model::Label> labels_;
};

}  // namespace

std::unique_ptr<Part> slave_status_part(const Options& options) {
  return std::make_unique<SlaveStatusPart>(options.legacy_names);
}

std::unique_ptr<Part> slave_hosts_part(const Options&) {
  return std::make_unique<SlaveHostsPart>();
}

std::unique_ptr<Part> binlog_size_part(const Options&) {
  return std::make_unique<BinlogSizePart>();
}

std::unique_ptr<Part> group_members_part(const Options&) {
  return std::make_unique<GroupMembersPart>();
}

}  // namespace qd::observe::mysql
