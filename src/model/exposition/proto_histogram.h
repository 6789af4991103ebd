// Histograms as io.prometheus.client messages have them. Private to this room; throws what protozero throws.
#pragma once

#include <cstdint>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <vector>

#include "model/exposition/proto_parser.h"
#include "model/histogram.h"

namespace qd::model::exposition {

struct Bucket {
  double upper_bound = 0;
  double count = 0;  // up to the bound
  std::vector<ProtoParser::Exemplar> exemplars;
};

// A histogram as the wire has it, both of its parts.
struct WireHistogram {
  Histogram native;
  std::vector<std::int64_t> positive_deltas;
  std::vector<std::int64_t> negative_deltas;
  bool is_float = false;
  bool has_zero = false;
  std::vector<Bucket> buckets;
  std::vector<ProtoParser::Exemplar> exemplars;  // of the native part
  std::optional<TimestampMs> created_ms;

  bool is_native() const {
    return !native.positive_spans.empty() || !native.negative_spans.empty() || native.zero_threshold > 0 || has_zero;
  }
};

WireHistogram read_histogram(protozero::pbf_reader reader);

// The native part. `gauge`: it does not count, it may go down.
Histogram native_of(WireHistogram&& wire, bool gauge);
// One whose buckets have the bounds of the classic ones.
Histogram native_of_buckets(const WireHistogram& wire, bool gauge);

}  // namespace qd::model::exposition
