// What the commands of `quarterdeck tsdb` share.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>

#include "cli/command.h"
#include "store/prometheus/exporter.h"

namespace qd::cli {

// Shows how far work is, to standard error: a bar on a terminal, else a line now and then. Nothing in the first second.
// While it lives, SIGINT and SIGTERM are held back, and make update() say stop: whoever works cleans up behind itself.
// One thread.
class WorkProgress {
 public:
  explicit WorkProgress(std::string what);
  ~WorkProgress();
  WorkProgress(const WorkProgress&) = delete;
  WorkProgress& operator=(const WorkProgress&) = delete;

  // False when a signal asks for an end.
  bool update(const store::prometheus::Progress& progress);
  store::prometheus::Tick tick() {
    return [this](const store::prometheus::Progress& progress) { return update(progress); };
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point next_;
  sigset_t held_{};
  sigset_t before_{};
};

// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number);

// The commands that look at a directory and change nothing.
void add_tsdb_inspection(CommandLine& tsdb);

}  // namespace qd::cli
