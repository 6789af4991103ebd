// InnoDB: information_schema.innodb_metrics and SHOW ENGINE INNODB STATUS.

#include <charconv>
#include <functional>
#include <string>

#include "base/strings.h"
#include "observe/mysql/families.h"
#include "observe/mysql/part.h"

namespace qd::observe::mysql {
namespace {

using connect::mysql::Table;

// mysqld_exporter leaves these names their capitals.
void append_as_it_is(std::string& name, std::string_view text) {
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += fits ? c : '_';
  }
}

class InnodbMetricsPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    // MariaDB 10.5 made STATUS 'enabled' into ENABLED 1.
    const Server& server = pass.server();
    const bool is_flag = server.is_mariadb && server.is_at_least(10, 5);
    QD_ASSIGN(const Table* const table,
              pass.session.ask(is_flag ? "SELECT name, subsystem, type, count, comment"
                                         " FROM information_schema.innodb_metrics WHERE enabled = 1"
                                       : "SELECT name, subsystem, type, count, comment"
                                         " FROM information_schema.innodb_metrics WHERE status = 'enabled'"));
    if (table->columns() < 5) return {};
    for (const Group& group : kGroups) tell_group(*table, group, pass.sink);
    tell_others(*table, pass.sink);
    return {};
  }

 private:
  enum ColumnAt { kName, kSubsystem, kType, kCount, kComment };
  struct Group {
    std::string_view subsystem;
    std::string_view begins_with;
    std::string_view family;
    std::string_view label;
  };
  static constexpr std::string_view kPages = "buffer_pool_pages_";
  static constexpr Group kGroups[] = {
      {"buffer_page_io", "buffer_page_read_", "mysql_info_schema_innodb_metrics_buffer_page_read_total", "type"},
      {"buffer_page_io", "buffer_page_written_", "mysql_info_schema_innodb_metrics_buffer_page_written_total", "type"},
      {"buffer", kPages, "mysql_info_schema_innodb_metrics_buffer_pool_pages", "state"},
  };

  void tell_group(const Table& table, const Group& group, Sink& sink) {
    const FamilyInfo* told = nullptr;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const std::string_view name = table.text(row, kName);
      if (table.text(row, kSubsystem) != group.subsystem || !name.starts_with(group.begins_with)) continue;
      const std::string_view kind = name.substr(group.begins_with.size());
      // The sum of the others, and what is a family of its own.
      if (group.subsystem == "buffer" && (kind == "total" || kind == "dirty")) continue;
      const auto value = base::parse_float(table.text(row, kCount));
      if (!value) continue;
      if (told == nullptr) tell(sink, *(told = &family(group.family)));
      sink.sample({{group.label, label_(kind)}}, *value);
    }
  }

  void tell_others(const Table& table, Sink& sink) {
    repeats_.clear();
    for (std::size_t row = 0; row < table.rows(); ++row) {
      repeats_.add(std::hash<std::string_view>{}(table.text(row, kName)));
    }
    const auto& repeated = repeats_.find();
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const std::string_view name = table.text(row, kName);
      const std::string_view subsystem = table.text(row, kSubsystem);
      const auto value = base::parse_float(table.text(row, kCount));
      if (!value || repeated[row] || subsystem == "buffer_page_io") continue;
      if (subsystem == "buffer" && name.starts_with(kPages)) {
        if (name.substr(kPages.size()) != "dirty") continue;
        tell(sink, family("mysql_info_schema_innodb_metrics_buffer_pool_dirty_pages"));
        sink.sample(*value);
        continue;
      }
      name_ = "mysql_info_schema_innodb_metrics_";
      append_as_it_is(name_, subsystem);
      name_ += '_';
      append_as_it_is(name_, name);
      // Some counters of MySQL fall below zero (its bug 75966).
      const std::string_view type = table.text(row, kType);
      const bool is_counter = (type == "counter" || type == "status_counter") && *value >= 0;
      if (is_counter) name_ += "_total";
      const std::string_view comment = help_(table.text(row, kComment));
      sink.family(name_, is_counter ? model::MetricType::kCounter : model::MetricType::kGauge,
                  comment.empty() ? "A metric of information_schema.innodb_metrics." : comment);
      sink.sample(*value);
    }
  }

  std::string name_;
  Repeats repeats_;
  LabelText label_;
  LabelText help_;
};

// The number that ends where `text` does: 12 of "… 12".
std::optional<double> number_before(std::string_view text) {
  std::size_t from = text.size();
  while (from > 0 && text[from - 1] >= '0' && text[from - 1] <= '9') --from;
  return base::parse_float(text.substr(from));
}

class EngineInnodbStatusPart final : public Part {
 public:
  base::Status collect(const Pass& pass) override {
    QD_ASSIGN(const Table* const table, pass.session.ask("SHOW ENGINE INNODB STATUS"));
    const auto column = table->find("Status");
    if (!column || table->rows() == 0) return {};
    const std::string_view text = table->text(0, *column);
    // "0 queries inside InnoDB, 0 queries in queue" and "0 read views open inside InnoDB"
    for (const auto& [phrase, name] :
         {std::pair(" queries inside InnoDB, ", "mysql_engine_innodb_queries_inside_innodb"),
          {" queries in queue", "mysql_engine_innodb_queries_in_queue"},
          {" read views open inside InnoDB", "mysql_engine_innodb_read_views_open_inside_innodb"}}) {
      const std::size_t at = text.find(phrase);
      const auto value = at == std::string_view::npos ? std::nullopt : number_before(text.substr(0, at));
      if (!value) continue;
      tell(pass.sink, family(name));
      pass.sink.sample(*value);
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Part> innodb_metrics_part(const Options&) {
  return std::make_unique<InnodbMetricsPart>();
}

std::unique_ptr<Part> engine_innodb_status_part(const Options&) {
  return std::make_unique<EngineInnodbStatusPart>();
}

}  // namespace qd::observe::mysql
