#include "ship/remote_write/forwarder.h"

#include <utility>

namespace qd::ship::remote_write {

using base::ErrorCode;

namespace {

// How long labels of series without samples are remembered, once to twice.
constexpr std::int64_t kForgetEveryNs = 60LL * 60 * 1'000'000'000;

base::Counter& dropped(base::Registry& registry, std::string reason) {
  return registry.counter("quarterdeck_forward_samples_dropped_total",
                          "Samples that were stored here and will never be at the receiver.",
                          {{"reason", std::move(reason)}});
}

}  // namespace

base::Result<std::unique_ptr<Forwarder>> Forwarder::open(Surroundings surroundings, const std::filesystem::path& dir,
                                                         const QueueOptions& options, const Origin& origin,
                                                         std::uint64_t seed) {
  QD_ASSIGN(auto queue, Queue::open(surroundings.files, dir, options, surroundings.log, surroundings.registry));
  return std::unique_ptr<Forwarder>(new Forwarder(std::move(surroundings), std::move(queue), origin, seed));
}

Forwarder::Forwarder(Surroundings surroundings, std::unique_ptr<Queue> queue, const Origin& origin, std::uint64_t seed)
    : clock_(surroundings.scheduler.clock()),
      log_(surroundings.log),
      shed_(dropped(surroundings.registry, "queue_full")),
      unwritten_(dropped(surroundings.registry, "queue_unwritable")),
      queue_(std::move(queue)),
      sender_(surroundings.scheduler, std::move(surroundings.submit), *queue_, std::move(surroundings.post),
              surroundings.log, surroundings.registry,
              Sender::Options{.seed = seed, .families = std::move(surroundings.families)}),
      observed_(
          surroundings.store, [this](auto samples) { queue_samples(samples); }, origin, Source::kObserved),
      received_(
          surroundings.store, [this](auto samples) { queue_samples(samples); }, origin, Source::kReceived),
      forgotten_ns_(clock_.monotonic_ns()) {
  base::Registry& registry = surroundings.registry;
  registry.gauge_function("quarterdeck_forward_queue_bytes", "Bytes on disk that wait to be sent.",
                          [q = queue_] { return static_cast<double>(q->stats().bytes); });
  registry.gauge_function("quarterdeck_forward_queue_samples", "Samples that wait to be sent.",
                          [q = queue_] { return static_cast<double>(q->stats().samples); });
  registry.gauge_function("quarterdeck_forward_queue_oldest_seconds",
                          "How long the first of what waits to be sent has waited; 0 when nothing waits.",
                          [q = queue_, &clock = clock_] {
                            const auto oldest_ms = q->stats().oldest_ms;
                            const auto age_ms = clock.wall_ms() - oldest_ms;
                            return oldest_ms == 0 || age_ms < 0 ? 0.0 : static_cast<double>(age_ms) / 1000;
                          });
}

void Forwarder::queue_samples(std::span<const LabelledSample> samples) {
  std::size_t queued = 0;
  const auto now_ms = clock_.wall_ms();
  const auto done = pack_samples(samples, [&](std::uint32_t count, std::string_view request) -> base::Status {
    QD_TRY(queue_->append(now_ms, count, request));
    queued += count;
    return {};
  });
  if (queued > 0) sender_.wake();
  const bool failed_before = queueing_fails_.exchange(!done);
  if (done) {
    if (failed_before) log_.info("what is observed is queued for forwarding again");
    return;
  }
  (done.error().code() == ErrorCode::kLimit ? shed_ : unwritten_).add(samples.size() - queued);
  if (!failed_before)
    log_.error("samples are stored here but not queued for forwarding: the receiver will never have them",
               {{"error", done.error()}});
}

void Forwarder::maintain() {
  base::MutexLock lock(maintain_mutex_);
  const auto synced = queue_->sync();
  const bool failed_before = std::exchange(sync_fails_, !synced.has_value());
  if (!synced && !failed_before)
    log_.error("the queue of what is to be forwarded cannot be brought to the disk", {{"error", synced.error()}});
  if (synced && failed_before) log_.info("the queue of what is to be forwarded is on the disk again");
  if (clock_.monotonic_ns() - forgotten_ns_ < kForgetEveryNs) return;
  forgotten_ns_ = clock_.monotonic_ns();
  observed_.forget_unused();
  received_.forget_unused();
}

void Forwarder::stop(std::int64_t grace_ms) {
  sender_.stop(grace_ms);
  maintain();
}

}  // namespace qd::ship::remote_write
