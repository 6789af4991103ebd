// The keys of an Alertmanager file's sections, as text that alertmanager_yaml.cpp reads. Private to this room.
//
//   "api_url:u fields:[slack_field"
//
// A name, a colon and what it takes: t text, f flag, i integer, n number, d duration, u URL, m a mapping of texts, l a
// list of texts, a anything; {x a mapping that is section x, [x a list of such.
//
// Source: Alertmanager documentation, "Configuration" (up to 0.28).
#pragma once

#include <string_view>

namespace qd::act::notify {

// Empty where there is no such section.
std::string_view fields_of(std::string_view section);

}  // namespace qd::act::notify
