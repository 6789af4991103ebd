#include "ship/remote_write/metadata_teller.h"

#include <utility>

namespace qd::ship::remote_write {

using base::MutexLock;

void MetadataTeller::tell(std::int64_t interval_ms) {
  const std::int64_t now_ns = scheduler_.clock().monotonic_ns();
  MutexLock lock(mutex_);
  if (!options_.families || telling_ || over_) return;
  if (told_ns_ && now_ns - *told_ns_ < interval_ms * 1'000'000) return;
  told_ns_ = now_ns;
  telling_ = true;
  scheduler_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->make();
  });
}

void MetadataTeller::stop() {
  MutexLock lock(mutex_);
  over_ = true;
  while (calls_ > 0) left_.wait(mutex_);
}

bool MetadataTeller::enter() {
  MutexLock lock(mutex_);
  if (!over_) ++calls_;
  return !over_;
}

void MetadataTeller::leave() {
  MutexLock lock(mutex_);
  --calls_;
  left_.notify_all();
}

void MetadataTeller::make() {
  if (!enter()) return;
  const auto queued = submit_([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || !self->enter()) return;
    const Families all = self->options_.families();
    const auto requests = std::make_shared<std::vector<std::string>>(metadata_requests(all));
    self->send(requests, 0, requests->empty() ? 0 : all.size() / requests->size());
    self->leave();
  });
  if (!queued) {
    MutexLock lock(mutex_);
    telling_ = false;
  }
  leave();
}

void MetadataTeller::send(const Requests& requests, std::size_t i, std::size_t families_each) {
  {
    MutexLock lock(mutex_);
    if (over_ || i >= requests->size()) {
      telling_ = false;
      return;
    }
    ++calls_;
  }
  const std::size_t bytes = (*requests)[i].size();
  options_.post(std::move((*requests)[i]),
                [weak = weak_from_this(), requests, i, families_each, bytes](const base::Result<Answer>& answer) {
                  const auto self = weak.lock();
                  if (!self || !self->enter()) return;
                  const bool taken = answer && verdict_of(answer->status) == Verdict::kTaken;
                  self->options_.told(taken, families_each, bytes);
                  self->send(requests, taken ? i + 1 : requests->size(), families_each);
                  self->leave();
                });
  leave();
}

}  // namespace qd::ship::remote_write
