// The sink that puts the passes of one collector into the store.
//
// It remembers the series of the last pass in their order: a pass over an unchanged machine finds each by comparing
// with the one that came in its place last time, and hashes only where something else comes. A series that the last
// pass had and this one has not gets a staleness marker. `up` says whether the collector worked, as it does for a
// scraped target.
//
// Not thread-safe. A pass is begin, then families and samples, then commit or abandon.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "observe/collector.h"
#include "store/metrics/appender.h"

namespace qd::observe {

class StoreSink final : public Sink {
 public:
  struct Pass {
    std::size_t samples = 0;   // of the collector, that are in the store now
    std::size_t rejected = 0;  // out of order, past a limit, or a second sample of a series
    std::optional<base::Error> why_rejected;
  };

  // `common` are the labels that every series gets: job, instance, external labels. A label of the collector's own with
  // such a name is kept as exported_<name>. `store` outlives the sink.
  StoreSink(store::metrics::Appendable& store, model::LabelSet common);

  // `time_ms` must be later than that of the last pass that was committed.
  void begin(model::TimestampMs time_ms);
  void family(std::string_view name, model::MetricType type, std::string_view help) override;
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override;

  // Puts what came into the store, with up 1. On an error nothing of the pass is in it.
  base::Result<Pass> commit();
  // The collector failed: nothing of what came is kept, all series end, and up is 0.
  base::Result<Pass> abandon();
  // The collector is gone: all series end, `up` too. Instead of begin; `time_ms` as there.
  base::Status end(model::TimestampMs time_ms);

 private:
  using Place = std::uint32_t;
  struct Series {
    std::string key;
    store::metrics::SeriesRef ref = 0;
    std::uint64_t pass = 0;  // the last one that had it
    Place position = 0;      // in the order of that pass
    bool stored = false;     // some commit had it
    bool in_order = false;   // it is in order_
  };

  bool is_at(Place place, std::string_view suffix, std::span<const model::Label> labels) const;
  std::optional<Place> find(std::string_view suffix, std::span<const model::Label> labels);
  std::optional<Place> add(std::string_view suffix, std::span<const model::Label> labels);
  base::Result<store::metrics::SeriesRef> create(std::string_view suffix, std::span<const model::Label> labels);
  void append(Place place, std::string_view suffix, std::span<const model::Label> labels, double value);
  void reject(base::ErrorCode code, std::string_view suffix, std::string_view why);
  base::Result<Pass> finish(bool up);
  void forget(Place place);

  store::metrics::Appendable& store_;
  const model::LabelSet common_;
  std::unique_ptr<store::metrics::Appender> appender_;
  model::TimestampMs time_ms_ = 0;
  std::uint64_t pass_ = 0;
  Pass result_;

  std::string family_;
  model::MetricType family_type_ = model::MetricType::kUnknown;
  std::string family_help_;
  bool family_told_ = false;  // its metadata is in the store

  std::deque<Series> series_;  // never moved: index_ views their keys
  std::vector<Place> free_;
  std::unordered_map<std::string_view, Place> index_;
  std::vector<Place> order_;       // of the last pass
  std::vector<Place> this_order_;  // of this one
  std::size_t expected_ = 0;       // position in order_ of what should come next
  std::string key_;
  model::LabelBuilder builder_;
};

}  // namespace qd::observe
