// A native histogram as bytes: in records of the log, and at the beginning of a chunk (docs/formats/wal.md).
//
// Pure functions, any thread. Every bit of every count comes back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/histogram.h"

namespace qd::store::metrics {

// Buckets, spans and bounds of the histograms that lie together, in a chunk or a block: what reading one bears.
inline constexpr std::size_t kHistogramCellsMax = std::size_t{1} << 19;
// How many of them this one is.
inline std::size_t histogram_cells(const model::Histogram& histogram) {
  return histogram.positive.size() + histogram.negative.size() + histogram.positive_spans.size() +
         histogram.negative_spans.size() + histogram.custom_bounds.size();
}

// Why the store does not take it: what model::validate says, and kLimit past kHistogramBucketsMax spans.
base::Status storable(const model::Histogram& histogram);

// Whether all of its counts are integers up to 2^53, which take few bytes.
bool has_integer_counts(const model::Histogram& histogram);
// The same buckets: everything but counts, sum and reset is equal.
bool same_layout(const model::Histogram& a, const model::Histogram& b);
// Observations that are in no bucket, modulo 2^64. REQUIRES: has_integer_counts.
std::uint64_t count_outside(const model::Histogram& histogram);

// Appends to `out`.
void encode_histogram(const model::Histogram& histogram, std::string& out);
// Replaces `out`. False when the bytes cannot be a histogram; counts always fit their spans.
bool decode_histogram(base::ByteReader& in, model::Histogram& out);

// Spans as varint how many, then for each svarint offset, varint length.
void encode_spans(const std::vector<model::BucketSpan>& spans, std::string& out);
// Replaces `spans`; false unless they are of at most `buckets_max` buckets, which `buckets` then is told.
bool decode_spans(base::ByteReader& in, std::size_t buckets_max, std::vector<model::BucketSpan>& spans,
                  std::size_t& buckets);
bool is_schema(std::int64_t schema);

// What stands for the histogram where the head keeps a series' last value: a NaN that no number of a series is, and
// that two histograms have in common only when they are equal (but for one chance in 2^50).
double histogram_mark(const model::Histogram& histogram);

}  // namespace qd::store::metrics
