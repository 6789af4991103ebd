// Matchers as Alertmanager writes them: severity="page", team=~"a|b", {a="b", c!="d"}, quotes left out where nothing
// asks for them. Private to this room. Pure functions, any thread.
//
// Source: Alertmanager documentation, "Matchers", classic and UTF-8 mode: what either takes is right.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/matcher.h"

namespace qd::act::notify {

// One; kInvalid with what is wrong in it.
base::Result<model::Matcher> matcher_of(std::string_view text);
// Several, with commas between them and braces round them or not.
base::Result<std::vector<model::Matcher>> matchers_of(std::string_view text);

}  // namespace qd::act::notify
