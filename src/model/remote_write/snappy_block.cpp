#include "model/remote_write/snappy_block.h"

#include <fmt/format.h>
#include <snappy.h>

namespace qd::model::remote_write {

using base::ErrorCode;

std::string pack(std::string_view bytes) {
  std::string block;
  snappy::Compress(bytes.data(), bytes.size(), &block);
  return block;
}

base::Result<std::size_t> unpacked_bytes(std::string_view block) {
  std::size_t bytes = 0;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &bytes))
    return base::fail(ErrorCode::kInvalid, "the body is no Snappy block: its length cannot be read");
  return bytes;
}

base::Result<std::string> unpack(std::string_view block, std::size_t bytes_max) {
  QD_ASSIGN(const std::size_t bytes, unpacked_bytes(block));
  if (bytes > bytes_max)
    return base::fail(ErrorCode::kLimit,
                      fmt::format("the body says that it unpacks to {} bytes, and {} are taken", bytes, bytes_max));
  // A block of n bytes holds less than 64 n: what claims more is not worth its memory.
  if (bytes / 64 > block.size()) return base::fail(ErrorCode::kInvalid, "the body is no Snappy block");
  std::string out(bytes, '\0');
  if (!snappy::RawUncompress(block.data(), block.size(), out.data()))
    return base::fail(ErrorCode::kInvalid, "the body is no Snappy block");
  return out;
}

}  // namespace qd::model::remote_write
