#include "store/prometheus/block_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "store/prometheus/block.h"
#include "store/prometheus/bytes.h"
#include "store/prometheus/chunk.h"
#include "store/prometheus/index_writer.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;

constexpr std::size_t kWriteBytes = 1 << 20;

}  // namespace

struct BlockWriter::State {
  State(base::Files& its_files, std::filesystem::path its_parent, BlockOptions its_options)
      : files(its_files),
        parent(std::move(its_parent)),
        options(std::move(its_options)),
        temporary(parent / (options.ulid + ".tmp-for-creation")) {}

  base::Status start_chunk_file();
  base::Status finish_chunk_file();
  base::Status flush();
  base::Status write_chunk(const EncodedChunk& chunk, ChunkPlace& place);
  base::Result<std::uint64_t> write_index();

  base::Files& files;
  std::filesystem::path parent;
  BlockOptions options;
  std::filesystem::path temporary;
  bool finished = false;

  std::unique_ptr<base::File> file;  // of chunks
  std::string buffer;                // not yet in it
  std::uint64_t flushed = 0;
  BlockMeta meta;
  IndexWriter index;
  model::LabelSet last_labels;
};

base::Status BlockWriter::State::start_chunk_file() {
  const std::string name = fmt::format("{:06}", meta.files.size() + 1);
  QD_ASSIGN(file, files.create(temporary / "chunks" / name));
  meta.files.push_back({.path = "chunks/" + name, .bytes = 0});
  flushed = 0;
  write_be32(buffer, kChunksMagic);
  buffer.push_back(static_cast<char>(kChunksVersion));
  buffer.append(kChunksHeaderBytes - buffer.size(), '\0');
  return {};
}

base::Status BlockWriter::State::flush() {
  QD_TRY(file->append(base::as_bytes(buffer)));
  flushed += buffer.size();
  buffer.clear();
  return {};
}

base::Status BlockWriter::State::finish_chunk_file() {
  if (file == nullptr) return {};
  QD_TRY(flush());
  QD_TRY(file->sync());
  meta.files.back().bytes = flushed;
  file.reset();
  return {};
}

base::Status BlockWriter::State::write_chunk(const EncodedChunk& chunk, ChunkPlace& place) {
  constexpr std::size_t kAroundBytesMax = 5 + 1 + kChecksumBytes;
  if (file != nullptr && flushed + buffer.size() + chunk.bytes.size() + kAroundBytesMax > options.chunk_file_bytes_max)
    QD_TRY(finish_chunk_file());
  if (file == nullptr) QD_TRY(start_chunk_file());
  place = {.min_ms = chunk.min_ms,
           .max_ms = chunk.max_ms,
           .ref = static_cast<std::uint64_t>(meta.files.size() - 1) << 32 | (flushed + buffer.size())};
  base::ByteWriter(buffer).varint(chunk.bytes.size());
  const std::size_t covered = buffer.size();
  buffer.push_back(static_cast<char>(chunk.encoding));
  buffer += chunk.bytes;
  const std::uint32_t checksum = base::crc32c(base::as_bytes(buffer).subspan(covered));
  write_be32(buffer, checksum);
  return buffer.size() >= kWriteBytes ? flush() : base::Status();
}

base::Result<std::uint64_t> BlockWriter::State::write_index() {
  QD_ASSIGN(const auto index_file, files.create(temporary / "index"));
  QD_ASSIGN(const std::uint64_t bytes, index.write(*index_file));
  QD_TRY(index_file->sync());
  return bytes;
}

BlockWriter::BlockWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

BlockWriter::~BlockWriter() {
  if (state_->finished) return;
  state_->file.reset();
  // What cannot be removed now is a folder that Prometheus passes over and removes.
  static_cast<void>(state_->files.remove(state_->temporary));
}

base::Result<std::unique_ptr<BlockWriter>> BlockWriter::create(base::Files& files, const std::filesystem::path& parent,
                                                               const BlockOptions& options) {
  QD_ASSERT(is_ulid(options.ulid));
  if (options.end_ms <= options.min_ms)
    return base::fail(ErrorCode::kInvalid, fmt::format("block {} would end before it begins", options.ulid));
  auto state = std::make_unique<State>(files, parent, options);
  QD_TRY(files.create_directories(state->temporary / "chunks"));
  state->meta.ulid = options.ulid;
  state->meta.min_ms = options.min_ms;
  state->meta.end_ms = options.end_ms;
  state->meta.level = options.level;
  state->meta.sources = {options.ulid};
  state->meta.external_labels = options.external_labels;
  return std::unique_ptr<BlockWriter>(new BlockWriter(std::move(state)));
}

std::uint64_t BlockWriter::series() const {
  return state_->meta.series;
}

base::Status BlockWriter::add(const model::LabelSet& labels, const metrics::Columns& columns) {
  State& s = *state_;
  const auto refuse = [&](std::string_view why) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("writing block {}: series {} {}", s.options.ulid, labels.to_string(), why));
  };
  if (columns.times.empty()) return refuse("has no samples");
  if (s.meta.series > 0 && !(s.last_labels < labels)) return refuse("does not come after the one before");
  if (std::ranges::adjacent_find(columns.times, std::greater_equal<>()) != columns.times.end())
    return refuse("has times that do not rise");
  if (columns.times.front() < s.options.min_ms || columns.times.back() >= s.options.end_ms)
    return refuse("has samples outside of the block");
  std::vector<ChunkPlace> places;
  for (const EncodedChunk& chunk : encode_chunks(columns)) QD_TRY(s.write_chunk(chunk, places.emplace_back()));
  s.index.add(labels, places);
  s.last_labels = labels;
  ++s.meta.series;
  s.meta.chunks += places.size();
  s.meta.samples += columns.size();
  return {};
}

base::Result<BlockMeta> BlockWriter::finish() {
  State& s = *state_;
  QD_ASSERT(!s.finished);
  if (s.meta.series == 0)
    return base::fail(ErrorCode::kInvalid, fmt::format("writing block {}: it has no series", s.options.ulid));
  QD_TRY(s.finish_chunk_file());
  QD_ASSIGN(const std::uint64_t index_bytes, s.write_index());
  QD_TRY(base::write_file_atomically(s.files, s.temporary / kTombstonesName, print_no_tombstones()));
  s.meta.files.push_back({.path = "index", .bytes = index_bytes});
  BlockMeta told = s.meta;
  if (told.external_labels.empty()) told.files.clear();
  QD_TRY(base::write_file_atomically(s.files, s.temporary / kMetaName, told.print()));
  QD_TRY(s.files.sync_directory(s.temporary / "chunks"));
  QD_TRY(s.files.rename(s.temporary, s.parent / s.options.ulid));
  s.finished = true;
  QD_TRY(s.files.sync_directory(s.parent));
  return s.meta;
}

}  // namespace qd::store::prometheus
