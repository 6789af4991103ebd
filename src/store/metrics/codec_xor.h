// Doubles XORed with the one before (Gorilla: Pelkonen et al., VLDB 2015), for values that no integers fit.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/bytes.h"

namespace qd::store::metrics {

// Appends. REQUIRES: not empty.
void encode_xor(std::span<const double> values, std::string& out);
// Fills `out`; false when the bytes end before.
bool decode_xor(std::span<const std::byte> in, std::span<double> out);

}  // namespace qd::store::metrics
