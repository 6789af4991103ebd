// What a collector can tell, as its documentation and its tests know it.
#pragma once

#include <string_view>

#include "model/metadata.h"

namespace qd::observe {

// A family that stands in a collector's table; the texts live as long as the program. A name with `*` stands for all
// families of that form, such as pg_settings_*.
struct FamilyInfo {
  std::string_view name;
  model::MetricType type;
  std::string_view help;
  std::string_view labels;  // names, separated by commas
};

// A metric of the exporter that a collector replaces, which it does not give.
struct LeftOut {
  std::string_view name;
  std::string_view reason;
};

}  // namespace qd::observe
