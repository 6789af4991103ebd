// The rows of an answer, as text.
//
// The cells lie behind each other in one piece of memory that is kept when the table is filled anew. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qd::connect::mysql {

class Table {
 public:
  std::size_t columns() const { return names_used_; }
  std::size_t rows() const { return names_used_ == 0 ? 0 : cells_.size() / names_used_; }
  std::string_view name(std::size_t column) const { return names_[column]; }
  // The column of that name in any case, as MySQL and MariaDB differ in theirs.
  std::optional<std::size_t> find(std::string_view column) const;
  // Nothing for NULL. Valid until the table is changed.
  std::optional<std::string_view> cell(std::size_t row, std::size_t column) const {
    const Cell& at = cells_[row * names_used_ + column];
    if (at.size == kNull) return std::nullopt;
    return std::string_view(text_).substr(at.offset, at.size);
  }
  // NULL is "".
  std::string_view text(std::size_t row, std::size_t column) const { return cell(row, column).value_or(""); }

  // To fill it: first the columns, then every row cell by cell.
  void clear();
  void add_column(std::string_view name);
  void add_cell(std::string_view text);
  void add_null() { cells_.push_back({0, kNull}); }
  std::size_t bytes() const { return text_.size(); }

 private:
  static constexpr std::uint32_t kNull = UINT32_MAX;
  struct Cell {
    std::uint32_t offset;
    std::uint32_t size;
  };

  std::vector<std::string> names_;
  std::size_t names_used_ = 0;
  std::vector<Cell> cells_;
  std::string text_;
};

}  // namespace qd::connect::mysql
