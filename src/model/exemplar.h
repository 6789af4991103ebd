// An exemplar: one observation behind a sample, with labels of its own that say where to look further (a trace's id).
#pragma once

#include <cstddef>

#include "model/labels.h"
#include "model/sample.h"

namespace qd::model {

// UTF-8 characters of all names and values together (OpenMetrics 1.0, "Exemplars").
inline constexpr std::size_t kExemplarLabelCharactersMax = 128;

struct Exemplar {
  LabelSet labels;
  double value = 0;
  TimestampMs time_ms = 0;
  // Whether it came with a time. Else time_ms is when it was seen: told again, it is the same one.
  bool has_time = true;
};

}  // namespace qd::model
