// OTLP's points as samples of Prometheus.
//
// - Gauges and sums are one sample each; a sum must be cumulative. A histogram becomes _bucket, _sum and _count, a
// summary
//   quantiles, _sum and _count, an exponential histogram a native one.
// - service.namespace/service.name of the resource is `job`, service.instance.id `instance`; its other attributes stand
// on
//   target_info, and those that are to be promoted on every series.
// - What counts from one export to the next (delta) is refused, or, where asked for, added up here.
// - Exemplars stand behind the sum, the bucket that their value falls into, or the native histogram; trace and span are
//   their labels trace_id and span_id.
//
// A point is taken as a whole or not at all.
//
// Source: the OpenTelemetry specification "Prometheus and OpenMetrics Compatibility"; Prometheus documentation, `otlp`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "model/labels.h"
#include "model/otlp/metrics.h"
#include "model/otlp/translate.h"
#include "serve/intake.h"

namespace qd::serve::otlp {

struct ConvertOptions {
  model::otlp::Translation translation = model::otlp::Translation::kUnderscoresWithSuffixes;
  std::vector<std::string> promote_resource_attributes;
  bool convert_delta = false;
  std::uint64_t now_ns = 0;  // by the clock of this host
};

// What was added up of each series, for senders that tell differences. Thread-safe. Bounded: past kSeriesMax, series
// that are new are refused until others have been silent for kForgetNs.
class DeltaSums {
 public:
  static constexpr std::size_t kSeriesMax = 1'000'000;
  static constexpr std::uint64_t kForgetNs = 60ULL * 60 * 1'000'000'000;
  static constexpr std::uint64_t kLookEveryNs = 60ULL * 1'000'000'000;

  struct Sum {
    double value = 0;
    std::uint64_t time_ns = 0;
    std::uint64_t added_ns = 0;  // by our clock
  };

  // One request's differences, from its first to the store's word: a sum goes on only by what is stored, so that a
  // request that is sent again counts once. One request has the turn at a time, others wait. Belongs to one thread.
  class Turn {
   public:
    // `sums` outlives it. Waits.
    explicit Turn(DeltaSums& sums);
    // What was not committed is as if it had never come.
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // The sum up to `time_ns`, or nothing when this point is no newer than what was added, or there is no room. Of what
    // is not added up for kForgetNs by our clock, `now_ns`, the sum is forgotten when there is need for room. `place`
    // says which sample it is, in rising order.
    std::optional<double> add(const model::LabelSet& labels, std::uint64_t time_ns, double difference,
                              std::uint64_t now_ns, std::size_t place);
    // Takes back what was added of the sample at `place` and those behind it.
    void drop_from(std::size_t place);
    // Stored, but for the samples at `refused`, in rising order.
    void commit(std::span<const std::size_t> refused);

   private:
    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    struct Added {
      std::string key;
      Sum sum;
      std::size_t place = 0;
      std::size_t before = kNone;  // the one before it of the same series, in this turn
    };

    DeltaSums& sums_;
    std::vector<Added> added_;
    std::unordered_map<std::string, std::size_t> newest_;  // by key: in added_
  };

 private:
  std::optional<Sum> find(const std::string& key);
  // Whether there is for one more beside `others` that are still to come.
  bool has_room(std::size_t others, std::uint64_t now_ns);

  base::Mutex mutex_;
  base::CondVar turned_;
  bool taken_ QD_GUARDED_BY(mutex_) = false;           // the turn
  std::uint64_t looked_ns_ QD_GUARDED_BY(mutex_) = 0;  // when room was looked for: all of them are looked at then
  std::unordered_map<std::string, Sum> sums_ QD_GUARDED_BY(mutex_);  // by LabelSet::bytes
};

// One thread, one request.
class Converter final : public model::otlp::MetricsSink {
 public:
  // `deltas` outlives it.
  Converter(const ConvertOptions& options, DeltaSums& deltas) : options_(options), deltas_(deltas) {}

  void resource(const model::otlp::Attributes& attributes) override;
  void metric(const model::otlp::Metric& metric) override;
  void resource_ends() override;

  const IntakeBatch& batch() const { return batch_; }
  // Once the store has taken the batch.
  void stored(const IntakeOutcome& outcome);
  std::uint64_t rejected_points() const { return rejected_; }
  const std::string& first_reason() const { return reason_; }
  std::uint64_t points() const { return points_; }

 private:
  using Point = model::otlp::Point;
  using Metric = model::otlp::Metric;

  void reject(std::uint64_t points, std::string_view metric, std::string_view why);
  // The point at hand, once, with what of it is in the batch already.
  void reject_point(std::string_view metric, std::string_view why);
  void reject_full(std::string_view metric);
  // The labels of a point without its name. False, having rejected the point, where they are none.
  bool begin_point(const Metric& metric, const Point& point);
  void add(const std::string& name, const Point& point, double value, std::string_view label = {},
           std::string_view label_value = {});
  void histogram(const std::string& name, const Metric& metric, const Point& point);
  void exponential(const std::string& name, const Metric& metric, const Point& point);
  void summary(const std::string& name, const Point& point);
  model::Exemplar exemplar(const model::otlp::Exemplar& exemplar, const Point& point) const;

  const ConvertOptions& options_;
  DeltaSums& deltas_;
  std::optional<DeltaSums::Turn> turn_;  // from the first difference on
  IntakeBatch batch_;
  // Of the resource.
  std::string job_;
  std::string instance_;
  std::vector<std::pair<std::string, std::string>> promoted_;
  model::LabelBuilder info_;
  bool has_info_ = false;
  std::uint64_t newest_ns_ = 0;
  // Of the point.
  model::LabelBuilder labels_;
  bool delta_ = false;
  bool point_rejected_ = false;
  std::size_t point_begins_ = 0;  // in the samples of the batch

  std::uint64_t points_ = 0;
  std::uint64_t rejected_ = 0;
  std::string reason_;
};

}  // namespace qd::serve::otlp
