#include "model/config/reload.h"

#include <utility>
#include <vector>

namespace qd::model::config {

base::Status reload(std::span<const Participant> participants) {
  std::vector<Participant::Commit> commits;
  std::string refusals;
  auto code = base::ErrorCode::kInvalid;
  for (const Participant& participant : participants) {
    auto commit = participant.prepare();
    if (commit) {
      commits.push_back(std::move(*commit));
      continue;
    }
    if (refusals.empty()) code = commit.error().code();
    refusals += (refusals.empty() ? "" : "\n") + participant.name + ": " + commit.error().message();
  }
  if (!refusals.empty())
    return base::fail(code, "the configuration was not reloaded, the old one stays in effect:\n" + refusals);
  for (const Participant::Commit& commit : commits)
    if (commit) commit();
  return {};
}

}  // namespace qd::model::config
