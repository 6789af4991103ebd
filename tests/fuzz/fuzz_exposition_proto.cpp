// Metrics as protobuf messages; the first byte chooses what is made of histograms.
//
// Besides not failing on any bytes: names and values are UTF-8, and no label stands twice.

#include <cstdint>
#include <set>
#include <string_view>

#include "base/assert.h"
#include "base/strings.h"
#include "input.h"
#include "model/exposition/proto_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::model::exposition;
  qd::fuzz::Input input(data, size);
  const unsigned choice = input.byte();
  ProtoParser parser(input.text(), {.native_histograms = (choice & 1) != 0,
                                    .classic_histograms = (choice & 2) != 0,
                                    .classic_to_native = (choice & 4) != 0});
  for (;;) {
    const auto event = parser.next();
    if (!event) {
      QD_ASSERT(!event.error().message().empty());
      return 0;
    }
    if (*event == Event::kEof) return 0;
    if (*event != Event::kSeries && *event != Event::kHistogram) {
      QD_ASSERT(qd::base::valid_utf8(parser.family()));
      continue;
    }
    std::set<std::string_view> names;
    for (const auto& label : parser.labels()) {
      QD_ASSERT(names.insert(label.name).second);
      QD_ASSERT(qd::base::valid_utf8(label.name) && qd::base::valid_utf8(label.value));
    }
    if (*event == Event::kHistogram) static_cast<void>(qd::model::validate(parser.histogram()));
  }
}
