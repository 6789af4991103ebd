#include "observe/sd/file_sd.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>

#include "base/counters.h"
#include "observe/sd/file_watch.h"
#include "observe/sd/groups_text.h"

namespace qd::observe::sd {

using base::ErrorCode;

namespace {

constexpr std::size_t kFileBytesMax = 64 << 20;

base::Result<TargetGroups> read_file(const std::string& name) {
  struct stat info{};
  // Opening a pipe would wait for whoever writes to it.
  if (::stat(name.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
    return base::fail(ErrorCode::kUnavailable, name + " is no file");
  if (static_cast<std::uint64_t>(info.st_size) > kFileBytesMax)
    return base::fail(ErrorCode::kLimit, name + " is longer than 64 MiB");
  std::ifstream in(name, std::ios::binary);
  std::string text;
  if (in) text.assign(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad())
    return base::fail(ErrorCode::kUnavailable, "reading " + name + " failed; is it there and readable?");
  std::string end = name.substr(name.rfind('.') + 1);
  std::ranges::transform(end, end.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return end == "json" ? read_json_groups(text, name, "__meta_filepath")
                       : read_yaml_groups(text, name, "__meta_filepath");
}

}  // namespace

FileDiscovery::FileDiscovery(const FileSdConfig& config, const Surroundings& surroundings)
    : config_(config),
      log_(surroundings.log),
      read_errors_(surroundings.registry.counter("prometheus_sd_file_read_errors_total",
                                                 "The number of File-SD read errors.")) {}

bool FileDiscovery::changed() const {
  return fingerprint(config_.files) != seen_;
}

base::Result<TargetGroups> FileDiscovery::look() {
  // Before the files are read: what changes meanwhile is seen at the next look.
  seen_ = fingerprint(config_.files);
  std::set<std::string> there;
  for (const std::string& pattern : config_.files) {
    for (const std::string& name : matching_files(pattern)) {
      if (!there.insert(name).second) continue;
      auto groups = read_file(name);
      if (groups) {
        known_[name] = std::move(*groups);
      } else {
        read_errors_.add();
        log_.warn("a file with targets was not read, those known from it stay",
                  {{"file", name}, {"error", groups.error()}});
      }
    }
  }
  std::erase_if(known_, [&](const auto& one) { return !there.contains(one.first); });
  TargetGroups all;
  for (const auto& [name, groups] : known_) all.insert(all.end(), groups.begin(), groups.end());
  return all;
}

}  // namespace qd::observe::sd
