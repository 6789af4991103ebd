// One file of the write-ahead log; an even first byte leaves checksums aside, so that changed bytes get past them.
//
// What is read is what the file holds: parts that were skipped lie in order, and samples written again read the same.

#include <bit>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "input.h"
#include "store/metrics/exemplars.h"
#include "store/metrics/wal_reader.h"

namespace {

using namespace qd::store::metrics;

class Sink final : public WalSink {
 public:
  void series(std::span<const LoggedSeries> series) override {
    std::string written;
    SeriesRecordWriter writer(written);
    for (const LoggedSeries& one : series) {
      static_cast<void>(qd::model::LabelSet::from_bytes(one.label_bytes));
      writer.add(one.ref, one.label_bytes);
    }
    writer.finish();
    if (series.empty()) return;
    WalRecord record;
    QD_ASSERT(read_record(qd::base::as_bytes(written), 0, record));
    std::vector<LoggedSeries> again;
    QD_ASSERT(decode_series(record.payload, again));
    QD_ASSERT(again.size() == series.size());
    for (std::size_t i = 0; i < again.size(); ++i) {
      QD_ASSERT(again[i].ref == series[i].ref && again[i].label_bytes == series[i].label_bytes);
    }
  }

  void samples(const SampleBatch& batch) override {
    QD_ASSERT(batch.times.size() == batch.refs.size() && batch.values.size() == batch.refs.size());
    if (batch.refs.empty()) return;
    std::string written;
    QD_ASSERT(append_samples_record(written, batch).has_value());
    WalRecord record;
    QD_ASSERT(read_record(qd::base::as_bytes(written), 0, record));
    QD_ASSERT(record.bytes == written.size());
    SampleBatch again;
    QD_ASSERT(batch.histograms.empty() ? decode_samples(record.payload, again)
                                       : decode_histogram_samples(record.payload, again));
    QD_ASSERT(batch.histograms.empty() || batch.histograms.size() == batch.size());
    QD_ASSERT(again.histograms.size() == batch.histograms.size());
    for (std::size_t i = 0; i < batch.histograms.size(); ++i) {
      QD_ASSERT((batch.histograms[i] == nullptr) == (again.histograms[i] == nullptr));
      QD_ASSERT(batch.histograms[i] == nullptr || *batch.histograms[i] == *again.histograms[i]);
    }
    QD_ASSERT(again.refs == batch.refs && again.times == batch.times);
    QD_ASSERT(again.values.size() == batch.values.size());
    for (std::size_t i = 0; i < again.values.size(); ++i) {
      QD_ASSERT(std::bit_cast<std::uint64_t>(again.values[i]) == std::bit_cast<std::uint64_t>(batch.values[i]));
    }
  }

  void late(const SampleBatch& batch) override {
    samples(batch);
    if (batch.refs.empty()) return;
    std::string written;
    QD_ASSERT(append_late_record(written, batch, batch).has_value());
    WalRecord record;
    QD_ASSERT(read_record(qd::base::as_bytes(written), 0, record));
    SampleBatch again;
    SampleBatch others;
    QD_ASSERT(decode_late(record, again, others));
    QD_ASSERT(again.refs == batch.refs && again.times == batch.times && others.times == batch.times);
  }

  void exemplars(std::span<const RefExemplar> exemplars) override {
    if (exemplars.empty()) return;
    std::string written;
    append_exemplars_records(written, exemplars);
    std::vector<RefExemplar> again;
    std::vector<RefExemplar> some;
    WalRecord record;
    for (std::size_t at = 0; at < written.size(); at += record.bytes) {
      QD_ASSERT(read_record(qd::base::as_bytes(written), at, record));
      QD_ASSERT(decode_exemplars(record.payload, some));
      again.insert(again.end(), some.begin(), some.end());
    }
    QD_ASSERT(again.size() == exemplars.size());
    for (std::size_t i = 0; i < again.size(); ++i) {
      QD_ASSERT(again[i].ref == exemplars[i].ref && same_exemplar(again[i].exemplar, exemplars[i].exemplar));
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  const Checksums checksums = input.byte() % 2 == 0 ? Checksums::kIgnore : Checksums::kVerify;
  Sink sink;
  std::uint64_t records = 0;
  const auto damaged = read_wal_segment(input.bytes(), sink, records, checksums);
  std::size_t end = 0;
  for (const DamagedPart& part : damaged) {
    QD_ASSERT(part.offset >= end && (part.bytes > 0 || input.size() == 0) && part.bytes <= input.size() - part.offset);
    end = part.offset + part.bytes;
    QD_ASSERT(part.at_end == (end == input.size()));
  }
  return 0;
}
