#include "cli/file_watch.h"

#include <utility>

#include "observe/sd/file_watch.h"

namespace qd::cli {

std::vector<std::string> watched_files(const Settings& settings, const Invocation& invocation) {
  std::vector<std::string> patterns = settings.prometheus.files;
  for (const auto* list : {&settings.prometheus.rule_files, &settings.rules.files})
    patterns.insert(patterns.end(), list->begin(), list->end());
  if (!settings.observers.blackbox.modules_file.empty()) patterns.push_back(settings.observers.blackbox.modules_file);
  if (!invocation.config_file.empty()) patterns.push_back(invocation.config_file);
  return patterns;
}

void FileWatch::loaded(std::vector<std::string> patterns) {
  const std::uint64_t now = observe::sd::fingerprint(patterns);
  base::MutexLock lock(mutex_);
  patterns_ = std::move(patterns);
  loaded_ = last_ = now;
}

void FileWatch::watch(std::vector<std::string> patterns) {
  {
    base::MutexLock lock(mutex_);
    if (patterns == patterns_) return;
  }
  loaded(std::move(patterns));
}

bool FileWatch::changed() {
  base::MutexLock lock(mutex_);
  const std::uint64_t now = observe::sd::fingerprint(patterns_);
  const std::uint64_t before = std::exchange(last_, now);
  return now != loaded_ && now == before;
}

}  // namespace qd::cli
