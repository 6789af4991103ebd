// Parts whose answer is a table: some columns are labels, the others are samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connect/mysql/table.h"
#include "observe/family_info.h"
#include "observe/mysql/part.h"

namespace qd::observe::mysql {

// A column of the answer that is a sample of `family`. NULL, or a column that this server does not have, is none.
struct Measure {
  std::string_view family;
  std::string_view column;
  // The value of the family's last label, where a row has several samples of the family. Those stand together.
  std::string_view label = {};
  double divisor = 1;
};

inline constexpr double kPicoseconds = 1e12;

// What a server must have, lest there is nothing to ask for. kItsTable: the table itself, which few servers have.
enum class Needs : std::uint8_t { kNothing, kPerformanceSchema, kGroupReplication, kUserStatistics, kItsTable };

struct TableSpec {
  std::string_view name;
  bool by_default;
  Needs needs;
  std::string_view sql;
  // The first columns, which no two rows have alike. Columns behind them may be labels of some families too: the labels
  // of a family are the first columns in their order, without the label of Measure.
  std::size_t key_columns;
  std::span<const Measure> measures;
};

bool has(const Server& server, Needs needs);

class TablePart : public Part {
 public:
  explicit TablePart(const TableSpec& spec) : TablePart(spec, std::string(spec.sql)) {}
  TablePart(const TableSpec& spec, std::string sql);
  base::Status collect(const Pass& pass) override;

 protected:
  virtual std::string_view sql(const Server& server) const;
  void tell_rows(const connect::mysql::Table& table, Sink& sink);
  // Of the table told last: rows whose labels another row has already are left out.
  bool is_repeated(std::size_t row) const { return (*repeated_)[row]; }
  // Labels from the first columns of a row. Valid until the next call.
  std::vector<model::Label>& labels_of(const connect::mysql::Table& table, std::size_t row,
                                       std::span<const std::string_view> names);

 private:
  struct Column {
    const FamilyInfo* family;
    std::vector<std::string_view> label_names;  // of those that are columns
    std::string_view last_label;
    Measure measure;
  };

  const TableSpec& spec_;
  const std::string sql_;
  std::vector<Column> columns_;
  Repeats repeats_;
  const std::vector<bool>* repeated_ = nullptr;
  std::vector<LabelText> texts_;
  std::vector<model::Label> labels_;
};

// information_schema, mysql and sys; performance_schema.
std::span<const TableSpec> schema_tables();
std::span<const TableSpec> performance_tables();

// Splits the label names of a family.
std::vector<std::string_view> label_names(const FamilyInfo& info);

}  // namespace qd::observe::mysql
