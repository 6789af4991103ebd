// Reads one segment, mapped and queried in place.
//
// Immutable and thread-safe: any number of threads find and read at once. Opening reads and checks the index (a pass of
// CRC-32C over some 40 bytes a series) and keeps nothing of it; sample blocks are checked as they are read, so a
// flipped bit in one spoils only the series that hold it. A file that another process cuts short while it is mapped
// stops the process with SIGBUS, as every mapping does: segments are replaced and removed, never changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/querier.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {

class Segment {
 public:
  // kIgnore is for fuzzing, where changed bytes must reach the parts behind the checksums.
  enum class Checksums : std::uint8_t { kVerify, kIgnore };

  // kCorrupt, naming file and offset, when header, footer or index are not as written; kInvalid, naming the versions,
  // when a newer program wrote it.
  static base::Result<std::shared_ptr<const Segment>> open(base::Files& files, const std::filesystem::path& path);
  // The same on bytes that the caller keeps alive; `path` is what errors call them.
  static base::Result<std::shared_ptr<const Segment>> from_bytes(std::span<const std::byte> bytes,
                                                                 const std::filesystem::path& path,
                                                                 Checksums checksums = Checksums::kVerify);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const SegmentInfo& info() const;
  const std::filesystem::path& path() const;

  // Numbers of the series that all of `matchers` accept and whose first and last sample span a part of [from_ms,
  // to_ms], rising, which is label order.
  base::Result<std::vector<std::uint32_t>> find(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                TimestampMs to_ms) const;
  // The series with exactly these labels.
  std::optional<std::uint32_t> find_series(const LabelSet& labels) const;
  // Times of its first and last sample; first after last when the index is damaged. REQUIRES: id < info().series.
  std::pair<TimestampMs, TimestampMs> range(std::uint32_t id) const;
  // REQUIRES: id < info().series. Empty when the index is damaged behind a valid checksum.
  LabelSet labels(std::uint32_t id) const;
  // The value of one label, empty when there is none; valid as long as the segment.
  std::string_view label(std::uint32_t id, std::string_view name) const;
  // Appends the samples of series `id` in [from_ms, to_ms] to `out`. kCorrupt, naming file and offset, leaves `out` as
  // it was. REQUIRES: id < info().series.
  base::Status read(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const;

  // Appends the exemplars of series `id` in [from_ms, to_ms] to `out`, in order of time. kCorrupt, naming file and
  // offset, leaves `out` as it was. REQUIRES: id < info().series.
  base::Status exemplars(std::uint32_t id, TimestampMs from_ms, TimestampMs to_ms,
                         std::vector<model::Exemplar>& out) const;

  // Of all series, sorted. The views are valid as long as the segment.
  std::vector<std::string_view> label_names() const;
  std::vector<std::string_view> label_values(std::string_view name) const;

  // Reads everything and checks every checksum.
  base::Status verify() const;

 private:
  struct State;
  explicit Segment(std::unique_ptr<State> state);
  static base::Result<std::shared_ptr<const Segment>> from_mapping(std::unique_ptr<base::Mapping> mapping,
                                                                   const std::filesystem::path& path,
                                                                   Checksums checksums);
  std::unique_ptr<const State> state_;
};

}  // namespace qd::store::metrics
