// Reads the `index` of a block of Prometheus: which series it has, with which labels, and where their chunks are.
//
// Source: tsdb/docs/format/index.md of Prometheus, version 2. Works on mapped bytes that the caller keeps alive, and
// keeps of them one place for every 32 label pairs and symbols. Opening checks the checksums of the tables; a series or
// a list of postings is checked as it is read. Immutable and thread-safe.
//
// A series is called by its reference, the sixteenth of its offset: references rise in label order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "store/metrics/postings.h"

namespace qd::store::prometheus {

inline constexpr std::uint32_t kIndexMagic = 0xBAAAD700;
inline constexpr std::uint8_t kIndexVersion = 2;
inline constexpr std::size_t kIndexHeaderBytes = 5;
inline constexpr std::size_t kSeriesAlignment = 16;

struct ChunkPlace {
  model::TimestampMs min_ms = 0;
  model::TimestampMs max_ms = 0;
  std::uint64_t ref = 0;  // number of the file, from 0, in the upper half; offset in it in the lower
};

class IndexReader {
 public:
  // kIgnore is for fuzzing, where changed bytes must reach the parts behind the checksums.
  enum class Checksums : std::uint8_t { kVerify, kIgnore };

  // kCorrupt, naming file and offset; kInvalid for a version that is not known.
  static base::Result<std::unique_ptr<const IndexReader>> open(std::span<const std::byte> bytes,
                                                               const std::filesystem::path& path,
                                                               Checksums checksums = Checksums::kVerify);

  // References of the series that all of `matchers` accept, rising.
  base::Result<metrics::Postings> find(std::span<const model::Matcher> matchers) const;
  // Labels and chunks of one; either may be null.
  base::Status series(std::uint32_t ref, model::LabelSet* labels, std::vector<ChunkPlace>* chunks) const;

  // Of all series, sorted; valid as long as the bytes. The pairs of a name come in order of their values.
  std::vector<std::string_view> label_names() const;
  base::Result<std::vector<std::string_view>> label_values(std::string_view name) const;
  // How many series carry the pair.
  struct PairCount {
    std::string_view value;
    std::uint32_t series = 0;
  };
  base::Result<std::vector<PairCount>> pair_counts(std::string_view name) const;

  // Reads all series and all postings: that every checksum is right, series stand in label order, and each pair's
  // postings are exactly the series that carry it.
  base::Status verify() const;
  std::uint64_t bytes() const { return bytes_.size(); }

 private:
  // One entry of the postings offset table.
  struct Pair {
    std::string_view name;
    std::string_view value;
    std::uint64_t postings = 0;
  };
  struct Name {
    std::uint32_t pairs = 0;
    std::vector<std::uint32_t> places;  // of every kPairsApart-th pair in the table
  };
  static constexpr std::size_t kPairsApart = 32;
  static constexpr std::size_t kSymbolsApart = 32;

  IndexReader(std::span<const std::byte> bytes, std::filesystem::path path, Checksums checksums)
      : bytes_(bytes), path_(std::move(path)), checksums_(checksums) {}

  base::Status read_contents();
  base::Status read_symbols(std::uint64_t offset);
  base::Status read_pairs(std::uint64_t offset);
  // What stands between the length at `offset` and the checksum.
  base::Result<std::span<const std::byte>> section(std::uint64_t offset, std::string_view what) const;
  base::Result<std::string_view> symbol(std::uint64_t number) const;
  // Calls with each pair of `name` in [from, …) in order of values until it returns false.
  template <typename Call>
  base::Status each_pair(std::string_view name, std::size_t from, Call call) const;
  // The postings of name=value; nothing when no series carries it.
  base::Result<std::optional<std::uint64_t>> find_pair(std::string_view name, std::string_view value) const;
  base::Result<metrics::Postings> postings_at(std::uint64_t offset) const;
  base::Result<metrics::Postings> all() const;
  // Series with a value of the matcher's label that it accepts, or that it does not.
  base::Result<metrics::Postings> carriers(const model::Matcher& matcher, bool accepted) const;

  std::span<const std::byte> bytes_;
  std::filesystem::path path_;
  Checksums checksums_;
  std::uint64_t series_begin_ = 0;
  std::uint64_t series_end_ = 0;
  std::span<const std::byte> symbols_;
  std::uint32_t symbol_count_ = 0;
  std::vector<std::uint32_t> symbol_places_;
  std::uint64_t pairs_offset_ = 0;
  std::span<const std::byte> pairs_;
  std::map<std::string_view, Name> names_;
  std::optional<std::uint64_t> all_postings_;
};

}  // namespace qd::store::prometheus
