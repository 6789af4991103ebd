// varint length of the block of times, the block of times, the block of values (codec.h).
#include "store/metrics/packed_chunk.h"

#include <algorithm>

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
  unpacked_.clear();
  const bool good =
      out.size() - before < chunk.bytes.size() &&
      decode_packed_chunk(base::as_bytes(out).subspan(before), chunk.count, unpacked_) &&
      std::ranges::equal(std::as_bytes(std::span(unpacked_.times)), std::as_bytes(std::span(columns_.times))) &&
      std::ranges::equal(std::as_bytes(std::span(unpacked_.values)), std::as_bytes(std::span(columns_.values)));
  if (!good) out.resize(before);
  return good;
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
