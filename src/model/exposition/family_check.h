// What OpenMetrics 1.0.0 asks of whole metric families, beyond the form of their lines.
//
// Told of each line in order; says what is wrong with it, or with the family that it ends. Source: the specification's
// sections "Metric Types" and "ABNF", and its conformance tests. Memory: eight bytes for each family name and for each
// group of the family being read.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::model::exposition {

class FamilyCheck {
 public:
  // Each returns kInvalid with what is wrong.
  base::Status type(std::string_view family, MetricType type);
  base::Status help(std::string_view family);
  base::Status unit(std::string_view family, std::string_view unit);
  // `labels` with the name first.
  base::Status sample(std::span<const Label> labels, double value, std::optional<TimestampMs> timestamp_ms,
                      bool has_exemplar);
  base::Status end();

 private:
  // Samples of one group at one time, of a histogram.
  struct Histogram {
    std::optional<double> bound;  // of the last bucket
    double count_in_bound = 0;
    std::optional<double> count;
    bool has_sum = false;
    bool has_gauge_sum = false;
    bool negative_gauge_sum = false;
    bool negative_bounds = false;
  };

  base::Status metadata(std::string_view family);
  base::Status begin_family(std::string_view family);
  base::Status end_family();
  base::Status end_histogram();
  base::Status check_value(std::string_view suffix, std::span<const Label> labels, double value, bool has_exemplar);
  base::Status check_group(std::string_view suffix, std::span<const Label> labels,
                           std::optional<TimestampMs> timestamp_ms);
  base::Status check_histogram(std::string_view suffix, std::span<const Label> labels, double value);
  base::Status wrong(std::string_view problem) const;

  bool open_ = false;
  std::string family_;
  std::optional<MetricType> type_;
  bool has_help_ = false;
  std::optional<std::string> unit_;
  bool has_samples_ = false;
  std::uint64_t group_ = 0;
  std::optional<TimestampMs> group_time_ms_;
  bool histogram_open_ = false;
  Histogram histogram_;
  // Hashes: of groups of this family, and of sample names of the families before it.
  std::unordered_set<std::uint64_t> groups_;
  std::unordered_set<std::uint64_t> names_;
};

}  // namespace qd::model::exposition
