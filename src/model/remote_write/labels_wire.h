// What reading messages of 1.0 and 2.0 has in common. For this room alone.
#pragma once

#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "model/remote_write/histogram_wire.h"
#include "model/remote_write/write_request.h"
#include "model/sample.h"

namespace qd::model::remote_write {

enum class Naming : std::uint8_t {
  kSeries,    // must have a metric name
  kExemplar,  // may have any labels, or none
};

// Sorts `labels`. kInvalid where they make no label set.
base::Result<LabelSet> checked_labels(std::vector<Label>& labels, bool too_many, Naming naming);

// May throw protozero's exceptions.
Sample read_sample(const protozero::data_view& message);

// A histogram, or the end of a series of histograms, which is a number's stale marker in the store.
void tell(const TimedHistogram& timed, WriteSink& sink);

// Hands it on unless it is too long or no text.
void tell_metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit,
                   WriteSink& sink);

}  // namespace qd::model::remote_write
