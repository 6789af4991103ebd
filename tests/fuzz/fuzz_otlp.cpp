// A body of OTLP metrics: an even first byte for protobuf, odd for JSON. What is read becomes samples that could be
// stored.

#include <cstdint>

#include "base/assert.h"
#include "input.h"
#include "serve/otlp/convert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd;
  fuzz::Input input(data, size);
  const std::uint8_t choice = input.byte();
  serve::otlp::ConvertOptions options{.promote_resource_attributes = {"a", "host.name"},
                                      .convert_delta = (choice & 2U) != 0};
  if ((choice & 4U) != 0) options.translation = model::otlp::Translation::kNone;
  serve::otlp::DeltaSums deltas;
  serve::otlp::Converter converter(options, deltas);
  const auto read = choice % 2 == 0 ? model::otlp::read_metrics(input.text(), converter)
                                    : model::otlp::read_metrics_json(input.text(), converter);
  if (!read) QD_ASSERT(!read.error().message().empty());
  for (const auto& one : converter.batch().samples()) {
    QD_ASSERT(!one.labels.name().empty());
    QD_ASSERT(model::LabelSet::from_bytes(one.labels.bytes()).has_value());
  }
  for (const auto& one : converter.batch().histograms()) QD_ASSERT(model::validate(one.histogram).has_value());
  if (converter.rejected_points() > 0) QD_ASSERT(!converter.first_reason().empty());
  return 0;
}
