// Tells a receiver of remote write 1.0 what metric families are: on the side, and only where samples get through.
//
// Thread-safe. Reads and packs on a pool by `submit`. What is given outlives it, or its stop(); held by a shared_ptr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "ship/remote_write/answers.h"

namespace qd::ship::remote_write {

class MetadataTeller : public std::enable_shared_from_this<MetadataTeller> {
 public:
  struct Options {
    std::function<Families()> families;  // none is told when empty
    Post post;
    // After each answer: whether it was taken, how many families it held or so, and its packed bytes.
    std::function<void(bool taken, std::size_t families, std::size_t bytes)> told;
  };
  using Submit = std::function<base::Status(std::function<void()>)>;

  MetadataTeller(base::Scheduler& scheduler, Submit submit, Options options)
      : scheduler_(scheduler), submit_(std::move(submit)), options_(std::move(options)) {}

  // Begins, where it began so long ago last. A failure costs no more than an interval: it is told again then.
  void tell(std::int64_t interval_ms) QD_EXCLUDES(mutex_);
  // Nothing that was given is called once this has returned.
  void stop() QD_EXCLUDES(mutex_);

 private:
  using Requests = std::shared_ptr<std::vector<std::string>>;

  bool enter() QD_EXCLUDES(mutex_);
  void leave() QD_EXCLUDES(mutex_);
  void make() QD_EXCLUDES(mutex_);
  void send(const Requests& requests, std::size_t i, std::size_t families_each) QD_EXCLUDES(mutex_);

  base::Scheduler& scheduler_;
  const Submit submit_;
  const Options options_;
  base::Mutex mutex_;
  base::CondVar left_;
  bool over_ QD_GUARDED_BY(mutex_) = false;
  bool telling_ QD_GUARDED_BY(mutex_) = false;
  int calls_ QD_GUARDED_BY(mutex_) = 0;  // out of here or on the pool, that have not come back
  std::optional<std::int64_t> told_ns_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::ship::remote_write
