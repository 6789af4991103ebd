// Configuration files of Alertmanager.
//
// Besides not failing on any bytes: a file that is refused says why, in a bounded number of faults, and one that is
// accepted has somewhere to send its alerts to.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "act/notify/alertmanager_yaml.h"
#include "base/assert.h"
#include "input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::act::notify;
  const std::string_view text = qd::fuzz::Input(data, size).text();
  const auto node = qd::model::config::parse_yaml(text, "alertmanager.yml");
  // Aliases repeat: a small text may be a large tree.
  if (!node || node->weight() > 2000) return 0;
  const auto checked = check_alertmanager_yaml(*node, "/nowhere/alertmanager.yml");
  if (!checked) {
    const auto& message = checked.error().message();
    QD_ASSERT(!message.empty());
    QD_ASSERT(message.size() < (std::size_t{1} << 20), "faults without end");
    return 0;
  }
  QD_ASSERT(checked->routes > 0 && checked->receivers > 0);
  for (const auto& pattern : checked->templates) QD_ASSERT(!pattern.empty());
  return 0;
}
