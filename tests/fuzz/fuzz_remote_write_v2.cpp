// A body of remote write 2.0: an even first byte leaves the packing aside, so that changed bytes get past it.
//
// What is read writes and reads again as the same.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request_v2.h"

namespace {

using namespace qd::model;
namespace wire = qd::model::remote_write;

constexpr std::size_t kBytesMax = 1 << 20;

// Writes what it is told, and the same as text.
class Rewrite final : public wire::WriteSink {
 public:
  void series(qd::base::Result<LabelSet> labels) override {
    good_ = labels.has_value();
    begun_ = true;
    if (!good_) return;
    QD_ASSERT(!labels->name().empty());
    labels_ = *labels;
    written_ = false;
  }
  void sample(const Sample& sample) override {
    QD_ASSERT(begun_);
    if (!good_) return;
    write_series();
    writer.sample(sample);
    text.append(reinterpret_cast<const char*>(&sample), sizeof(sample));
  }
  void histogram(TimestampMs time_ms, qd::base::Result<Histogram> histogram) override {
    QD_ASSERT(begun_);
    if (!good_ || !histogram) return;
    QD_ASSERT(validate(*histogram).has_value());
    write_series();
    writer.histogram(time_ms, *histogram);
    text += "histogram" + std::to_string(histogram->positive.size());
  }
  void exemplar(qd::base::Result<LabelSet> labels, const Sample& sample) override {
    QD_ASSERT(begun_);
    if (!good_ || !labels) return;
    write_series();
    writer.exemplar(*labels, sample);
    text += labels->bytes();
  }
  void metadata(std::string_view family, MetricType, std::string_view, std::string_view) override {
    QD_ASSERT(!family.empty());
  }

  wire::WriteRequestV2 writer;
  std::string text;

 private:
  // One of which nothing is good is not told again.
  void write_series() {
    if (std::exchange(written_, true)) return;
    writer.series(labels_, nullptr);
    text += labels_.bytes();
  }

  LabelSet labels_;
  bool written_ = false;
  bool good_ = false;
  bool begun_ = false;
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
  }
  Rewrite first;
  if (!wire::read_write_request_v2(message, first)) return 0;
  Rewrite second;
  QD_ASSERT(wire::read_write_request_v2(first.writer.finish(), second).has_value());
  QD_ASSERT(second.text == first.text);
  return 0;
}
