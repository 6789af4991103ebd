#include "store/metrics/open_chunk.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace qd::store::metrics {
namespace {

struct Kept {
  OpenChunk chunk;
  std::vector<std::byte> bytes;

  void append(Pieces& pieces, std::size_t n, std::minstd_rand& random) {
    std::vector<std::byte> more(n);
    for (std::byte& byte : more) byte = static_cast<std::byte>(random());
    chunk.append(pieces, bytes.size(), more);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  std::vector<std::byte> copy() const {
    std::vector<std::byte> out(bytes.size());
    chunk.copy(out.size(), out.data());
    return out;
  }
  void free(Pieces& pieces) {
    chunk.free(pieces);
    bytes.clear();
  }
};

TEST(OpenChunk, gives_back_what_was_appended_in_parts_of_any_size) {
  Pieces pieces;
  std::minstd_rand random(1);
  std::vector<Kept> chunks(300);
  for (int step = 0; step < 40'000; ++step) {
    Kept& kept = chunks[random() % chunks.size()];
    // Also exactly to the end of a piece, more than a piece, and nothing.
    kept.append(pieces, random() % 8 == 0 ? random() % 130 : random() % 23, random);
    ASSERT_EQ(kept.copy(), kept.bytes);
    if (kept.bytes.size() > 256) kept.free(pieces);
  }
  for (const Kept& kept : chunks) ASSERT_EQ(kept.copy(), kept.bytes);
}

TEST(OpenChunk, pieces_that_were_freed_are_used_again) {
  Pieces pieces;
  Piece* const first = pieces.allocate();
  Piece* const second = pieces.allocate();
  EXPECT_EQ(second, first + 1);
  pieces.free(second);
  pieces.free(first);
  EXPECT_EQ(pieces.allocate(), first);
  EXPECT_EQ(pieces.allocate(), second);
}

TEST(OpenChunk, a_renewal_leaves_what_is_opened_meanwhile) {
  Pieces pieces;
  std::minstd_rand random(2);
  std::vector<Kept> chunks(5000);
  for (int round = 0; round < 5; ++round) {
    for (Kept& kept : chunks) kept.append(pieces, 1 + random() % 100, random);
    pieces.begin_renewal();
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      // Some grow before they are closed, some are opened again behind that, and closed once more.
      if (i % 3 == 0) chunks[i].append(pieces, 70, random);
      chunks[i].free(pieces);
      if (i % 2 == 0) chunks[i].append(pieces, 1 + random() % 150, random);
      if (i % 8 == 0) chunks[i].free(pieces);
    }
    EXPECT_FALSE(pieces.end_renewal().empty());
    for (const Kept& kept : chunks) ASSERT_EQ(kept.copy(), kept.bytes);
  }
}

TEST(OpenChunk, a_renewal_that_was_given_up_keeps_what_is_there) {
  Pieces pieces;
  std::minstd_rand random(3);
  std::vector<Kept> chunks(100);
  for (int round = 0; round < 2; ++round) {
    for (Kept& kept : chunks) kept.append(pieces, 90, random);
    pieces.begin_renewal();
  }
  for (const Kept& kept : chunks) ASSERT_EQ(kept.copy(), kept.bytes);
  for (Kept& kept : chunks) kept.free(pieces);
  EXPECT_FALSE(pieces.end_renewal().empty());
}

}  // namespace
}  // namespace qd::store::metrics
