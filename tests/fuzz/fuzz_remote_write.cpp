// A body of remote write: an even first byte leaves the packing aside, so that changed bytes get past it.
//
// What is read writes and reads again as the same.

#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "model/remote_write/histogram_wire.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace {

using namespace qd::model;
namespace wire = qd::model::remote_write;

constexpr std::size_t kBytesMax = 1 << 20;

struct Seen {
  struct Series {
    LabelSet labels;
    std::vector<std::pair<TimestampMs, std::uint64_t>> samples;
    bool operator==(const Series&) const = default;
  };
  std::vector<Series> series;
  std::vector<std::pair<std::string, Metadata>> families;
  bool operator==(const Seen&) const = default;
};

class Collect final : public wire::WriteSink {
 public:
  explicit Collect(Seen& seen) : seen_(seen) {}
  void series(qd::base::Result<LabelSet> labels) override {
    good_ = labels.has_value();
    in_series_ = true;
    if (!good_) return;
    QD_ASSERT(!labels->name().empty());
    QD_ASSERT(LabelSet::from_bytes(labels->bytes()).has_value());
    labels_ = *labels;
    added_ = false;
  }
  void sample(const Sample& sample) override {
    QD_ASSERT(in_series_);
    if (!good_) return;
    // One without samples is not written again.
    if (!std::exchange(added_, true)) seen_.series.push_back({labels_, {}});
    seen_.series.back().samples.emplace_back(sample.time_ms, std::bit_cast<std::uint64_t>(sample.value));
  }
  void histogram(TimestampMs time_ms, qd::base::Result<Histogram> histogram) override {
    QD_ASSERT(in_series_);
    if (!histogram) return;
    // What is valid goes out and comes back as it is.
    QD_ASSERT(validate(*histogram).has_value());
    std::string message;
    wire::append_histogram(message, time_ms, *histogram);
    const auto again = wire::read_histogram(message);
    QD_ASSERT(again.has_value() && again->time_ms == time_ms);
    QD_ASSERT(again->histogram.has_value() && *again->histogram == *histogram);
  }
  void exemplar(qd::base::Result<LabelSet>, const Sample&) override { QD_ASSERT(in_series_); }
  void metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit) override {
    seen_.families.emplace_back(family, Metadata{type, std::string(help), std::string(unit)});
  }

 private:
  Seen& seen_;
  LabelSet labels_;
  bool added_ = false;
  bool good_ = false;
  bool in_series_ = false;
};

class Count final : public wire::EncodedSink {
 public:
  void sample(std::string_view, const Sample&) override { ++count; }
  std::size_t count = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  std::string message;
  if (input.byte() % 2 == 0) {
    message = input.text();
  } else {
    auto unpacked = wire::unpack(input.text(), kBytesMax);
    if (!unpacked) return 0;
    message = std::move(*unpacked);
    QD_ASSERT(message.size() <= kBytesMax);
  }
  Seen seen;
  Collect collect(seen);
  const bool whole = wire::read_write_request(message, collect).has_value();
  Count own;
  static_cast<void>(wire::read_encoded(message, own));
  if (!whole) return 0;

  std::string written;
  std::size_t samples = 0;
  for (const auto& series : seen.series) {
    std::vector<Sample> list;
    list.reserve(series.samples.size());
    for (const auto& [time_ms, bits] : series.samples) list.push_back({time_ms, std::bit_cast<double>(bits)});
    wire::append_series(written, wire::encode_labels(series.labels), list);
    samples += list.size();
  }
  Count again;
  QD_ASSERT(wire::read_encoded(written, again).has_value());
  QD_ASSERT(again.count == samples);
  for (const auto& [family, metadata] : seen.families) wire::append_metadata(written, family, metadata);
  const auto round = wire::unpack(wire::pack(written), written.size());
  QD_ASSERT(round.has_value() && *round == written);
  Seen second;
  Collect collect_second(second);
  QD_ASSERT(wire::read_write_request(written, collect_second).has_value());
  QD_ASSERT(second == seen);
  return 0;
}
