#include "ship/remote_write/forwarder.h"

#include <utility>

namespace qd::ship::remote_write {

using base::ErrorCode;

namespace {

// How long labels of series without samples are remembered, once to twice.
constexpr std::int64_t kSeriesForgottenNs = 60LL * 60 * 1'000'000'000;

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
      shed_(dropped(surroundings.registry, "queue_full")),
      unwritten_(dropped(surroundings.registry, "queue_unwritable")),
      queue_(std::move(queue)),
      writer_(*queue_, clock_, surroundings.log,
              {.destination = "forward.url",
               .not_queued = "samples are stored here but not queued for forwarding: the receiver will never have them",
               .queued_again = "what is observed is queued for forwarding again",
               .not_synced = "the queue of what is to be forwarded cannot be brought to the disk",
               .synced_again = "the queue of what is to be forwarded is on the disk again"}),
      sender_(surroundings.scheduler, std::move(surroundings.submit), *queue_, std::move(surroundings.post),
              surroundings.log, surroundings.registry,
              Sender::Options{.seed = seed, .families = std::move(surroundings.families)}),
      observed_(
          surroundings.store, [this](auto samples, const auto& store) { return queue_and_store(samples, store); },
          origin, Source::kObserved),
      received_(
          surroundings.store, [this](auto samples, const auto& store) { return queue_and_store(samples, store); },
          origin, Source::kReceived),
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

base::Status Forwarder::queue_and_store(std::span<const LabelledSample> samples,
                                        const std::function<base::Status()>& store) {
  const QueueWriter::Put put = writer_.put(samples);
  base::Status stored = store();
  writer_.settle(put, stored.has_value());
  if (!stored) return stored;
  if (put.queued > 0) sender_.wake();
  if (put.failed) (put.failed->code() == ErrorCode::kLimit ? shed_ : unwritten_).add(samples.size() - put.queued);
  return {};
}

void Forwarder::maintain() {
  writer_.sync();
  base::MutexLock lock(maintain_mutex_);
  if (clock_.monotonic_ns() - forgotten_ns_ < kSeriesForgottenNs) return;
  forgotten_ns_ = clock_.monotonic_ns();
  observed_.forget_unused();
  received_.forget_unused();
}

void Forwarder::stop(std::int64_t grace_ms) {
  sender_.stop(grace_ms);
  maintain();
}

}  // namespace qd::ship::remote_write
