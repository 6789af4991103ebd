// Texts of a YAML file from the bytes that stand in it, where libfyaml 0.7.12 does not read them rightly: it leaks
// memory for single quotes in a row, and folded or empty blocks lose line breaks and gain zero bytes. Private to this
// room.
//
// Source: YAML 1.2.2, sections 7.3.2 and 8.1.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace qd::model::config {

// What stands between single quotes: line breaks fold, two quotes are one.
std::string unquote_single(std::string_view raw);

// The lines behind | or >. `header` is the line up to their first, from the end of the token before the indicator on;
// `outer_indent` is how deep the collection stands that the block is in, which matters when the header gives a number.
// Nothing when a line stands less deep than the first.
std::optional<std::string> read_block(std::string_view header, std::string_view raw, bool is_folded,
                                      std::size_t outer_indent);

}  // namespace qd::model::config
