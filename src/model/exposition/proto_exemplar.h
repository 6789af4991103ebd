// Exemplars as io.prometheus.client messages have them. Private to this room.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "model/exposition/proto_parser.h"

namespace qd::model::exposition {

// Adds the exemplar, unless its labels are none or there are kExemplarsMax already: it is no reason to lose the metric.
// Throws what protozero throws.
void read_exemplar(protozero::pbf_reader reader, std::vector<ProtoParser::Exemplar>& into);

// google.protobuf.Timestamp, in milliseconds.
TimestampMs read_timestamp(protozero::pbf_reader reader);

// LabelPair.
std::pair<std::string_view, std::string_view> read_label_pair(protozero::pbf_reader reader);

}  // namespace qd::model::exposition
