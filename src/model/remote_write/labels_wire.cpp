#include "model/remote_write/labels_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/strings.h"

namespace qd::model::remote_write {
namespace {

using protozero::pbf_wire_type;
using protozero::tag_and_type;

// Of a name or value in an error.
constexpr std::size_t kShownBytes = 100;

std::string shown(std::string_view text) {
  return base::quote(text.substr(0, kShownBytes));
}

// As Prometheus takes names since its version 3.
bool valid_name(std::string_view name) {
  return !name.empty() && base::valid_utf8(name);
}

std::unexpected<base::Error> no_series(std::string message) {
  return base::fail(base::ErrorCode::kInvalid, std::move(message));
}

}  // namespace

base::Result<LabelSet> checked_labels(std::vector<Label>& labels, bool too_many, Naming naming) {
  const std::string_view what = naming == Naming::kSeries ? "a series" : "an exemplar";
  if (too_many) return no_series(fmt::format("{} has more than {} labels", what, kLabelsMax));
  std::ranges::sort(labels);
  bool named = naming == Naming::kExemplar;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Label& label = labels[i];
    if (i > 0 && labels[i - 1].name == label.name)
      return no_series(fmt::format("{} has the label {} twice", what, shown(label.name)));
    if (!valid_name(label.name)) return no_series(fmt::format("{} is no name for a label", shown(label.name)));
    if (!base::valid_utf8(label.value))
      return no_series(fmt::format("the value of the label {} is not UTF-8", shown(label.name)));
    named = named || (label.name == kMetricName && !label.value.empty());
  }
  if (!named) return no_series("a series has no metric name");
  return LabelSet::from(labels);
}

Sample read_sample(const protozero::data_view& message) {
  Sample sample{0, 0};
  for (protozero::pbf_reader reader(message); reader.next();) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, pbf_wire_type::fixed64):
        sample.value = reader.get_double();
        break;
      case tag_and_type(2, pbf_wire_type::varint):
        sample.time_ms = reader.get_int64();
        break;
      default:
        reader.skip();
    }
  }
  return sample;
}

void tell(const TimedHistogram& timed, WriteSink& sink) {
  if (timed.stale) return sink.sample({timed.time_ms, stale_nan()});
  sink.histogram(timed.time_ms, timed.histogram);
}

void tell_metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit,
                   WriteSink& sink) {
  const bool fits = help.size() <= kHelpBytesMax && unit.size() <= kHelpBytesMax && valid_name(family);
  if (!fits || !base::valid_utf8(help) || !base::valid_utf8(unit)) return;
  sink.metadata(family, type, help, unit);
}

}  // namespace qd::model::remote_write
