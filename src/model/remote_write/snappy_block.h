// Snappy's block format, in which remote write packs its bodies: one length, one block, no checksum.
//
// Pure functions, any thread. Source: Snappy compressed format description, google/snappy format_description.txt.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace qd::model::remote_write {

std::string pack(std::string_view bytes);
// What the block says that it unpacks to, by its first bytes alone; kInvalid when it cannot be one.
base::Result<std::size_t> unpacked_bytes(std::string_view block);
// kLimit when the block says that it unpacks to more than `bytes_max`, before any memory is taken; kInvalid when it is
// no Snappy block.
base::Result<std::string> unpack(std::string_view block, std::size_t bytes_max);

}  // namespace qd::model::remote_write
