// What stands in the write-ahead log: records, each whole or not there at all (docs/formats/wal.md).
//
// A record is a header (marker, type, length, CRC-32C) and a payload, and means the same whatever stands before it:
// damage to one costs that one alone. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/exemplar.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "store/metrics/appender.h"

namespace qd::store::metrics {

inline constexpr std::string_view kWalMagic = "QDWL";
// 2 has records of histograms, exemplars and late samples; files of version 1 are read as they are.
inline constexpr std::uint32_t kWalVersion = 2;
inline constexpr std::size_t kWalHeaderBytes = 16;
inline constexpr std::size_t kWalRecordHeaderBytes = 12;
inline constexpr std::size_t kWalRecordBytesMax = 1ULL << 30;

enum class WalRecordType : std::uint8_t {
  kSeries = 1,
  kSamples = 2,
  kHistograms = 5,
  kExemplars = 6,
  kLate = 8,
  kLateHistograms = 9
};

// A batch as columns.
struct SampleBatch {
  std::vector<SeriesRef> refs;
  std::vector<model::TimestampMs> times;
  std::vector<double> values;
  // Empty where there are none; else one a sample, null where it is a number. The value beside one is its
  // histogram_mark.
  std::vector<model::HistogramPtr> histograms = {};

  std::size_t size() const { return refs.size(); }
  void clear() {
    refs.clear();
    times.clear();
    values.clear();
    histograms.clear();
  }
};

struct RefExemplar {
  SeriesRef ref;
  model::Exemplar exemplar;
};

// The first bytes of a log file.
std::string wal_header(std::uint64_t segment);

// Appends a whole record to `out`: of type kHistograms when there are some in the batch, else kSamples. REQUIRES:
// !batch.refs.empty(). kLimit when the record would be too large.
base::Status append_samples_record(std::string& out, const SampleBatch& batch);
// The same of a batch with late samples, of type kLateHistograms when there are some in either; `samples` may be empty.
// REQUIRES: !late.refs.empty().
base::Status append_late_record(std::string& out, const SampleBatch& late, const SampleBatch& samples);
// Appends as many records as it takes for each to be of about a megabyte.
void append_exemplars_records(std::string& out, std::span<const RefExemplar> exemplars);

// Appends records of new series to `out`, closing one as it reaches a megabyte.
class SeriesRecordWriter {
 public:
  explicit SeriesRecordWriter(std::string& out) : out_(out) {}
  void add(SeriesRef ref, std::string_view label_bytes);
  void finish();

 private:
  static constexpr std::size_t kPayloadBytes = 1 << 20;
  std::string& out_;
  std::string payload_;
};

// One record found in bytes of the log.
struct WalRecord {
  WalRecordType type;
  std::span<const std::byte> payload;
  std::size_t bytes;  // with its header
};
enum class Checksums : std::uint8_t { kVerify, kIgnore };
// False unless a whole record of a known type with the right checksum stands at `at`.
bool read_record(std::span<const std::byte> bytes, std::size_t at, WalRecord& record,
                 Checksums checksums = Checksums::kVerify);

struct LoggedSeries {
  SeriesRef ref;
  std::string_view label_bytes;
};
// Replace `out`. False when the payload is malformed behind a valid checksum.
bool decode_series(std::span<const std::byte> payload, std::vector<LoggedSeries>& out);
bool decode_samples(std::span<const std::byte> payload, SampleBatch& out);
bool decode_late(const WalRecord& record, SampleBatch& late, SampleBatch& samples);
bool decode_histogram_samples(std::span<const std::byte> payload, SampleBatch& out);
bool decode_exemplars(std::span<const std::byte> payload, std::vector<RefExemplar>& out);

}  // namespace qd::store::metrics
