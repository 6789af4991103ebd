// Reads the write-ahead log back, past damage.
//
// A torn tail (the crash cut the last record) is cut off the file. A part in the middle that is not as it was written
// is copied to `<segment>.<offset>.damaged`, named in the log, and skipped; the next whole record goes on. A segment
// that is missing, or empty with others behind it, is named in the log. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

// Takes what the log holds, in the order in which it was written. The views are valid during the call.
class WalSink {
 public:
  virtual ~WalSink() = default;
  virtual void series(std::span<const LoggedSeries> series) = 0;
  // Of records with histograms too.
  virtual void samples(const SampleBatch& batch) = 0;
  virtual void late(const SampleBatch& /*batch*/) {}
  // What follows is of this file of the log.
  virtual void file(std::uint64_t /*number*/) {}
  virtual void exemplars(std::span<const RefExemplar> exemplars) = 0;
};

struct DamagedPart {
  std::size_t offset;
  std::size_t bytes;
  bool at_end;  // nothing whole follows
};

struct WalReport {
  std::uint64_t next_segment = 1;  // after the last one that was read, or that one when it had no whole header
  std::uint64_t records = 0;
  std::uint64_t torn_tails = 0;
  std::uint64_t damaged_parts = 0;  // with missing segments; neighbours count as one
};

// The records of one log file, from its header on; returns what had to be skipped. A file
// that is too short for its header is such a part, even when it is empty.
std::vector<DamagedPart> read_wal_segment(std::span<const std::byte> bytes, WalSink& sink, std::uint64_t& records,
                                          Checksums checksums = Checksums::kVerify);

// All segments in `dir` from number `first` on. kInvalid, naming the versions, when a newer program wrote one.
base::Result<WalReport> read_wal(base::Files& files, const std::filesystem::path& dir, std::uint64_t first,
                                 base::Log& log, WalSink& sink);

}  // namespace qd::store::metrics
