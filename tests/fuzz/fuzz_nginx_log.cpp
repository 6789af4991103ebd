// An access log of nginx: lines of any bytes, in pieces of any size.
//
// Besides not failing on any bytes: where the pieces end changes nothing, every line is counted once, and the number of
// series has its bound.

#include <cstdint>
#include <map>
#include <string>

#include "base/assert.h"
#include "base/strings.h"
#include "input.h"
#include "observe/nginx/log_counts.h"

namespace {

using namespace qd::observe::nginx;

struct Samples final : qd::observe::Sink {
  void family(std::string_view name, qd::model::MetricType, std::string_view) override { family_name = name; }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const qd::model::Label> labels, double value) override {
    std::string key = family_name + std::string(suffix);
    for (const auto& label : labels) {
      QD_ASSERT(qd::base::valid_utf8(label.value) && !label.value.empty());
      key += "," + std::string(label.name) + "=" + std::string(label.value);
    }
    QD_ASSERT(value >= 0);
    QD_ASSERT(values.emplace(key, value).second, key);
  }
  std::string family_name;
  std::map<std::string, double> values;
};

struct Counted final : LineSink {
  void line(std::string_view text) override {
    QD_ASSERT(!text.empty() && text.size() <= LineReader::kLineBytesMax);
    ++lines;
    counts.line(text);
  }
  void overlong_line() override {
    ++lines;
    counts.overlong_line();
  }
  Samples told() const {
    Samples samples;
    counts.tell(samples);
    return samples;
  }
  std::uint64_t lines = 0;
  LogCounts counts;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  const std::size_t piece = input.byte() + 1u;
  const std::string_view text = input.text();

  Counted whole;
  LineReader reader;
  reader.feed(text, whole);
  reader.finish(whole);
  QD_ASSERT(whole.lines == whole.counts.lines() + whole.counts.parse_errors());
  const Samples samples = whole.told();
  QD_ASSERT(samples.values.size() <= 17 * LogCounts::kRequestRowsMax + 28 * LogCounts::kUpstreamRowsMax + 1);

  Counted pieces;
  LineReader again;
  for (std::size_t at = 0; at < text.size(); at += piece) again.feed(text.substr(at, piece), pieces);
  again.finish(pieces);
  QD_ASSERT(pieces.told().values == samples.values);
  return 0;
}
