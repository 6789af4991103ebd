// histogram_quantile, histogram_fraction and histogram_quantiles, of native histograms and of classic ones: series with
// an `le` label.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/rows.h"

namespace qd::query::promql {

struct Bucket {
  double upper = 0;  // of the bucket, inclusive
  double count = 0;  // of it and all lower ones
};

// The value that the fraction `q` of all observations lies below, by interpolation inside a bucket. Sorts and repairs
// the buckets; `repaired` tells when counts fell from one bucket to the next by more than rounding.
double bucket_quantile(double q, std::vector<Bucket>& buckets, bool& repaired);
// The fraction of all observations between `lower` and `upper`.
double bucket_fraction(double lower, double upper, std::vector<Bucket>& buckets);

base::Result<Rows> histogram_quantile(Context& context, Rows buckets, const RowValues& q, Span q_span, Span span,
                                      const Grid& grid);
base::Result<Rows> histogram_fraction(Context& context, Rows buckets, const RowValues& lower, const RowValues& upper,
                                      Span span, const Grid& grid);
// One series a quantile, told apart by `label`.
base::Result<Rows> histogram_quantiles(Context& context, Rows buckets, const std::string& label,
                                       const std::vector<RowValues>& q, Span q_span, Span span, const Grid& grid);

}  // namespace qd::query::promql
