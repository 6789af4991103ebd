// Times and durations in templates, with the methods that Go's time.Time and time.Duration have there. Internal to this
// room; times are in UTC.
//
// Source: https://pkg.go.dev/time (layouts and the texts of durations; this is an implementation of its own).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/template/value.h"

namespace qd::model::tmpl {

// By a layout such as "2006-01-02 15:04:05".
std::string format_go_time(Time time, std::string_view layout);
// "1h30m0s", "1.5s", "0s".
std::string format_go_duration(Duration duration);

// .Format, .Year, .Add and so on of a time, .Seconds, .Round and so on of a duration.
base::Result<Value> call_method(const Value& receiver, std::string_view name, std::span<const Value> arguments);

}  // namespace qd::model::tmpl
