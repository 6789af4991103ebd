// varint length of the block of times, the block of times, the block of values (codec.h).
#include "store/metrics/packed_chunk.h"

#include "base/bytes.h"

namespace qd::store::metrics {

// Each sample after the first takes a byte at least.
static_assert(kChunkBytesMax <= kBlockSamplesMax);

bool ChunkPacker::pack(const EncodedChunk& chunk, std::string& out) {
  columns_.clear();
  if (!decode_chunk(chunk.bytes, chunk.first_ms, chunk.count, columns_)) return false;
  const std::size_t before = out.size();
  block_.clear();
  encoder_.encode_times(columns_.times, block_);
  base::ByteWriter(out).varint(block_.size());
  out += block_;
  encoder_.encode_values(columns_.values, false, out);
  if (out.size() - before < chunk.bytes.size()) return true;
  out.resize(before);
  return false;
}

bool decode_packed_chunk(std::span<const std::byte> bytes, std::size_t count, Columns& out) {
  if (count == 0 || count > kBlockSamplesMax) return false;
  base::ByteReader in(bytes);
  const auto times = in.raw(in.varint());
  const auto values = in.raw(in.remaining());
  if (!in.ok()) return false;
  const std::size_t before = out.times.size();
  out.times.resize(before + count);
  out.values.resize(before + count);
  if (decode_times(times, std::span(out.times).subspan(before)) &&
      decode_values(values, std::span(out.values).subspan(before))) {
    return true;
  }
  out.times.resize(before);
  out.values.resize(before);
  return false;
}

}  // namespace qd::store::metrics
