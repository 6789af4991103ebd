// What every built-in collector is: a function from a deadline to samples in a sink.
//
// The same pass serves three sinks: the store, /exporters/<name>/metrics, and a drop-in port. A sink is told families
// in the order in which they come; all samples of a family stand together. Names and labels are only valid during the
// call.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/result.h"
#include "model/labels.h"
#include "model/metadata.h"

namespace qd::observe {

class Sink {
 public:
  virtual ~Sink() = default;
  // Begins a family. For counters the name is the full metric name ("node_cpu_seconds_total").
  virtual void family(std::string_view name, model::MetricType type, std::string_view help) = 0;
  // A sample of the family begun last. `suffix` is what its name has behind the family's: "_bucket", "_sum" or "_count"
  // of a histogram, else nothing. `labels` are the variable ones, in the collector's own fixed order, without name, job
  // and instance. NaN and infinities are values like any other.
  virtual void sample(std::string_view suffix, std::span<const model::Label> labels, double value) = 0;

  void sample(double value) { sample({}, std::span<const model::Label>{}, value); }
  void sample(std::span<const model::Label> labels, double value) { sample({}, labels, value); }
  void sample(std::initializer_list<model::Label> labels, double value) {
    sample({}, std::span<const model::Label>(labels.begin(), labels.size()), value);
  }
};

class Collector {
 public:
  virtual ~Collector() = default;
  // "node": the value of `job`, and the name in /exporters/<name>/metrics.
  virtual std::string_view name() const = 0;
  // One pass. Not called by two threads at once. `deadline_ns` is on the monotonic clock. An error means that nothing
  // useful came; a part that failed is a sample of the collector's own (node_scrape_collector_success 0).
  virtual base::Status collect(std::int64_t deadline_ns, Sink& sink) = 0;
  // After a pass that succeeded, on its thread: what kept it from telling all there is of its subject (the server is
  // down, refuses the password, hides a view), with the cure, for people; null when nothing did. Valid until the next
  // pass.
  virtual const base::Error* trouble() const { return nullptr; }
};

}  // namespace qd::observe
