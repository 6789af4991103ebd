#include "store/metrics/segment_format.h"

#include <fmt/core.h>

#include "base/bytes.h"

namespace qd::store::metrics {
namespace {

// Sections fill the file between blocks and footer, and have room for what the counts promise.
bool places_fit(const SegmentFooter& footer, std::uint64_t end) {
  std::uint64_t at = footer.sections[0].offset;
  if (at < kSegmentHeaderBytes) return false;
  for (const SectionPlace& place : footer.sections) {
    if (place.offset != at || place.bytes > end || at > end - place.bytes) return false;
    at += place.bytes;
  }
  const auto bytes = [&](Section section) { return footer[section].bytes; };
  return at == end && footer.info.series <= kSeriesLimit &&
         bytes(Section::kSeriesOffsets) == (footer.info.series + 1) * 4 &&
         bytes(Section::kSymbolOffsets) == (std::uint64_t{footer.symbols} + 1) * 4 &&
         bytes(Section::kNames) == std::uint64_t{footer.names} * kNameEntryBytes &&
         bytes(Section::kPairs) == std::uint64_t{footer.pairs} * kPairEntryBytes &&
         footer.info.min_ms <= footer.info.max_ms;
}

}  // namespace

std::string_view to_string(Section section) {
  switch (section) {
    case Section::kSeries:
      return "series";
    case Section::kSeriesOffsets:
      return "series offsets";
    case Section::kSymbols:
      return "symbols";
    case Section::kSymbolOffsets:
      return "symbol offsets";
    case Section::kNames:
      return "label names";
    case Section::kPairs:
      return "label pairs";
    case Section::kPostings:
      return "postings";
  }
  return "?";
}

std::unexpected<base::Error> segment_damage(std::string_view path, std::uint64_t offset, std::string_view what) {
  return base::fail(
      base::ErrorCode::kCorrupt,
      fmt::format("segment {}, offset {}: {}; restore the file from a backup, or move it away and lose its "
                  "samples",
                  path, offset, what));
}

std::string encode_segment_header() {
  std::string out(kSegmentMagic);
  base::ByteWriter writer(out);
  writer.fixed(kSegmentVersion);
  writer.fixed<std::uint32_t>(0);
  return out;
}

std::string encode_segment_footer(const SegmentFooter& footer) {
  std::string out;
  base::ByteWriter writer(out);
  if (footer.version > 1) {
    writer.fixed(footer.info.exemplars_min_ms);
    writer.fixed(footer.info.exemplars_max_ms);
    writer.fixed(footer.info.exemplars);
  }
  writer.fixed(footer.info.min_ms);
  writer.fixed(footer.info.max_ms);
  writer.fixed(footer.info.series);
  writer.fixed(footer.info.samples);
  writer.fixed(footer.info.level);
  writer.fixed(footer.symbols);
  writer.fixed(footer.names);
  writer.fixed(footer.pairs);
  for (const SectionPlace& place : footer.sections) {
    writer.fixed(place.offset);
    writer.fixed(place.bytes);
    writer.fixed(place.checksum);
  }
  const std::uint32_t header = footer.version > 2 ? base::crc32c(base::as_bytes(encode_segment_header())) : 0;
  writer.fixed(base::crc32c(base::as_bytes(out), header));
  out.append(kSegmentMagic);
  return out;
}

base::Result<SegmentFooter> decode_segment_frame(std::span<const std::byte> file, std::string_view path,
                                                 bool check_checksum) {
  base::ByteReader header(file);
  const std::string_view magic = base::as_text(header.raw(kSegmentMagic.size()));
  const auto version = header.fixed<std::uint32_t>();
  const auto zero = header.fixed<std::uint32_t>();
  if (!header.ok() || magic != kSegmentMagic) return segment_damage(path, 0, "this is no segment of Quarterdeck");
  if (version > kSegmentVersion && zero == 0) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("segment {} has format version {} and this program knows versions up to {}: run the "
                                  "newer program that wrote it",
                                  path, version, kSegmentVersion));
  }
  if (version == 0 || version > kSegmentVersion || zero != 0)
    return segment_damage(path, kSegmentMagic.size(), "the header is damaged");
  const std::size_t footer_bytes = segment_footer_bytes(version);
  if (file.size() < kSegmentHeaderBytes + footer_bytes)
    return segment_damage(path, file.size(), "the file is cut short");

  const std::uint64_t end = file.size() - footer_bytes;
  const auto bytes = file.subspan(end);
  base::ByteReader in(bytes);
  SegmentFooter footer;
  footer.version = version;
  if (version > 1) {
    footer.info.exemplars_min_ms = in.fixed<std::int64_t>();
    footer.info.exemplars_max_ms = in.fixed<std::int64_t>();
    footer.info.exemplars = in.fixed<std::uint64_t>();
  }
  footer.info.min_ms = in.fixed<std::int64_t>();
  footer.info.max_ms = in.fixed<std::int64_t>();
  footer.info.series = in.fixed<std::uint64_t>();
  footer.info.samples = in.fixed<std::uint64_t>();
  footer.info.level = in.fixed<std::uint32_t>();
  footer.info.bytes = file.size();
  footer.symbols = in.fixed<std::uint32_t>();
  footer.names = in.fixed<std::uint32_t>();
  footer.pairs = in.fixed<std::uint32_t>();
  for (SectionPlace& place : footer.sections) {
    place.offset = in.fixed<std::uint64_t>();
    place.bytes = in.fixed<std::uint64_t>();
    place.checksum = in.fixed<std::uint32_t>();
  }
  const std::size_t checked = in.position();
  const auto checksum = in.fixed<std::uint32_t>();
  if (base::as_text(in.raw(kSegmentMagic.size())) != kSegmentMagic) {
    return segment_damage(path, file.size() - kSegmentMagic.size(), "the file is cut short or its end is damaged");
  }
  // The header too: else a version 3 that became a 2 would go unnoticed.
  const std::uint32_t before = version > 2 ? base::crc32c(file.first(kSegmentHeaderBytes)) : 0;
  if (check_checksum && base::crc32c(bytes.first(checked), before) != checksum) {
    return segment_damage(path, end, "the footer does not match its checksum");
  }
  if (!places_fit(footer, end)) return segment_damage(path, end, "the footer contradicts itself");
  return footer;
}

}  // namespace qd::store::metrics
