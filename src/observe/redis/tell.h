// Small helps for telling families.
#pragma once

#include "observe/collector.h"
#include "observe/family_info.h"

namespace qd::observe::redis {

inline void begin(Sink& sink, const FamilyInfo& family) {
  sink.family(family.name, family.type, family.help);
}

inline void tell_one(Sink& sink, const FamilyInfo& family, double value) {
  begin(sink, family);
  sink.sample(value);
}

// A family with the sample that `tell` tells of each row that `has` one; not begun where none has.
template <typename Rows, typename Has, typename Tell>
void tell_rows(Sink& sink, const FamilyInfo& family, const Rows& rows, Has has, Tell tell) {
  bool begun = false;
  for (const auto& row : rows) {
    if (!has(row)) continue;
    if (!begun) begin(sink, family);
    begun = true;
    tell(row);
  }
}

}  // namespace qd::observe::redis
