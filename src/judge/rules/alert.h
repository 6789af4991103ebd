// An alert as it is now. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/labels.h"
#include "model/sample.h"

namespace qd::judge::rules {

enum class AlertState { kInactive, kPending, kFiring };
std::string_view to_string(AlertState state);

struct Alert {
  AlertState state = AlertState::kPending;
  model::LabelSet labels;  // with alertname
  model::LabelSet annotations;
  double value = 0;
  model::TimestampMs active_at_ms = 0;
  model::TimestampMs fired_at_ms = 0;           // 0 while pending
  model::TimestampMs resolved_at_ms = 0;        // 0 unless kInactive
  model::TimestampMs keep_firing_since_ms = 0;  // 0 unless its condition has gone and keep_firing_for holds it
  model::TimestampMs evaluated_at_ms = 0;       // when its rule last judged it: a rule that fails judges nothing
  std::string expr;
};

}  // namespace qd::judge::rules
