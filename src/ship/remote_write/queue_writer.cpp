#include "ship/remote_write/queue_writer.h"

#include <utility>

namespace qd::ship::remote_write {

QueueWriter::Put QueueWriter::put(std::span<const LabelledSample> samples) {
  Put put;
  const auto now_ms = clock_.wall_ms();
  const auto done = pack_samples(samples, [&](std::uint32_t count, std::string_view request) -> base::Status {
    QD_ASSIGN(const Queue::Held held, queue_.hold(now_ms, count, request));
    put.held.push_back(held);
    put.queued += count;
    return {};
  });
  if (!done) put.failed = done.error();
  return put;
}

void QueueWriter::settle(const Put& put, bool stored) {
  for (const Queue::Held& held : put.held) queue_.settle(held, stored);
  if (!stored || (put.held.empty() && !put.failed)) return;
  const bool failed_before = queueing_fails_.exchange(put.failed.has_value());
  if (put.failed && !failed_before)
    log_.error(words_.not_queued, {{"destination", words_.destination}, {"error", *put.failed}});
  if (!put.failed && failed_before) log_.info(words_.queued_again, {{"destination", words_.destination}});
}

void QueueWriter::sync() {
  base::MutexLock lock(sync_mutex_);
  const auto synced = queue_.sync();
  const bool failed_before = std::exchange(sync_fails_, !synced.has_value());
  if (!synced && !failed_before)
    log_.error(words_.not_synced, {{"destination", words_.destination}, {"error", synced.error()}});
  if (synced && failed_before) log_.info(words_.synced_again, {{"destination", words_.destination}});
}

}  // namespace qd::ship::remote_write
