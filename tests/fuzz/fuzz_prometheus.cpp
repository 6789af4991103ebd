// What Prometheus's files hold. The first byte chooses: 0 and 1 a block, whose second and third byte say how many bytes
// are its index, the rest its chunks (0 leaves checksums aside); 2 a segment of a log; 3 a file of mapped chunks;
// 4 tombstones; 5 meta.json; 6 one record of a log; the others one chunk, of the encoding that the second byte says.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "input.h"
#include "store/prometheus/block.h"
#include "store/prometheus/chunk.h"
#include "store/prometheus/head.h"

namespace {

using namespace qd::store::prometheus;
using qd::model::kMaxTimestampMs;
using qd::model::kMinTimestampMs;

void check(const Columns& columns) {
  QD_ASSERT(columns.times.size() == columns.values.size());
  QD_ASSERT(columns.histograms.empty() || columns.histograms.size() == columns.times.size());
  for (std::size_t i = 1; i < columns.times.size(); ++i) QD_ASSERT(columns.times[i - 1] < columns.times[i]);
}

void read_block(qd::fuzz::Input& input, IndexReader::Checksums checksums) {
  const std::size_t wanted = std::size_t{input.byte()} << 8 | input.byte();
  const std::size_t index_bytes = std::min(wanted, input.size());
  const BlockMeta meta{.min_ms = kMinTimestampMs, .end_ms = kMaxTimestampMs};
  const auto block =
      Block::from_bytes(meta, input.bytes().first(index_bytes), input.bytes().subspan(index_bytes), checksums);
  if (!block) return;
  using Kind = Matcher::Kind;
  const std::vector<std::vector<Matcher>> questions{
      {},
      {Matcher::equal("__name__", "up")},
      {*Matcher::create(Kind::kRegex, "job", "a.*|b"), *Matcher::create(Kind::kNotEqual, "instance", "x")},
      {Matcher::equal("absent", ""), *Matcher::create(Kind::kNotRegex, "job", "o.+")},
  };
  Columns columns;
  for (const auto& matchers : questions) {
    const auto set = (*block)->select(matchers, kMinTimestampMs, kMaxTimestampMs, 10'000);
    if (!set) continue;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      if ((*set)->read(i, kMinTimestampMs, kMaxTimestampMs, columns)) check(columns);
    }
  }
  static_cast<void>((*block)->label_values("job", {}, kMinTimestampMs, kMaxTimestampMs));
  static_cast<void>((*block)->index().pair_counts("job"));
  (*block)->verify([](const qd::base::Error& error) { QD_ASSERT(!error.message().empty()); });
}

class Visitor final : public WalVisitor {
 public:
  void series(std::uint64_t, const qd::model::LabelSet& labels) override { static_cast<void>(labels.count()); }
  void sample(std::uint64_t, TimestampMs, double) override {}
  void histogram(std::uint64_t, TimestampMs, qd::model::HistogramPtr histogram) override {
    QD_ASSERT(qd::model::validate(*histogram).has_value());
  }
  void deleted(std::uint64_t, Interval) override {}
};

// What was read can be written and read again.
void write_again(const Columns& columns) {
  Columns again;
  for (const EncodedChunk& chunk : encode_chunks(columns)) {
    QD_ASSERT(decode_chunk(static_cast<std::uint8_t>(chunk.encoding), qd::base::as_bytes(chunk.bytes), kMinTimestampMs,
                           kMaxTimestampMs, again)
                  .has_value());
  }
  QD_ASSERT(again.times == columns.times);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  Visitor visitor;
  WalCounts counts;
  Columns columns;
  switch (input.byte()) {
    case 0:
      read_block(input, IndexReader::Checksums::kIgnore);
      break;
    case 1:
      read_block(input, IndexReader::Checksums::kVerify);
      break;
    case 2:
      static_cast<void>(read_wal_segment(input.bytes(), "fuzz", visitor, counts));
      break;
    case 3:
      static_cast<void>(read_mapped_chunks(input.bytes(), "fuzz", [&](const MappedChunk& chunk) {
        columns.clear();
        static_cast<void>(decode_chunk(chunk.encoding, chunk.data, kMinTimestampMs, kMaxTimestampMs, columns));
      }));
      break;
    case 4:
      static_cast<void>(parse_tombstones(input.bytes(), "fuzz"));
      break;
    case 5:
      if (const auto meta = BlockMeta::parse(input.text(), "fuzz"))
        QD_ASSERT(BlockMeta::parse(meta->print(), "fuzz").has_value());
      break;
    case 6:
      static_cast<void>(read_wal_record(input.text(), visitor, counts));
      break;
    default: {
      const std::uint8_t encoding = input.byte();
      if (decode_chunk(encoding, input.bytes(), kMinTimestampMs, kMaxTimestampMs, columns)) {
        check(columns);
        write_again(columns);
      } else {
        QD_ASSERT(columns.size() == 0);
      }
    }
  }
  return 0;
}
