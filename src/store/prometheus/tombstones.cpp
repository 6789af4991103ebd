#include "store/prometheus/tombstones.h"

#include <algorithm>
#include <utility>

#include "store/prometheus/bytes.h"
#include "store/prometheus/chunk.h"

namespace qd::store::prometheus {
namespace {

constexpr std::uint32_t kMagic = 0x0130BA30;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kFileBytesMax = 256 << 20;

}  // namespace

base::Result<Tombstones> parse_tombstones(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) return damage(path, 0, "the file is too short");
  if (be32_at(bytes, 0) != kMagic) return damage(path, 0, "the file holds no tombstones of Prometheus");
  if (std::to_integer<std::uint8_t>(bytes[4]) != kVersion)
    return base::fail(base::ErrorCode::kInvalid, path.native() + " has a version of tombstones that is not known");
  const auto stones = bytes.subspan(kHeaderBytes, bytes.size() - kHeaderBytes - kChecksumBytes);
  if (base::crc32c(stones) != be32_at(bytes, bytes.size() - kChecksumBytes))
    return damage(path, kHeaderBytes, "the tombstones do not match their checksum");
  Tombstones all;
  base::ByteReader in(stones);
  while (!in.at_end()) {
    const std::size_t at = in.position();
    const std::uint64_t series = in.varint();
    const std::int64_t min_ms = in.signed_varint();
    const std::int64_t max_ms = in.signed_varint();
    if (!in.ok()) return damage(path, kHeaderBytes + at, "a tombstone ends too early");
    all[series].push_back({.min_ms = min_ms, .max_ms = max_ms});
  }
  return all;
}

base::Result<Tombstones> read_tombstones(base::Files& files, const std::filesystem::path& dir) {
  const auto path = dir / kTombstonesName;
  QD_ASSIGN(const bool there, files.exists(path));
  if (!there) return Tombstones();
  QD_ASSIGN(const std::string text, base::read_file(files, path, kFileBytesMax));
  return parse_tombstones(base::as_bytes(text), path);
}

std::string print_no_tombstones() {
  std::string out;
  write_be32(out, kMagic);
  out.push_back(static_cast<char>(kVersion));
  write_checksum(out, {});
  return out;
}

void remove_deleted(metrics::Columns& columns, std::size_t from, std::span<const Interval> deleted) {
  if (deleted.empty()) return;
  std::size_t kept = from;
  for (std::size_t i = from; i < columns.size(); ++i) {
    const auto time_ms = columns.times[i];
    const bool gone = std::ranges::any_of(
        deleted, [&](const Interval& one) { return time_ms >= one.min_ms && time_ms <= one.max_ms; });
    if (gone) continue;
    columns.times[kept] = time_ms;
    columns.values[kept] = columns.values[i];
    if (!columns.histograms.empty() && kept != i) columns.histograms[kept] = std::move(columns.histograms[i]);
    ++kept;
  }
  cut_columns(columns, kept);
}

}  // namespace qd::store::prometheus
