// When the files that the settings came from change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "cli/settings.h"

namespace qd::cli {

// quarterdeck.yaml, the Prometheus file and what it names, rule files, modules of probes; patterns among them.
std::vector<std::string> watched_files(const Settings& settings, const Invocation& invocation);

// Thread-safe.
class FileWatch {
 public:
  // They are read now: what changes from here on is new.
  void loaded(std::vector<std::string> patterns) QD_EXCLUDES(mutex_);
  // What is read names other files than before; those are as they were read.
  void watch(std::vector<std::string> patterns) QD_EXCLUDES(mutex_);
  // Whether they are other than those that were loaded, and were so at the last call too: a file that is being written
  // is left alone.
  bool changed() QD_EXCLUDES(mutex_);

 private:
  base::Mutex mutex_;
  std::vector<std::string> patterns_ QD_GUARDED_BY(mutex_);
  std::uint64_t loaded_ QD_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_ QD_GUARDED_BY(mutex_) = 0;
};

}  // namespace qd::cli
