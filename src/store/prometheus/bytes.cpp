#include "store/prometheus/bytes.h"

#include <fmt/format.h>

namespace qd::store::prometheus {

std::unexpected<base::Error> damage(const std::filesystem::path& path, std::uint64_t offset, std::string_view what) {
  return base::fail(base::ErrorCode::kCorrupt, fmt::format("{} at byte {}: {}", path.native(), offset, what));
}

}  // namespace qd::store::prometheus
