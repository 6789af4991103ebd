#include "model/exposition/proto_exemplar.h"

#include <algorithm>

#include "base/strings.h"

namespace qd::model::exposition {

using protozero::pbf_reader;

TimestampMs read_timestamp(pbf_reader reader) {
  // Beyond these no clock goes, and the product stays in range.
  constexpr std::int64_t kSecondsMax = 1LL << 40;
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  while (reader.next()) {
    if (reader.tag() == 1) {
      seconds = std::clamp(reader.get_int64(), -kSecondsMax, kSecondsMax);
    } else if (reader.tag() == 2) {
      nanoseconds = reader.get_int32();
    } else {
      reader.skip();
    }
  }
  return seconds * 1000 + nanoseconds / 1'000'000;
}

std::pair<std::string_view, std::string_view> read_label_pair(pbf_reader reader) {
  std::pair<std::string_view, std::string_view> pair;
  const auto text = [&] {
    const auto view = reader.get_view();
    return std::string_view(view.data(), view.size());
  };
  while (reader.next()) {
    if (reader.tag() == 1) {
      pair.first = text();
    } else if (reader.tag() == 2) {
      pair.second = text();
    } else {
      reader.skip();
    }
  }
  return pair;
}

void read_exemplar(pbf_reader reader, std::vector<ProtoParser::Exemplar>& into) {
  ProtoParser::Exemplar exemplar;
  LabelBuilder labels;
  bool good = into.size() < ProtoParser::kExemplarsMax;
  while (reader.next()) {
    if (reader.tag() == 1) {
      const auto [name, value] = read_label_pair(reader.get_message());
      good = good && !name.empty() && base::valid_utf8(name) && base::valid_utf8(value);
      if (good) labels.set(name, value);
    } else if (reader.tag() == 2) {
      exemplar.value = reader.get_double();
    } else if (reader.tag() == 3) {
      exemplar.timestamp_ms = read_timestamp(reader.get_message());
    } else {
      reader.skip();
    }
  }
  if (!good) return;
  exemplar.labels = labels.build();
  into.push_back(std::move(exemplar));
}

}  // namespace qd::model::exposition
