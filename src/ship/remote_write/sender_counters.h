// What a destination tells about itself: prometheus_remote_storage_*, with the names and meanings of Prometheus.
#pragma once

#include <cstdint>

#include "base/counters.h"
#include "ship/remote_write/bundle.h"

namespace qd::ship::remote_write {

// One counter for each kind of what is sent.
struct KindCounters {
  base::Counter& samples;
  base::Counter& exemplars;
  base::Counter& histograms;

  void add(const Amounts& amounts) const {
    samples.add(amounts.samples);
    exemplars.add(amounts.exemplars);
    histograms.add(amounts.histograms);
  }
};

struct SenderCounters {
  SenderCounters(base::Registry& registry, const base::CounterLabels& labels);

  KindCounters sent;
  KindCounters failed;
  KindCounters retried;
  base::Counter& damaged;
  base::Counter& bytes;
  base::Counter& metadata;
  base::Counter& metadata_failed;
  base::Counter& metadata_bytes;
  base::Histogram& seconds;
  base::Gauge& highest_sent_s;
  base::Gauge& shards;
  base::Gauge& shards_min;
  base::Gauge& shards_max;
  base::Gauge& shards_desired;
  base::Gauge& samples_per_send_max;
};

// prometheus_remote_storage_samples_dropped_total and its like, by reason.
KindCounters dropped_counters(base::Registry& registry, base::CounterLabels labels, std::string_view reason);

}  // namespace qd::ship::remote_write
