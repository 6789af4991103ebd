// Classic histograms (series x_bucket, x_sum, x_count) as native ones with custom bounds, named x: what load_with_nhcb
// of the test scripts stores beside them.
#pragma once

#include <map>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

namespace qd::query::promql {

// Collects the samples of a scrape after the other.
class ClassicHistograms {
 public:
  // Samples of series that are no part of a classic histogram are passed over.
  void add(const model::LabelSet& labels, model::TimestampMs time_ms, double value);

  struct Native {
    model::LabelSet labels;
    model::TimestampMs time_ms = 0;
    model::HistogramPtr histogram;
  };
  // In order of labels, then of time. What has no buckets, or buckets that fall, is left out.
  std::vector<Native> natives() const;

 private:
  struct Parts {
    std::map<double, double> buckets;  // by upper bound: all observations up to it
    double sum = 0;
    double count = 0;
    bool has_count = false;
  };
  static model::HistogramPtr native(const Parts& parts);

  std::map<model::LabelSet, std::map<model::TimestampMs, Parts>> histograms_;
};

}  // namespace qd::query::promql
