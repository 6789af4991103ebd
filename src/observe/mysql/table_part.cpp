#include "observe/mysql/table_part.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/strings.h"
#include "observe/mysql/families.h"

namespace qd::observe::mysql {

using connect::mysql::Table;

bool has(const Server& server, Needs needs) {
  switch (needs) {
    case Needs::kNothing:
    case Needs::kItsTable:
      return true;
    case Needs::kPerformanceSchema:
      return server.performance_schema;
    case Needs::kGroupReplication:
      return server.performance_schema && !server.is_mariadb;
    case Needs::kUserStatistics:
      return server.user_statistics;
  }
  return false;
}

std::vector<std::string_view> label_names(const FamilyInfo& info) {
  return info.labels.empty() ? std::vector<std::string_view>() : base::split(info.labels, ',');
}

TablePart::TablePart(const TableSpec& spec, std::string sql) : spec_(spec), sql_(std::move(sql)) {
  std::size_t texts = spec.key_columns;
  for (const Measure& measure : spec.measures) {
    const FamilyInfo& info = family(measure.family);
    Column column{&info, label_names(info), {}, measure};
    if (!measure.label.empty()) {
      column.last_label = column.label_names.back();
      column.label_names.pop_back();
    }
    QD_ASSERT(column.label_names.size() >= spec.key_columns, std::string(info.name));
    texts = std::max(texts, column.label_names.size());
    columns_.push_back(std::move(column));
  }
  texts_.resize(texts);
}

std::string_view TablePart::sql(const Server&) const {
  return sql_;
}

base::Status TablePart::collect(const Pass& pass) {
  if (!has(pass.server(), spec_.needs)) return {};
  const auto table = pass.session.ask(sql(pass.server()));
  if (table) {
    tell_rows(**table, pass.sink);
    return {};
  }
  if (spec_.needs == Needs::kItsTable && table.error().code() == base::ErrorCode::kNotFound) return {};
  return base::fail(table.error());
}

std::vector<model::Label>& TablePart::labels_of(const Table& table, std::size_t row,
                                                std::span<const std::string_view> names) {
  labels_.clear();
  for (std::size_t at = 0; at < names.size() && at < table.columns(); ++at) {
    labels_.push_back({names[at], texts_[at](table.text(row, at))});
  }
  return labels_;
}

void TablePart::tell_rows(const Table& table, Sink& sink) {
  repeats_.clear();
  if (table.columns() >= spec_.key_columns) {
    for (std::size_t row = 0; row < table.rows(); ++row) {
      std::uint64_t hash = 0;
      for (std::size_t at = 0; at < spec_.key_columns; ++at) {
        hash = hash * 0x9e3779b97f4a7c15ULL + std::hash<std::string_view>{}(table.text(row, at));
      }
      repeats_.add(spec_.key_columns == 0 ? row : hash);
    }
  }
  repeated_ = &repeats_.find();

  const FamilyInfo* told = nullptr;
  for (std::size_t first = 0; first < columns_.size();) {
    std::size_t end = first;
    while (end < columns_.size() && columns_[end].family == columns_[first].family) ++end;
    for (std::size_t row = 0; row < repeated_->size(); ++row) {
      if ((*repeated_)[row]) continue;
      for (std::size_t at = first; at < end; ++at) {
        const Column& column = columns_[at];
        const auto place = table.find(column.measure.column);
        const auto cell = place ? table.cell(row, *place) : std::nullopt;
        const auto value = cell ? base::parse_float(*cell) : std::nullopt;
        if (!value) continue;
        if (std::exchange(told, column.family) != column.family) tell(sink, *column.family);
        labels_of(table, row, column.label_names);
        if (!column.last_label.empty()) labels_.push_back({column.last_label, column.measure.label});
        sink.sample(labels_, *value / column.measure.divisor);
      }
    }
    first = end;
  }
}

}  // namespace qd::observe::mysql
