// Exposed metrics in either format; the first byte chooses format and checks.
//
// Besides not failing on any bytes: what a guess of the next series changes is the time it takes, never what is read.

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "model/exposition/parser.h"

namespace {

using namespace qd::model::exposition;

struct Seen {
  Event event = Event::kEof;
  std::string series;
  std::vector<std::pair<std::string, std::string>> labels;
  std::uint64_t value_bits = 0;
  std::optional<qd::model::TimestampMs> timestamp_ms;
  std::string family;
  std::string text;
  bool operator==(const Seen&) const = default;
};

struct Reading {
  std::vector<Seen> seen;
  std::string error;
};

// `guesses`: for the n-th event, what is expected of it.
Reading read(std::string_view text, Format format, Check check, const std::vector<std::string>& guesses) {
  Reading reading;
  Parser parser(text, format, check);
  for (;;) {
    const std::size_t at = reading.seen.size();
    const auto event = parser.next(at < guesses.size() ? std::string_view(guesses[at]) : std::string_view());
    if (!event) {
      reading.error = event.error().message();
      QD_ASSERT(!reading.error.empty());
      return reading;
    }
    if (*event == Event::kEof) return reading;
    Seen seen{.event = *event};
    switch (*event) {
      case Event::kSeries:
        seen.series = parser.series();
        for (const auto& label : parser.labels()) seen.labels.emplace_back(label.name, label.value);
        seen.value_bits = std::bit_cast<std::uint64_t>(parser.value());
        seen.timestamp_ms = parser.timestamp_ms();
        if (parser.exemplar()) seen.text = parser.exemplar()->labels;
        break;
      case Event::kType:
        seen.family = parser.family();
        seen.text = qd::model::to_string(parser.type());
        break;
      case Event::kHelp:
        seen.family = parser.family();
        seen.text = parser.help();
        break;
      case Event::kUnit:
        seen.family = parser.family();
        seen.text = parser.unit();
        break;
      case Event::kComment:
        seen.text = parser.comment();
        break;
      case Event::kHistogram:
      case Event::kEof:
        break;
    }
    reading.seen.push_back(std::move(seen));
    // Each event takes at least a byte of the text.
    QD_ASSERT(reading.seen.size() <= text.size() + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  const std::uint8_t choice = input.byte();
  const Format format = (choice & 1) != 0 ? Format::kOpenMetrics : Format::kPrometheusText;
  const Check check = (choice & 2) != 0 ? Check::kFamilies : Check::kLines;

  const Reading plain = read(input.text(), format, check, {});
  std::vector<std::string> guesses;
  guesses.reserve(plain.seen.size());
  for (const Seen& seen : plain.seen) guesses.push_back(seen.series);
  const Reading right = read(input.text(), format, check, guesses);
  QD_ASSERT(right.error == plain.error, right.error + " | " + plain.error);
  QD_ASSERT(right.seen == plain.seen);
  if (!guesses.empty()) guesses.erase(guesses.begin());
  const Reading wrong = read(input.text(), format, check, guesses);
  QD_ASSERT(wrong.error == plain.error, wrong.error + " | " + plain.error);
  QD_ASSERT(wrong.seen == plain.seen);
  return 0;
}
