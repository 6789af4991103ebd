// When what an OpenMetrics page tells began to be counted: the `_created` samples of its counters, summaries and
// histograms. They stand behind the samples that they are about, so they are looked for before the page is read.
//
// Source: OpenMetrics 1.0.0, "Counter", "Histogram", "Summary". One thread at a time. Memory: 24 bytes or so a line.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>

#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::observe::scrape {

class CreatedTimes {
 public:
  // Finds them in a page; what is no line of OpenMetrics is passed over here.
  void read(std::string_view page);
  void clear();
  bool empty() const { return times_.empty(); }
  // Of all of them together: the same only when none has changed, but for a chance in 2^64.
  std::uint64_t digest() const { return digest_; }
  // For a sample of a family, its labels with the name first; nothing for what does not count, as quantiles.
  std::optional<model::TimestampMs> find(std::span<const model::Label> labels, std::string_view family,
                                         model::MetricType type) const;

 private:
  std::unordered_map<std::uint64_t, model::TimestampMs> times_;  // by family and labels
  std::uint64_t digest_ = 0;
};

// Whether the series, as its line has it, is the `_created` of that family.
bool is_created_line(std::string_view series, std::string_view family, model::MetricType type);

}  // namespace qd::observe::scrape
