// A text as JSON has it (RFC 8259, section 7). Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace qd::base {

// Appends `text` in quotes, escaped. Each byte of what is not UTF-8 as a whole becomes U+FFFD.
void append_json_text(std::string& out, std::string_view text);
std::string json_text(std::string_view text);

}  // namespace qd::base
