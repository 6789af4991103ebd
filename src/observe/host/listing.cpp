#include "observe/host/listing.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>

namespace qd::observe::host {
namespace {

// Calls `take(directory's descriptor, entry)` for each entry but the two dots. An errno, or 0.
template <typename Take>
int walk(const std::string& directory, Take take) {
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return errno;
  std::size_t taken = 0;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (++taken > kListedMax) break;
    take(::dirfd(dir), *entry);
  }
  ::closedir(dir);
  return 0;
}

}  // namespace

std::expected<std::vector<std::string>, int> list_directory(const std::string& directory) {
  std::vector<std::string> names;
  const int error = walk(directory, [&](int, const dirent& entry) { names.emplace_back(entry.d_name); });
  if (error != 0) return std::unexpected(error);
  std::sort(names.begin(), names.end());
  return names;
}

void Listing::read() {
  found_.clear();
  error_ = walk(directory_, [&](int descriptor, const dirent& entry) {
    Entry& found = found_.add();
    found.name = entry.d_name;
    found.target.clear();
    if (entry.d_type != DT_LNK) return;
    std::array<char, 512> target;
    const auto size = ::readlinkat(descriptor, entry.d_name, target.data(), target.size());
    if (size > 0) found.target.assign(target.data(), static_cast<std::size_t>(size));
  });
}

bool Listing::changed(const Pass& pass, bool now) {
  const bool first = next_ == 0;
  if (!first && !now && pass.number < next_) return false;
  // Not all listings in the same pass.
  next_ = pass.number + kRarelyPasses - (first ? std::hash<std::string>()(directory_) % kRarelyPasses : 0);
  const int error_before = error_;
  read();
  const bool same = error_ == error_before && std::equal(found_.begin(), found_.end(), known_.begin(), known_.end());
  if (same && !first && (pass.number < forget_ || known_.empty())) return false;
  forget_ = pass.number + kForgetPasses;
  known_.assign(found_.begin(), found_.end());
  names_.clear();
  for (const Entry& entry : known_) names_.push_back(entry.name);
  std::sort(names_.begin(), names_.end());
  return true;
}

std::expected<std::string_view, int> RareFile::read(const Pass& pass) {
  if (pass.number < next_) return std::unexpected(ENOENT);
  const auto text = file_.read();
  if (!text && text.error() == ENOENT) next_ = pass.number + kRarelyPasses;
  return text;
}

}  // namespace qd::observe::host
