// What a native histogram says about its observations: quantiles, fractions, variance, and what is left of it beyond a
// bound. Inside a bucket, observations are taken as spread evenly: on a logarithmic scale in exponential buckets, on a
// linear one in the zero bucket and in custom buckets.
//
// Source: the specification "Native Histograms" of Prometheus, section "PromQL", and its documentation of the
// functions.
#pragma once

#include <string>
#include <vector>

#include "model/histogram.h"

namespace qd::model {

struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
  double count = 0;
};

// All buckets that are not empty, in rising order. The lowest positive and the highest negative one end where the zero
// bucket begins.
std::vector<HistogramBucket> populated_buckets(const Histogram& histogram);

// The value that the fraction `q` of all observations lies below. NaN without observations, and where that many of them
// are NaN; -Inf for q < 0, +Inf for q > 1.
double quantile(double q, const Histogram& histogram);
// The fraction of all observations between `lower` and `upper`. Those of NaN are in no range.
double fraction(double lower, double upper, const Histogram& histogram);
// Each observation counts as the middle of its bucket.
double variance(const Histogram& histogram);
// There are observations of NaN, as the sum tells.
bool has_nan_observations(const Histogram& histogram);

// What is left of the observations at most (`below`) or at least `bound`. Where something went, count and sum are what
// the buckets that are left say.
Histogram trimmed(const Histogram& histogram, double bound, bool below);

// {count:12, sum:18.4, [-0.001,0.001]:2, (0.5,1]:10}
std::string to_string(const Histogram& histogram);

}  // namespace qd::model
