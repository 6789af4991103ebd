// The times of a time interval of Alertmanager: hours, weekdays, days, months, years, and where. Private to this room.
//
// Source: Alertmanager documentation, <time_interval_spec>.
#pragma once

#include <functional>
#include <string_view>

#include "model/config/node.h"

namespace qd::act::notify {

// Tells `fault` what in it can be no time; keys and kinds of values are known to be right.
void check_times(const model::config::Node& times,
                 const std::function<void(const model::config::Node&, std::string_view)>& fault);

}  // namespace qd::act::notify
