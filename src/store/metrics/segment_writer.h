// Writes one segment: an immutable file of samples, labels and postings (docs/formats/segment.md).
//
//   QD_ASSIGN(auto writer, SegmentWriter::create(files, path, options));
//   for (...) QD_TRY(writer->add(labels, times, values));
//   QD_ASSIGN(SegmentInfo info, writer->finish());
//
// Samples stream to the disk as they come; memory holds the index only (about 100 bytes a series with five labels, and
// each label value once). The file grows under `<path>.tmp` and takes its name when it is whole and synced: a crash
// leaves the old file or none, and a `.tmp` to delete. One thread at a time, one writer a path at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "base/files.h"
#include "base/result.h"
#include "model/exemplar.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

namespace qd::store::metrics {

// In the level of a segment that holds only samples that came late: it may lie over others in time.
inline constexpr std::uint32_t kLateLevel = std::uint32_t{1} << 31;

struct SegmentInfo {
  model::TimestampMs min_ms = 0;  // of all samples, both ends inside
  model::TimestampMs max_ms = 0;
  std::uint64_t series = 0;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;  // of the file
  std::uint32_t level = 0;
  std::uint64_t exemplars = 0;
  model::TimestampMs exemplars_min_ms = 0;  // of all exemplars, where there are some
  model::TimestampMs exemplars_max_ms = 0;

  bool late() const { return (level & kLateLevel) != 0; }
  std::uint32_t merges() const { return level & ~kLateLevel; }
};

// What is known of one series.
struct SeriesContent {
  std::span<const model::TimestampMs> times;
  std::span<const double> values;
  std::span<const model::HistogramPtr> histograms = {};  // none, or one a sample: null where that is a number
  std::span<const model::Exemplar> exemplars = {};       // in order of time
};

struct SegmentOptions {
  std::uint32_t level = 0;     // how many merges lie behind it, and kLateLevel; kept in the file, means nothing here
  bool compress_cold = false;  // zstd where it helps: smaller, and slower to read
};

class SegmentWriter {
 public:
  static base::Result<std::unique_ptr<SegmentWriter>> create(base::Files& files, const std::filesystem::path& path,
                                                             const SegmentOptions& options);
  // Not finished: removes the half-written file.
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  // One series. kInvalid unless it comes after the one before in label order, has as many values as times, at least
  // one, its times rise strictly, and its exemplars' do not fall; the writer is unchanged then. After any other error
  // only destroying it is left.
  base::Status add(const model::LabelSet& labels, const SeriesContent& content);
  base::Status add(const model::LabelSet& labels, std::span<const model::TimestampMs> times,
                   std::span<const double> values) {
    return add(labels, {.times = times, .values = values});
  }

  // Index, footer, sync, rename, sync of the directory: once this returns success the segment is durable. kInvalid when
  // no series was added. Once.
  base::Result<SegmentInfo> finish();

 private:
  struct State;
  explicit SegmentWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace qd::store::metrics
