#include "store/metrics/chunk_block.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/temp_directory.h"
#include "store/metrics/chunk.h"
#include "store/metrics/packed_chunk.h"

namespace qd::store::metrics {
namespace {

using model::TimestampMs;

constexpr TimestampMs kFirst = 1'700'000'000'000;

class ChunkBlockTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kNumber = 3;

  // 40 samples, a second apart: counts, which are shorter packed, or any doubles, which are not.
  static std::vector<std::byte> encoded(bool counts, std::mt19937& random) {
    std::vector<std::byte> bytes(kChunkBytesMax * 2);
    ChunkState state;
    double value = counts ? 5 : std::sqrt(2.0);
    std::size_t size = begin_chunk(state, kFirst, value, bytes.data());
    for (int i = 1; i < 40; ++i) {
      value = counts ? value + random() % 60 : std::sqrt(static_cast<double>(random()));
      size += extend_chunk(state, kFirst + i * 1000, value, bytes.data() + size);
    }
    bytes.resize(size);
    return bytes;
  }
  void add(ChunkBlock& block, ChunkKind kind, std::span<const std::byte> bytes) {
    const ChunkEntry entry{.series = 7,
                           .previous = 0,
                           .min_ms = kFirst,
                           .max_ms = kFirst + 39'000,
                           .last_value = 1,
                           .offset = 0,
                           .crc = 0,
                           .bytes_low = 0,
                           .samples = 40,
                           .bytes_high = 0,
                           .kind = kind,
                           .zero = 0};
    ASSERT_TRUE(block.add(entry, bytes));
  }
  std::uint32_t version() const {
    std::array<char, 8> head{};
    std::ifstream(path_, std::ios::binary).read(head.data(), head.size());
    return static_cast<std::uint8_t>(head[4]);
  }

  base::PosixFiles files_;
  base::TempDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "00000003.chunks";
  std::mt19937 random_{4};
};

TEST_F(ChunkBlockTest, on_disk_numbers_are_packed_where_that_is_shorter_and_all_else_is_as_it_was) {
  ChunkBlock block(kNumber);
  const std::array chunks = {encoded(true, random_), encoded(false, random_), std::vector<std::byte>(2000),
                             encoded(true, random_)};
  for (std::size_t i = 0; i < chunks.size(); ++i)
    add(block, i == 2 ? ChunkKind::kHistograms : ChunkKind::kNumbers, chunks[i]);
  ASSERT_TRUE(block.write(files_, path_));
  EXPECT_EQ(version(), 3U);

  const auto opened = ChunkBlock::open(files_, path_, kNumber);
  ASSERT_TRUE(opened) << opened.error().message();
  const ChunkBlock& read = **opened;
  ASSERT_EQ(read.count(), chunks.size());
  EXPECT_LT(read.size_bytes(), block.size_bytes());
  EXPECT_EQ(read.max_ms(), block.max_ms());
  for (std::uint32_t i = 0; i < read.count(); ++i) {
    SCOPED_TRACE(i);
    const ChunkEntry& entry = read.entry(i);
    const auto bytes = read.chunk(i);
    ASSERT_TRUE(bytes) << bytes.error().message();
    EXPECT_EQ(entry.samples, 40);
    EXPECT_EQ(entry.max_ms, kFirst + 39'000);
    if (i == 1 || i == 2) {
      EXPECT_EQ(entry.kind, i == 1 ? ChunkKind::kNumbers : ChunkKind::kHistograms);
      EXPECT_TRUE(std::ranges::equal(*bytes, chunks[i]));
      continue;
    }
    ASSERT_EQ(entry.kind, ChunkKind::kPacked);
    Columns expected;
    Columns columns;
    ASSERT_TRUE(decode_chunk(chunks[i], kFirst, 40, expected));
    ASSERT_TRUE(decode_packed_chunk(*bytes, entry.samples, columns));
    EXPECT_EQ(columns.times, expected.times);
    EXPECT_EQ(columns.values, expected.values);
  }
}

TEST_F(ChunkBlockTest, a_file_without_packed_chunks_is_one_that_older_programs_read) {
  ChunkBlock block(kNumber);
  add(block, ChunkKind::kNumbers, encoded(false, random_));
  ASSERT_TRUE(block.write(files_, path_));
  EXPECT_EQ(version(), 1U);
  add(block, ChunkKind::kHistograms, std::vector<std::byte>(100));
  ASSERT_TRUE(block.write(files_, path_));
  EXPECT_EQ(version(), 2U);
}

TEST_F(ChunkBlockTest, any_flipped_bit_of_a_packed_chunk_is_found) {
  ChunkBlock block(kNumber);
  add(block, ChunkKind::kNumbers, encoded(true, random_));
  ASSERT_TRUE(block.write(files_, path_));
  const std::uint32_t bytes = (*ChunkBlock::open(files_, path_, kNumber))->entry(0).bytes();
  constexpr std::streamoff kHeaderBytes = 16;
  for (std::uint32_t at = 0; at < bytes; ++at) {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(kHeaderBytes + at);
    const int byte = file.get();
    const auto put = [&](int changed) {
      file.seekp(kHeaderBytes + at);
      file.put(static_cast<char>(changed));
      file.flush();
    };
    put(byte ^ 1 << at % 8);
    const auto opened = ChunkBlock::open(files_, path_, kNumber);
    ASSERT_TRUE(opened);
    const auto chunk = (*opened)->chunk(0);
    ASSERT_FALSE(chunk) << at;
    EXPECT_EQ(chunk.error().code(), base::ErrorCode::kCorrupt);
    put(byte);
  }
  EXPECT_TRUE((*ChunkBlock::open(files_, path_, kNumber))->chunk(0));
}

}  // namespace
}  // namespace qd::store::metrics
