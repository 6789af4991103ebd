#include "ship/remote_write/outlet.h"

#include <algorithm>
#include <utility>

#include "model/remote_write/write_request.h"
#include "ship/remote_write/settings.h"

namespace qd::ship::remote_write {

using base::ErrorCode;
using base::MutexLock;

base::Result<std::shared_ptr<Outlet>> Outlet::open(const Surroundings& surroundings, const std::filesystem::path& dir,
                                                   Destination destination, model::LabelSet external_labels,
                                                   bool sync_each, std::uint64_t seed) {
  const base::CounterLabels labels = {{"remote_name", destination.name}, {"url", shown_url(destination.url)}};
  const QueueOptions options{.bytes_max = destination.queue_bytes,
                             .sync_each = sync_each,
                             .setting = "queue_bytes of ship.remote_write " + destination.name,
                             .metrics = "quarterdeck_ship",
                             .metric_labels = {{"remote_name", destination.name}}};
  QD_ASSIGN(auto opened, Queue::open(surroundings.files, dir, options, surroundings.log, surroundings.registry));
  std::shared_ptr<Queue> queue = std::move(opened);
  Now now{.destination = std::make_shared<const Destination>(std::move(destination)),
          .external_labels = std::move(external_labels)};
  base::Registry& registry = surroundings.registry;
  const std::weak_ptr<Queue> weak = queue;
  const auto shown = [&](std::string_view name, std::string_view help, auto read) {
    registry.gauge_function(
        name, help,
        [weak, read] {
          const auto q = weak.lock();
          return q ? read(q->stats()) : 0.0;
        },
        labels);
  };
  shown("prometheus_remote_storage_samples_pending", "Samples, exemplars and histograms that wait to be sent.",
        [](const QueueStats& stats) { return static_cast<double>(stats.samples); });
  shown("quarterdeck_ship_queue_bytes", "Bytes on disk that wait to be sent.",
        [](const QueueStats& stats) { return static_cast<double>(stats.bytes); });
  shown("quarterdeck_ship_queue_oldest_seconds",
        "How long the first of what waits to be sent has waited; 0 when nothing waits.",
        [&clock = surroundings.scheduler.clock()](const QueueStats& stats) {
          const auto age_ms = clock.wall_ms() - stats.oldest_ms;
          return stats.oldest_ms == 0 || age_ms < 0 ? 0.0 : static_cast<double>(age_ms) / 1000;
        });
  return std::shared_ptr<Outlet>(new Outlet(surroundings, std::move(queue), std::move(now), seed, labels));
}

Outlet::Outlet(const Surroundings& surroundings, std::shared_ptr<Queue> queue, Now now, std::uint64_t seed,
               const base::CounterLabels& labels)
    : dropped_by_relabel_(dropped_counters(surroundings.registry, labels, "dropped_series")),
      shed_(dropped_counters(surroundings.registry, labels, "queue_full")),
      unwritten_(dropped_counters(surroundings.registry, labels, "queue_unwritable")),
      now_(std::move(now)),
      queue_(std::move(queue)),
      writer_(*queue_, surroundings.scheduler.clock(), surroundings.log,
              {.destination = destination()->name,
               .not_queued = "samples are stored here but not queued for a destination: it will never have them",
               .queued_again = "what is stored is queued for a destination again",
               .not_synced = "the queue of a destination cannot be brought to the disk",
               .synced_again = "the queue of a destination is on the disk again"}),
      sender_(surroundings.scheduler, surroundings.submit, *queue_, surroundings.post, surroundings.log,
              surroundings.registry,
              {.seed = seed,
               .destination = [this] { return destination(); },
               .families = surroundings.families,
               .labels = labels}) {}

Outlet::Now Outlet::now() const {
  MutexLock lock(mutex_);
  return now_;
}

std::shared_ptr<const Destination> Outlet::destination() const {
  MutexLock lock(mutex_);
  return now_.destination;
}

void Outlet::update(Destination destination, model::LabelSet external_labels) {
  auto next = std::make_shared<const Destination>(std::move(destination));
  MutexLock lock(mutex_);
  now_ = {.destination = std::move(next), .external_labels = std::move(external_labels)};
}

std::shared_ptr<const std::string> Outlet::labels_of(const model::LabelSet& labels) const {
  const Now at = now();
  model::LabelSet sent = labels;
  if (!at.external_labels.empty()) {
    model::LabelBuilder builder(labels);
    for (const model::Label& label : at.external_labels)
      if (builder.get(label.name).empty()) builder.set(label.name, label.value);
    sent = builder.build();
  }
  if (!at.destination->relabel.empty()) {
    model::LabelBuilder builder(sent);
    if (!at.destination->relabel.apply(builder)) return nullptr;
    sent = builder.build();
    if (sent.name().empty()) return nullptr;
  }
  return std::make_shared<const std::string>(model::remote_write::encode_labels(sent));
}

void Outlet::settle(const QueueWriter::Put& put, const Amounts& amounts, bool stored) {
  writer_.settle(put, stored);
  if (!stored) return;
  if (put.queued > 0) sender_.wake(put.queued);
  if (!put.failed) return;
  // Which kinds the queued part had is not known: it is counted as samples first.
  Amounts lost = amounts;
  std::uint64_t queued = put.queued;
  const auto take = [&](std::uint64_t& kind) {
    const auto n = std::min(kind, queued);
    kind -= n;
    queued -= n;
  };
  take(lost.samples);
  take(lost.histograms);
  take(lost.exemplars);
  (put.failed->code() == ErrorCode::kLimit ? shed_ : unwritten_).add(lost);
}

void Outlet::stop(std::int64_t grace_ms) {
  sender_.stop(grace_ms);
  maintain();
}

}  // namespace qd::ship::remote_write
