#include "store/prometheus/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "store/prometheus/bytes.h"
#include "store/prometheus/chunk.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Columns;
using model::LabelSet;
using model::TimestampMs;

class BytesOfCaller final : public base::Mapping {
 public:
  explicit BytesOfCaller(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

class BlockSeries final : public SeriesSet {
 public:
  explicit BlockSeries(std::shared_ptr<const Block> block) : block_(std::move(block)) {}
  std::size_t size() const override { return rows_.size(); }
  const LabelSet& labels(std::size_t i) const override { return rows_[i].labels; }
  base::Status read(std::size_t i, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const override {
    out.clear();
    return block_->read(rows_[i].ref, from_ms, to_ms, out);
  }
  void add(LabelSet labels, std::uint32_t ref) { rows_.push_back({std::move(labels), ref}); }

 private:
  struct Row {
    LabelSet labels;
    std::uint32_t ref;
  };
  std::shared_ptr<const Block> block_;
  std::vector<Row> rows_;
};

base::Status check_chunks_header(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  if (bytes.size() < kChunksHeaderBytes || be32_at(bytes, 0) != kChunksMagic)
    return damage(path, 0, "the file holds no chunks of Prometheus");
  if (const auto version = std::to_integer<std::uint8_t>(bytes[4]); version != kChunksVersion) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{} has version {} of chunks, and this Quarterdeck reads {}",
                                                       path.native(), version, kChunksVersion));
  }
  return {};
}

}  // namespace

base::Result<std::shared_ptr<const Block>> Block::open(base::Files& files, const std::filesystem::path& dir) {
  std::shared_ptr<Block> block(new Block());
  block->dir_ = dir;
  QD_ASSIGN(block->meta_, BlockMeta::read(files, dir));
  QD_ASSIGN(block->index_mapping_, files.map(dir / "index"));
  QD_ASSIGN(block->index_, IndexReader::open(block->index_mapping_->bytes(), dir / "index"));
  QD_ASSIGN(block->tombstones_, read_tombstones(files, dir));
  QD_ASSIGN(const std::vector<std::string> names, files.list(dir / "chunks"));
  for (const std::string& name : names) {
    // They are called by their place: 000001 is the first.
    if (name.empty() || !std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
    ChunkFile file{.path = dir / "chunks" / name, .mapping = nullptr};
    QD_ASSIGN(file.mapping, files.map(file.path));
    QD_TRY(check_chunks_header(file.mapping->bytes(), file.path));
    block->chunk_files_.push_back(std::move(file));
  }
  return block;
}

base::Result<std::shared_ptr<const Block>> Block::from_bytes(const BlockMeta& meta, std::span<const std::byte> index,
                                                             std::span<const std::byte> chunks,
                                                             IndexReader::Checksums checksums) {
  std::shared_ptr<Block> block(new Block());
  block->dir_ = "memory";
  block->meta_ = meta;
  block->check_chunks_ = checksums == IndexReader::Checksums::kVerify;
  QD_ASSIGN(block->index_, IndexReader::open(index, block->dir_ / "index", checksums));
  block->chunk_files_.push_back(
      {.path = block->dir_ / "chunks" / "000001", .mapping = std::make_unique<BytesOfCaller>(chunks)});
  return block;
}

std::uint64_t Block::bytes() const {
  std::uint64_t bytes = index_->bytes();
  for (const ChunkFile& file : chunk_files_) bytes += file.mapping->bytes().size();
  return bytes;
}

base::Result<Block::Chunk> Block::chunk(std::uint64_t ref) const {
  const std::uint64_t number = ref >> 32;
  const std::uint64_t offset = ref & 0xffffffff;
  if (number >= chunk_files_.size()) {
    return damage(dir_ / "chunks", offset,
                  fmt::format("the index names file {} of chunks, and there are {}", number + 1, chunk_files_.size()));
  }
  const ChunkFile& file = chunk_files_[number];
  const auto bytes = file.mapping->bytes();
  if (offset < kChunksHeaderBytes || offset >= bytes.size())
    return damage(file.path, offset, "the index names a chunk outside of the file");
  base::ByteReader in(bytes.subspan(offset));
  const std::uint64_t length = in.varint();
  if (length > kChunkBytesMax || in.remaining() < 1 + length + kChecksumBytes)
    return damage(file.path, offset, "a chunk would reach beyond the file");
  const auto covered = in.raw(1 + length);
  if (check_chunks_ && base::crc32c(covered) != read_be32(in))
    return damage(file.path, offset, "a chunk does not match its checksum");
  return Chunk{.encoding = std::to_integer<std::uint8_t>(covered.front()), .data = covered.subspan(1)};
}

base::Status Block::read(std::uint32_t ref, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const {
  std::vector<ChunkPlace> places;
  QD_TRY(index_->series(ref, nullptr, &places));
  for (const ChunkPlace& place : places) {
    if (place.max_ms < from_ms || place.min_ms > to_ms) continue;
    const auto found = chunk(place.ref);
    if (!found) {
      out.clear();
      return base::fail(found.error());
    }
    if (const auto decoded = decode_chunk(found->encoding, found->data, from_ms, to_ms, out); !decoded) {
      out.clear();
      const std::uint64_t number = place.ref >> 32;
      return base::fail(decoded.error().code(), fmt::format("{} at byte {}: {}", chunk_files_[number].path.native(),
                                                            place.ref & 0xffffffff, decoded.error().message()));
    }
  }
  sort_columns(out);
  if (const auto deleted = tombstones_.find(ref); deleted != tombstones_.end()) remove_deleted(out, 0, deleted->second);
  return {};
}

base::Result<std::unique_ptr<SeriesSet>> Block::select(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                       TimestampMs to_ms, std::size_t series_limit) const {
  auto set = std::make_unique<BlockSeries>(shared_from_this());
  if (!covers(from_ms, to_ms)) return set;
  QD_ASSIGN(const metrics::Postings refs, index_->find(matchers));
  const bool whole = from_ms <= meta_.min_ms && to_ms >= meta_.end_ms - 1;
  std::vector<ChunkPlace> places;
  for (const std::uint32_t ref : refs) {
    LabelSet labels;
    QD_TRY(index_->series(ref, &labels, whole ? nullptr : &places));
    const bool any = whole || std::ranges::any_of(places, [&](const ChunkPlace& place) {
                       return place.max_ms >= from_ms && place.min_ms <= to_ms;
                     });
    if (!any) continue;
    if (set->size() == series_limit) {
      return base::fail(ErrorCode::kLimit,
                        fmt::format("the selection matches more than {} series (query.series_limit): name more labels, "
                                    "or raise the limit",
                                    series_limit));
    }
    set->add(std::move(labels), ref);
  }
  return set;
}

base::Result<std::vector<std::string>> Block::label_names(std::span<const Matcher> matchers, TimestampMs from_ms,
                                                          TimestampMs to_ms) const {
  if (!covers(from_ms, to_ms)) return std::vector<std::string>();
  if (matchers.empty()) {
    const auto names = index_->label_names();
    return std::vector<std::string>(names.begin(), names.end());
  }
  QD_ASSIGN(const metrics::Postings refs, index_->find(matchers));
  std::set<std::string, std::less<>> names;
  LabelSet labels;
  for (const std::uint32_t ref : refs) {
    QD_TRY(index_->series(ref, &labels, nullptr));
    for (const model::Label& label : labels) {
      if (!names.contains(label.name)) names.emplace(label.name);
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

base::Result<std::vector<std::string>> Block::label_values(std::string_view name, std::span<const Matcher> matchers,
                                                           TimestampMs from_ms, TimestampMs to_ms) const {
  if (!covers(from_ms, to_ms)) return std::vector<std::string>();
  if (matchers.empty()) {
    QD_ASSIGN(const auto values, index_->label_values(name));
    return std::vector<std::string>(values.begin(), values.end());
  }
  QD_ASSIGN(const metrics::Postings refs, index_->find(matchers));
  std::set<std::string, std::less<>> values;
  LabelSet labels;
  for (const std::uint32_t ref : refs) {
    QD_TRY(index_->series(ref, &labels, nullptr));
    const std::string_view value = labels.get(name);
    if (!value.empty() && !values.contains(value)) values.emplace(value);
  }
  return std::vector<std::string>(values.begin(), values.end());
}

std::uint64_t Block::verify(const std::function<void(const base::Error&)>& found) const {
  std::uint64_t faults = 0;
  const auto note = [&](const base::Error& error) {
    ++faults;
    found(error);
  };
  if (const auto status = index_->verify(); !status) note(status.error());
  const auto refs = index_->find({});
  if (!refs) {
    note(refs.error());
    return faults;
  }
  std::uint64_t samples = 0;
  std::uint64_t chunks = 0;
  Columns columns;
  std::vector<ChunkPlace> places;
  for (const std::uint32_t ref : *refs) {
    if (const auto status = index_->series(ref, nullptr, &places); !status) {
      note(status.error());
      continue;
    }
    chunks += places.size();
    for (const ChunkPlace& place : places) {
      const auto at = [&](std::string_view what) {
        return damage(chunk_files_[place.ref >> 32].path, place.ref & 0xffffffff, what).error();
      };
      const auto one = chunk(place.ref);
      if (!one) {
        note(one.error());
        continue;
      }
      columns.clear();
      const auto decoded =
          decode_chunk(one->encoding, one->data, model::kMinTimestampMs, model::kMaxTimestampMs, columns);
      if (!decoded) {
        note(at(decoded.error().message()));
        continue;
      }
      samples += columns.size();
      if (columns.times.empty() || columns.times.front() != place.min_ms || columns.times.back() != place.max_ms)
        note(at("the times of a chunk are not those that the index says"));
    }
  }
  if (faults == 0 && (samples != meta_.samples || refs->size() != meta_.series || chunks != meta_.chunks)) {
    note({ErrorCode::kCorrupt,
          fmt::format("{}: it counts {} samples in {} chunks of {} series, and there are {} in {} of {}",
                      (dir_ / kMetaName).native(), meta_.samples, meta_.chunks, meta_.series, samples, chunks,
                      refs->size())});
  }
  return faults;
}

}  // namespace qd::store::prometheus
