// An answer of the server, kept in one piece of memory that is used again from statement to statement, and its columns
// as samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connect/postgres/connection.h"
#include "observe/collector.h"
#include "observe/postgres/statements.h"

namespace qd::observe::postgres {

// A label value beyond this is cut: statements have long texts.
inline constexpr std::size_t kLabelBytesMax = 4096;

class Table {
 public:
  void clear();
  // Rows of another width than the first are left out. Texts become valid UTF-8.
  void add(const connect::postgres::Row& row);

  std::size_t rows() const { return width_ == 0 ? 0 : cells_.size() / width_; }
  std::size_t columns() const { return width_; }
  std::string_view name(std::size_t column) const { return names_[column]; }
  std::uint32_t type(std::size_t column) const { return types_[column]; }
  // Nothing for NULL.
  std::optional<std::string_view> text(std::size_t row, std::size_t column) const;
  // Nothing for NULL and for what is no number.
  std::optional<double> number(std::size_t row, std::size_t column) const;

 private:
  struct Cell {
    std::uint32_t at = 0;
    std::int32_t size = -1;  // -1: NULL
  };
  std::size_t width_ = 0;
  std::vector<std::string> names_;
  std::vector<std::uint32_t> types_;
  std::vector<Cell> cells_;
  std::string bytes_;
};

// Tells a statement's families, those only that have samples. `server` is the value of the label of that name, for
// families that have it. With `old_names`, families are told under their older names too.
class Teller {
 public:
  Teller(std::string server, bool old_names) : server_(std::move(server)), old_names_(old_names) {}
  void tell(const Statement& statement, const Table& table, Sink& sink);

 private:
  void tell_column(const Statement& statement, std::string_view family_name, std::size_t column, Null null,
                   const Table& table, Sink& sink);
  void tell_histogram(const Statement& statement, const Table& table, Sink& sink);
  // Fills labels_ with the names of the family.
  void name_labels(std::string_view names);
  void fill_labels(std::size_t count, std::size_t row, const Table& table);

  std::string server_;
  bool old_names_;
  std::vector<model::Label> labels_;
};

}  // namespace qd::observe::postgres
