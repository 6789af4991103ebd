#include "ship/remote_write/sender_counters.h"

#include <fmt/format.h>

#include <string_view>

namespace qd::ship::remote_write {

namespace {

constexpr std::string_view kPrefix = "prometheus_remote_storage_";

base::Counter& counter(base::Registry& registry, std::string_view name, std::string_view help,
                       const base::CounterLabels& labels) {
  return registry.counter(fmt::format("{}{}", kPrefix, name), help, labels);
}

base::Gauge& gauge(base::Registry& registry, std::string_view name, std::string_view help,
                   const base::CounterLabels& labels) {
  return registry.gauge(fmt::format("{}{}", kPrefix, name), help, labels);
}

KindCounters kinds(base::Registry& registry, std::string_view suffix, std::string_view what,
                   const base::CounterLabels& labels) {
  const auto one = [&](std::string_view kind) -> base::Counter& {
    return counter(registry, fmt::format("{}{}", kind, suffix), fmt::format("Total number of {} {}", kind, what),
                   labels);
  };
  return {.samples = one("samples"), .exemplars = one("exemplars"), .histograms = one("histograms")};
}

}  // namespace

SenderCounters::SenderCounters(base::Registry& registry, const base::CounterLabels& labels)
    : sent(kinds(registry, "_total", "sent to remote storage.", labels)),
      failed(
          kinds(registry, "_failed_total", "which failed on send to remote storage, non-recoverable errors.", labels)),
      retried(kinds(registry, "_retried_total",
                    "which failed on send to remote storage but were retried because the send error was recoverable.",
                    labels)),
      damaged(dropped_counters(registry, labels, "damaged").samples),
      bytes(counter(registry, "bytes_total",
                    "The total number of bytes of data (not metadata) sent by the queue after compression.", labels)),
      metadata(counter(registry, "metadata_total", "Total number of metadata entries sent to remote storage.", labels)),
      metadata_failed(counter(registry, "metadata_failed_total",
                              "Total number of metadata entries which failed on send to remote storage.", labels)),
      metadata_bytes(counter(registry, "metadata_bytes_total",
                             "The total number of bytes of metadata sent by the queue after compression.", labels)),
      seconds(registry.histogram(fmt::format("{}sent_batch_duration_seconds", kPrefix),
                                 "Duration of send calls to the remote storage.", labels)),
      highest_sent_s(gauge(registry, "queue_highest_sent_timestamp_seconds",
                           "Timestamp of the newest sample that the receiver has taken, in seconds.", labels)),
      shards(
          gauge(registry, "shards", "The number of shards used for parallel sending to the remote storage.", labels)),
      shards_min(
          gauge(registry, "shards_min", "The minimum number of shards that the queue is allowed to run.", labels)),
      shards_max(
          gauge(registry, "shards_max", "The maximum number of shards that the queue is allowed to run.", labels)),
      shards_desired(gauge(registry, "shards_desired",
                           "The number of shards that the queues shard calculation wants to run based on the rate of "
                           "samples in vs. samples out.",
                           labels)),
      samples_per_send_max(gauge(registry, "max_samples_per_send",
                                 "The maximum number of samples to be sent, in a single request, to the remote "
                                 "storage.",
                                 labels)) {}

KindCounters dropped_counters(base::Registry& registry, base::CounterLabels labels, std::string_view reason) {
  labels.emplace_back("reason", std::string(reason));
  return kinds(registry, "_dropped_total",
               "which were stored here and will never be sent to the remote storage, by reason.", labels);
}

}  // namespace qd::ship::remote_write
