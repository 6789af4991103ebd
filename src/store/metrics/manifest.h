// What belongs to the store at this moment: one small file, replaced as a whole.
//
// Files in the data directory that the manifest does not name are left-overs of a crash and are removed; so every
// change of several files (sealing, merging, cutting the log) happens at the instant at which the manifest is renamed
// into place. Text, one fact a line, with a checksum at the end (docs/formats/wal.md). Values; one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/sample.h"

namespace qd::store::metrics {

struct Manifest {
  std::uint64_t generation = 1;                                 // of series references given from now on
  model::TimestampMs sealed_until_ms = model::kMinTimestampMs;  // the head holds nothing before this
  std::uint64_t log_first = 1;                                  // what the log holds before this segment is elsewhere
  std::uint64_t late_first = 1;             // late samples that the log holds before this segment are in segments
  std::vector<std::uint64_t> series_files;  // in the order in which they are read
  std::vector<std::uint64_t> chunk_files;   // rising
  std::vector<std::uint64_t> tombstones;    // rising
  std::vector<std::uint64_t> segments;      // rising

  bool operator==(const Manifest&) const = default;

  std::string print() const;
  // kCorrupt when the checksum or a line is wrong; kInvalid, naming the versions, when a newer program wrote it.
  static base::Result<Manifest> parse(const std::string& text, const std::filesystem::path& path);

  // Nothing when there is no such file.
  static base::Result<std::optional<Manifest>> read(base::Files& files, const std::filesystem::path& path);
  base::Status write(base::Files& files, const std::filesystem::path& path) const;
};

// Numbers N of files in `dir` that are called <N><suffix>, rising.
base::Result<std::vector<std::uint64_t>> list_numbered(base::Files& files, const std::filesystem::path& dir,
                                                       std::string_view suffix);
std::filesystem::path numbered(const std::filesystem::path& dir, std::uint64_t number, std::string_view suffix);

}  // namespace qd::store::metrics
