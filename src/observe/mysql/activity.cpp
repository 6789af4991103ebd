// What goes on now: connections by state, how long statements took, what users and clients did.

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "base/strings.h"
#include "observe/mysql/families.h"
#include "observe/mysql/part.h"
#include "observe/mysql/table_part.h"

namespace qd::observe::mysql {
namespace {

using connect::mysql::Table;

// "Waiting for table metadata lock" is "waiting_for_table_metadata_lock", as mysqld_exporter writes states.
void clean_state(std::string& out, std::string_view text) {
  out.clear();
  if (text.empty()) text = "unknown";
  for (const char c : text) {
    switch (c) {
      case ';':
      case ',':
      case ':':
      case '.':
      case '(':
      case ')':
        break;
      case ' ':
      case '-':
        out += '_';
        break;
      default:
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
}

class ProcesslistPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    // A host has its port behind it, which would make every connection one of its own.
    QD_ASSIGN(const Table* const table,
              pass.session.ask("SELECT user, IF(host LIKE '%:%', LEFT(host, CHAR_LENGTH(host) -"
                               " CHAR_LENGTH(SUBSTRING_INDEX(host, ':', -1)) - 1), host) AS client, command, state,"
                               " COUNT(*) AS processes, SUM(time) AS seconds FROM information_schema.processlist"
                               " WHERE id != CONNECTION_ID() AND time >= 0 GROUP BY user, client, command, state"));
    states_.clear();
    hosts_.clear();
    users_.clear();
    for (std::size_t row = 0; table->columns() >= 6 && row < table->rows(); ++row) {
      const double count = base::parse_float(table->text(row, 4)).value_or(0);
      std::pair<std::string, std::string> state;
      clean_state(state.first, label_(table->text(row, 2)));
      clean_state(state.second, label_(table->text(row, 3)));
      Count& sum = states_[std::move(state)];
      sum.threads += count;
      sum.seconds += base::parse_float(table->text(row, 5)).value_or(0);
      const std::string_view host = table->text(row, 1);
      hosts_[std::string(label_(host.empty() ? "unknown" : host))] += count;
      users_[std::string(label_(table->text(row, 0)))] += count;
    }
    tell_states(pass.sink);
    tell_counts(pass.sink, family("mysql_info_schema_processlist_processes_by_host"), "client_host", hosts_);
    tell_counts(pass.sink, family("mysql_info_schema_processlist_processes_by_user"), "mysql_user", users_);
    return {};
  }

 private:
  struct Count {
    double threads = 0;
    double seconds = 0;
  };

  void tell_states(Sink& sink) const {
    for (const auto& [name, member] : {std::pair("mysql_info_schema_processlist_threads", &Count::threads),
                                       {"mysql_info_schema_processlist_seconds", &Count::seconds}}) {
      if (states_.empty()) return;
      tell(sink, family(name));
      for (const auto& [state, count] : states_) {
        sink.sample({{"command", state.first}, {"state", state.second}}, count.*member);
      }
    }
  }
  static void tell_counts(Sink& sink, const FamilyInfo& info, std::string_view label,
                          const std::map<std::string, double>& counts) {
    if (counts.empty()) return;
    tell(sink, info);
    for (const auto& [value, count] : counts) sink.sample({{label, value}}, count);
  }

  std::map<std::pair<std::string, std::string>, Count> states_;
  std::map<std::string, double> hosts_;
  std::map<std::string, double> users_;
  LabelText label_;
};

// The plug-in of MariaDB and Percona Server; Percona has reads and writes apart as well.
class ResponseTimePart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    if (!pass.server().response_times) return {};
    QD_ASSIGN(const Table* const all, pass.session.ask("SELECT time, count, total FROM"
                                                       " INFORMATION_SCHEMA.QUERY_RESPONSE_TIME"));
    tell_histogram(*all, family("mysql_info_schema_query_response_time_seconds"), pass.sink);
    if (pass.server().is_mariadb) return {};
    for (const auto& [sql, name] :
         {std::pair("SELECT time, count, total FROM INFORMATION_SCHEMA.QUERY_RESPONSE_TIME_READ",
                    "mysql_info_schema_read_query_response_time_seconds"),
          {"SELECT time, count, total FROM INFORMATION_SCHEMA.QUERY_RESPONSE_TIME_WRITE",
           "mysql_info_schema_write_query_response_time_seconds"}}) {
      const auto table = pass.session.ask(sql);
      if (!table) return {};
      tell_histogram(**table, family(name), pass.sink);
    }
    return {};
  }

 private:
  static void tell_histogram(const Table& table, const FamilyInfo& info, Sink& sink) {
    if (table.columns() < 3) return;
    tell(sink, info);
    double count = 0;
    double sum = 0;
    double bound_before = 0;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      count += base::parse_float(base::trim(table.text(row, 1))).value_or(0);
      sum += base::parse_float(base::trim(table.text(row, 2))).value_or(0);
      // "TOO LONG" only counts in the last bucket.
      const double bound = base::parse_float(base::trim(table.text(row, 0))).value_or(0);
      if (!(bound > bound_before)) continue;
      bound_before = bound;
      sink.sample("_bucket", std::initializer_list<model::Label>{{"le", fmt::format("{:g}", bound)}}, count);
    }
    sink.sample("_bucket", std::initializer_list<model::Label>{{"le", "+Inf"}}, count);
    sink.sample("_sum", {}, sum);
    sink.sample("_count", {}, count);
  }
};

// information_schema.user_statistics and client_statistics (userstat = ON): a row each, all columns but the first
// count.
class StatisticsPart final : public Part {
 public:
  StatisticsPart(std::string_view sql, std::string_view prefix, std::string_view label)
      : sql_(sql), prefix_(prefix), label_name_(label) {}

  base::Status collect(const Pass& pass) override {
    if (!has(pass.server(), Needs::kUserStatistics)) return {};
    QD_ASSIGN(const Table* const table, pass.session.ask(sql_));
    columns_.resize(table->columns());
    repeats_.clear();
    for (std::size_t row = 0; row < table->rows(); ++row) {
      repeats_.add(std::hash<std::string_view>{}(table->text(row, 0)));
    }
    const auto& repeated = repeats_.find();
    for (std::size_t at = 1; at < table->columns(); ++at) {
      Column& column = columns_[at];
      if (column.called != table->name(at)) recognise(column, table->name(at));
      bool told = false;
      for (std::size_t row = 0; row < table->rows(); ++row) {
        const auto value = repeated[row] ? std::nullopt : base::parse_float(table->text(row, at));
        if (!value) continue;
        if (!std::exchange(told, true)) pass.sink.family(column.name, column.type, column.help);
        pass.sink.sample({{label_name_, label_(table->text(row, 0))}}, *value);
      }
    }
    return {};
  }

 private:
  struct Column {
    std::string called;
    std::string name;
    std::string help;
    model::MetricType type = model::MetricType::kUnknown;
  };

  // EMPTY_QUERIES is …_empty_queries_total, CPU_TIME is …_cpu_time_seconds_total, BUSY_TIME is …_busy_seconds_total.
  void recognise(Column& column, std::string_view called) const {
    column.called = called;
    std::string plain(prefix_);
    append_name(plain, called);
    std::string without_time = plain;
    if (plain.ends_with("_time")) without_time.resize(plain.size() - std::string_view("_time").size());
    for (const std::string& name :
         {plain, plain + "_total", plain + "_seconds_total", without_time + "_seconds_total"}) {
      for (const FamilyInfo& info : families()) {
        if (info.name != name) continue;
        column.name = name;
        column.help = info.help;
        column.type = info.type;
        return;
      }
    }
    column.name = plain;
    column.help = fmt::format("Unsupported metric from column {}", called);
    column.type = model::MetricType::kUnknown;
  }

  const std::string_view sql_;
  const std::string_view prefix_;
  const std::string_view label_name_;
  std::vector<Column> columns_;
  Repeats repeats_;
  LabelText label_;
};

}  // namespace

std::unique_ptr<Part> processlist_part(const Options&) {
  return std::make_unique<ProcesslistPart>();
}

std::unique_ptr<Part> response_time_part(const Options&) {
  return std::make_unique<ResponseTimePart>();
}

std::unique_ptr<Part> client_statistics_part(const Options&) {
  return std::make_unique<StatisticsPart>("SELECT * FROM information_schema.client_statistics",
                                          "mysql_info_schema_client_statistics_", "client");
}

std::unique_ptr<Part> user_statistics_part(const Options&) {
  return std::make_unique<StatisticsPart>("SELECT * FROM information_schema.user_statistics",
                                          "mysql_info_schema_user_statistics_", "user");
}

}  // namespace qd::observe::mysql
