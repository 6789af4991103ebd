#include "store/metrics/chunk_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/bytes.h"
#include "store/metrics/chunk.h"
#include "store/metrics/packed_chunk.h"

namespace qd::store::metrics {
namespace {

using base::ErrorCode;

constexpr char kMagic[4] = {'Q', 'D', 'C', 'H'};
// A file is of the oldest version that has what is in it: 1 knows numbers, 2 histograms, 3 packed chunks.
constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t version_of(ChunkKind kind) {
  return kind == ChunkKind::kPacked ? 3 : kind == ChunkKind::kHistograms ? 2 : 1;
}

struct Header {
  char magic[4];
  std::uint32_t version;
  std::uint32_t number;
  std::uint32_t zero;
};
static_assert(sizeof(Header) == 16);

struct Footer {
  std::uint64_t payload_bytes;  // before the zeros that align the entries
  std::uint64_t samples;
  model::TimestampMs min_ms;
  model::TimestampMs max_ms;
  std::uint32_t chunks;
  std::uint32_t entries_crc;
  std::uint32_t zero;
  std::uint32_t crc;  // of the header, then the footer before this
};
static_assert(sizeof(Footer) == 48);

std::uint32_t footer_crc(const Header& header, const Footer& footer) {
  return base::crc32c(std::as_bytes(std::span(&footer, 1)).first(offsetof(Footer, crc)),
                      base::crc32c(std::as_bytes(std::span(&header, 1))));
}

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

}  // namespace

void ChunkEntry::set_length(std::size_t bytes) {
  bytes_low = static_cast<std::uint16_t>(bytes);
  bytes_high = static_cast<std::uint16_t>(bytes >> 16);
}

ChunkBlock::ChunkBlock(std::uint32_t number) : number_(number), memory_(base::map_pages(kBytes)) {
  static_assert(kBytes % 8 == 0);
  payload_ = memory_.get();
  entries_end_ = reinterpret_cast<const ChunkEntry*>(memory_.get() + kBytes);
}

std::optional<ChunkRef> ChunkBlock::add(ChunkEntry entry, std::span<const std::byte> bytes) {
  if (size_bytes() + bytes.size() + sizeof(ChunkEntry) > kBytes) return std::nullopt;
  entry.offset = static_cast<std::uint32_t>(payload_bytes_);
  entry.set_length(bytes.size());
  entry.zero = 0;
  std::memcpy(memory_.get() + payload_bytes_, bytes.data(), bytes.size());
  std::memcpy(memory_.get() + kBytes - (count_ + 1) * sizeof entry, &entry, sizeof entry);
  payload_bytes_ += bytes.size();
  samples_ += entry.samples;
  min_ms_ = std::min(min_ms_, entry.min_ms);
  max_ms_ = std::max(max_ms_, entry.max_ms);
  return (static_cast<ChunkRef>(number_) << 32) | count_++;
}

base::Status ChunkBlock::write(base::Files& files, const std::filesystem::path& path) const {
  // What is packed is shorter, so it fits where the chunks did.
  const base::Pages payload = base::map_pages(std::max<std::size_t>(payload_bytes_, 1));
  std::size_t payload_bytes = 0;
  std::vector<ChunkEntry> directory(count_);
  std::uint32_t version = 1;
  ChunkPacker packer;
  std::string packed;
  for (std::uint32_t i = 0; i < count_; ++i) {
    ChunkEntry& about = directory[count_ - 1 - i];
    about = entry(i);
    std::span<const std::byte> bytes(payload_ + about.offset, about.bytes());
    packed.clear();
    if (about.kind == ChunkKind::kNumbers && packer.pack({bytes, about.min_ms, about.samples}, packed)) {
      about.kind = ChunkKind::kPacked;
      bytes = base::as_bytes(packed);
    }
    std::memcpy(payload.get() + payload_bytes, bytes.data(), bytes.size());
    about.offset = static_cast<std::uint32_t>(payload_bytes);
    about.set_length(bytes.size());
    about.crc = base::crc32c(bytes);
    payload_bytes += bytes.size();
    version = std::max(version, version_of(about.kind));
  }
  const Header header{{kMagic[0], kMagic[1], kMagic[2], kMagic[3]}, version, number_, 0};
  const auto entries = std::as_bytes(std::span(directory));
  Footer footer{.payload_bytes = payload_bytes,
                .samples = samples_,
                .min_ms = min_ms_,
                .max_ms = max_ms_,
                .chunks = count_,
                .entries_crc = base::crc32c(entries),
                .zero = 0,
                .crc = 0};
  footer.crc = footer_crc(header, footer);
  constexpr std::byte kZeros[8] = {};
  const auto write_all = [&]() -> base::Status {
    QD_ASSIGN(const auto file, files.create(path));
    QD_TRY(file->append(std::as_bytes(std::span(&header, 1))));
    QD_TRY(file->append({payload.get(), payload_bytes}));
    QD_TRY(file->append(std::span(kZeros).first(aligned(payload_bytes) - payload_bytes)));
    QD_TRY(file->append(entries));
    QD_TRY(file->append(std::as_bytes(std::span(&footer, 1))));
    return file->sync();
  };
  base::Status written = write_all();
  if (!written) (void)files.remove(path);
  return written;
}

base::Result<std::shared_ptr<const ChunkBlock>> ChunkBlock::open(base::Files& files, const std::filesystem::path& path,
                                                                 std::uint32_t number) {
  QD_ASSIGN(auto mapping, files.map(path));
  const std::span<const std::byte> bytes = mapping->bytes();
  const auto corrupt = [&](std::string_view what) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path.native(), what));
  };
  Header header;
  Footer footer;
  if (bytes.size() < sizeof header + sizeof footer) return corrupt("it is too short for a file of chunks");
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return corrupt("it is not a file of chunks");
  if (header.version > kVersion) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} has format {}, and this Quarterdeck reads up to {}: run the newer one that wrote "
                                  "it",
                                  path.native(), header.version, kVersion));
  }
  if (footer.crc != footer_crc(header, footer)) return corrupt("the checksum of its footer is wrong");
  if (header.number != number) return corrupt("it was written under another number");
  const std::uint64_t entry_bytes = static_cast<std::uint64_t>(footer.chunks) * sizeof(ChunkEntry);
  if (footer.payload_bytes > bytes.size() ||
      sizeof header + aligned(footer.payload_bytes) + entry_bytes + sizeof footer != bytes.size()) {
    return corrupt("its length is not what its footer says");
  }
  const auto entries = bytes.subspan(sizeof header + aligned(footer.payload_bytes), entry_bytes);

  std::shared_ptr<ChunkBlock> block(new ChunkBlock());
  block->number_ = number;
  block->count_ = footer.chunks;
  block->samples_ = footer.samples;
  block->min_ms_ = footer.min_ms;
  block->max_ms_ = footer.max_ms;
  block->payload_bytes_ = footer.payload_bytes;
  block->payload_ = bytes.data() + sizeof header;
  block->entries_end_ = reinterpret_cast<const ChunkEntry*>(entries.data() + entries.size());
  block->entries_crc_ = footer.entries_crc;
  block->mapping_ = std::move(mapping);
  block->path_ = path;
  return block;
}

base::Result<std::vector<ChunkEntry>> ChunkBlock::read_directory(base::Files& files) const {
  std::vector<ChunkEntry> entries(count_);
  const auto into = std::as_writable_bytes(std::span(entries));
  QD_ASSIGN(const auto file, files.open_read(path_));
  QD_ASSIGN(const std::size_t got, file->read_at(sizeof(Header) + aligned(payload_bytes_), into));
  if (got != into.size() || base::crc32c(into) != entries_crc_) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{}: the checksum of its directory is wrong", path_.native()));
  }
  std::reverse(entries.begin(), entries.end());
  return entries;
}

base::Result<std::span<const std::byte>> ChunkBlock::chunk(std::uint32_t i) const {
  const ChunkEntry& about = entry(i);
  // In memory nothing can have changed it, and others may be adding behind it.
  if (mapping_ == nullptr) return std::span(payload_ + about.offset, about.bytes());
  const bool inside = about.offset <= payload_bytes_ && about.bytes() <= payload_bytes_ - about.offset;
  const std::span<const std::byte> bytes(payload_ + (inside ? about.offset : 0), inside ? about.bytes() : 0);
  if (!inside || base::crc32c(bytes) != about.crc) {
    return base::fail(ErrorCode::kCorrupt, fmt::format("{} at {}: the checksum of a chunk is wrong", path_.native(),
                                                       sizeof(Header) + about.offset));
  }
  return bytes;
}

void ChunkBlock::expect(std::uint32_t i) const {
  constexpr std::size_t kLineBytes = 64;
  const ChunkEntry& about = entry(i);
  // A wrong place does no harm here.
  for (std::size_t at = 0; at < kChunkBytesMax; at += kLineBytes) __builtin_prefetch(payload_ + about.offset + at);
}

void ChunkBlock::relink(std::uint32_t i, ChunkRef previous) {
  if (relinked_ == nullptr) {
    relinked_ = std::make_unique_for_overwrite<ChunkEntry[]>(count_);
    std::memcpy(relinked_.get(), entries_end_ - count_, count_ * sizeof(ChunkEntry));
    entries_end_ = relinked_.get() + count_;
  }
  relinked_[count_ - 1 - i].previous = previous;
}

}  // namespace qd::store::metrics
