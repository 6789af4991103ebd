// pg_settings as families: a setting in its base unit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "observe/postgres/table.h"

namespace qd::observe::postgres {

// Columns: name, setting, unit, vartype.
inline constexpr std::string_view kSettingsSql =
    "SELECT name, setting, coalesce(unit, ''), vartype FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real') "
    "ORDER BY name";

class Settings {
 public:
  void tell(const Table& table, Sink& sink);

 private:
  struct Setting {
    std::string key;   // name and unit
    std::string name;  // of the family
    std::string help;
    double factor = 1;
    double divisor = 1;
  };
  const Setting& setting(std::size_t row, std::string_view name, std::string_view unit);

  // In the order of the rows, which stays from pass to pass.
  std::vector<Setting> settings_;
};

}  // namespace qd::observe::postgres
