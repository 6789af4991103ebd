// The bytes of a segment around its blocks: header, footer, and what the sections between them are called. The whole
// format is in docs/formats/segment.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {

inline constexpr std::string_view kSegmentMagic = "QDSEGMNT";
// 2 has histograms and exemplars, 3 outliers with signs; files of older versions are read as they are.
inline constexpr std::uint32_t kSegmentVersion = 3;
inline constexpr std::size_t kSegmentHeaderBytes = 16;
inline constexpr std::size_t kBlockChecksumBytes = 4;

// In the order in which they stand in the file, each right behind the one before, the first right behind the blocks.
enum class Section : std::uint8_t {
  kSeries,         // a record a series
  kSeriesOffsets,  // u32 a series and one more: where its record begins in kSeries
  kSymbols,        // all label names and values, each once, sorted
  kSymbolOffsets,  // u32 a symbol and one more: where it begins in kSymbols
  kNames,          // kNameEntryBytes a label name, sorted
  kPairs,          // kPairEntryBytes a (name, value) pair, sorted by name, then value
  kPostings,       // for pairs whose series are not a run: varint of the first number, varint gaps
};
inline constexpr std::size_t kSectionCount = 7;
std::string_view to_string(Section section);

// u32 symbol of the name, u32 its first pair; its pairs end where the next name's begin.
inline constexpr std::size_t kNameEntryBytes = 8;
// u32 symbol of the name, u32 symbol of the value, u32 count of its series, u32 where: offset in kPostings, or, with
// kRunFlag in the count, the first of `count` series that follow each other.
inline constexpr std::size_t kPairEntryBytes = 16;
inline constexpr std::uint32_t kRunFlag = std::uint32_t{1} << 31;
inline constexpr std::uint64_t kSeriesLimit = kRunFlag - 1;

struct SectionPlace {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t checksum = 0;
};

struct SegmentFooter {
  std::uint32_t version = kSegmentVersion;
  SegmentInfo info;
  std::uint32_t symbols = 0;
  std::uint32_t names = 0;
  std::uint32_t pairs = 0;
  std::array<SectionPlace, kSectionCount> sections;

  const SectionPlace& operator[](Section section) const { return sections[static_cast<std::size_t>(section)]; }
  SectionPlace& operator[](Section section) { return sections[static_cast<std::size_t>(section)]; }
};
// Version 2 tells of exemplars first; then info and counts, the sections, checksum, magic.
inline constexpr std::size_t kExemplarFooterBytes = 3 * 8;
constexpr std::size_t segment_footer_bytes(std::uint32_t version) {
  return (version == 1 ? 0 : kExemplarFooterBytes) + 4 * 8 + 4 * 4 + kSectionCount * 20 + 4 + 8;
}

// kCorrupt, with the place and what to do about it.
std::unexpected<base::Error> segment_damage(std::string_view path, std::uint64_t offset, std::string_view what);

std::string encode_segment_header();
std::string encode_segment_footer(const SegmentFooter& footer);
// Checks header and footer of a whole file: magic, version, checksum, and that the sections fill the file exactly and
// have the sizes that the counts ask for, so that later reads need no such checks. `path` is for the errors.
base::Result<SegmentFooter> decode_segment_frame(std::span<const std::byte> file, std::string_view path,
                                                 bool check_checksum);

}  // namespace qd::store::metrics
