#include "connect/mysql/table.h"

#include <strings.h>

namespace qd::connect::mysql {

std::optional<std::size_t> Table::find(std::string_view column) const {
  for (std::size_t at = 0; at < names_used_; ++at) {
    if (names_[at].size() == column.size() && ::strncasecmp(names_[at].data(), column.data(), column.size()) == 0) {
      return at;
    }
  }
  return std::nullopt;
}

void Table::clear() {
  names_used_ = 0;
  cells_.clear();
  text_.clear();
}

void Table::add_column(std::string_view name) {
  if (names_used_ == names_.size()) names_.emplace_back();
  names_[names_used_++].assign(name);
}

void Table::add_cell(std::string_view text) {
  cells_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())});
  text_ += text;
}

}  // namespace qd::connect::mysql
