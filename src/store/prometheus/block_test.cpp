#include "store/prometheus/block.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>

#include "base/faulty_files.h"
#include "base/temp_directory.h"
#include "store/prometheus/block_writer.h"
#include "store/prometheus/bytes.h"
#include "store/prometheus/chunk.h"
#include "store/prometheus/directory.h"
#include "store/prometheus/merged_querier.h"

namespace qd::store::prometheus {
namespace {

using base::ErrorCode;
using metrics::Columns;
using model::LabelSet;
using model::TimestampMs;

constexpr TimestampMs kStart = 1'699'999'200'000;  // a multiple of two hours
constexpr TimestampMs kAll = model::kMaxTimestampMs;
constexpr std::size_t kMany = 1'000'000;

LabelSet labels_of(int i, std::string_view name = "m") {
  const std::string instance = fmt::format("{:05}", i);
  return LabelSet{{"__name__", name}, {"instance", instance}, {"job", i % 2 == 0 ? "even" : "odd"}};
}

Columns samples(int from, int count) {
  Columns columns;
  for (int i = from; i < from + count; ++i) add_sample(columns, kStart + i * 15'000, i);
  return columns;
}

class BlockTest : public ::testing::Test {
 protected:
  BlockMeta write(int series, int from = 0, int count = 200, std::size_t file_bytes = 512 << 20) {
    auto writer = BlockWriter::create(files_, dir_.path(),
                                      {.ulid = make_ulid(kStart, random_),
                                       .min_ms = kStart,
                                       .end_ms = kStart + 7'200'000,
                                       .chunk_file_bytes_max = file_bytes});
    EXPECT_TRUE(writer) << writer.error().message();
    for (int i = 0; i < series; ++i) {
      const auto added = (*writer)->add(labels_of(i), samples(from, count));
      EXPECT_TRUE(added) << added.error().message();
    }
    auto meta = (*writer)->finish();
    EXPECT_TRUE(meta) << meta.error().message();
    return *meta;
  }
  std::shared_ptr<const Block> open(const BlockMeta& meta) {
    auto block = Block::open(files_, dir_ / meta.ulid);
    EXPECT_TRUE(block) << block.error().message();
    return *block;
  }
  static std::vector<Matcher> matching(Matcher::Kind kind, std::string name, std::string value) {
    return {*Matcher::create(kind, std::move(name), std::move(value))};
  }
  static std::vector<std::string> names(const SeriesSet& set) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < set.size(); ++i) all.emplace_back(set.labels(i).get("instance"));
    return all;
  }

  base::PosixFiles files_;
  base::TempDirectory dir_;
  std::mt19937_64 random_{1};
};

TEST_F(BlockTest, what_was_written_is_read) {
  const BlockMeta meta = write(100);
  EXPECT_EQ(meta.series, 100U);
  EXPECT_EQ(meta.samples, 20'000U);
  EXPECT_EQ(meta.chunks, 200U);
  const auto block = open(meta);
  const auto set = block->select({}, 0, kAll, kMany);
  ASSERT_TRUE(set) << set.error().message();
  ASSERT_EQ((*set)->size(), 100U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ((*set)->labels(static_cast<std::size_t>(i)), labels_of(i));
    Columns columns;
    ASSERT_TRUE((*set)->read(static_cast<std::size_t>(i), 0, kAll, columns));
    EXPECT_EQ(columns.times, samples(0, 200).times);
    EXPECT_EQ(columns.values, samples(0, 200).values);
  }
  EXPECT_EQ(block->verify([](const base::Error& error) { ADD_FAILURE() << error.message(); }), 0U);
}

TEST_F(BlockTest, matchers_find_what_they_say) {
  const auto block = open(write(100));
  using Kind = Matcher::Kind;
  const auto count = [&](const std::vector<Matcher>& matchers) {
    const auto set = block->select(matchers, 0, kAll, kMany);
    EXPECT_TRUE(set);
    return (*set)->size();
  };
  EXPECT_EQ(count(matching(Kind::kEqual, "job", "even")), 50U);
  EXPECT_EQ(count(matching(Kind::kNotEqual, "job", "even")), 50U);
  EXPECT_EQ(count(matching(Kind::kRegex, "instance", "0000[0-4]")), 5U);
  EXPECT_EQ(count(matching(Kind::kRegex, "instance", "00050|00099|00100")), 2U);
  EXPECT_EQ(count(matching(Kind::kNotRegex, "instance", "000.*")), 0U);
  EXPECT_EQ(count(matching(Kind::kEqual, "absent", "")), 100U);
  EXPECT_EQ(count(matching(Kind::kEqual, "absent", "x")), 0U);
  EXPECT_EQ(count(matching(Kind::kEqual, "instance", "99999")), 0U);
  EXPECT_EQ(count(matching(Kind::kEqual, "instance", "")), 0U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(count({Matcher::equal("instance", fmt::format("{:05}", i))}), 1U) << i;
}

TEST_F(BlockTest, names_and_values_are_those_of_the_series) {
  const auto block = open(write(3));
  EXPECT_EQ(*block->label_names({}, 0, kAll), (std::vector<std::string>{"__name__", "instance", "job"}));
  EXPECT_EQ(*block->label_values("job", {}, 0, kAll), (std::vector<std::string>{"even", "odd"}));
  EXPECT_EQ(*block->label_values("instance", matching(Matcher::Kind::kEqual, "job", "even"), 0, kAll),
            (std::vector<std::string>{"00000", "00002"}));
  EXPECT_TRUE(block->label_names({}, 0, kStart - 1)->empty());
}

TEST_F(BlockTest, series_without_samples_in_the_time_are_left_out) {
  const auto block = open(write(3, 100, 10));
  EXPECT_EQ((*block->select({}, kStart, kStart + 99 * 15'000, kMany))->size(), 0U);
  EXPECT_EQ((*block->select({}, kStart, kStart + 100 * 15'000, kMany))->size(), 3U);
  EXPECT_EQ(block->select({}, 0, kAll, 2).error().code(), ErrorCode::kLimit);
}

TEST_F(BlockTest, chunks_may_fill_several_files) {
  const BlockMeta meta = write(50, 0, 200, 4096);
  EXPECT_GT(meta.files.size(), 4U);
  const auto block = open(meta);
  EXPECT_EQ(block->verify([](const base::Error& error) { ADD_FAILURE() << error.message(); }), 0U);
}

TEST_F(BlockTest, a_flipped_bit_is_told_with_its_file_and_nothing_else_is_lost) {
  const BlockMeta meta = write(20);
  for (const char* name : {"index", "chunks/000001"}) {
    const auto path = dir_ / meta.ulid / name;
    const std::string whole = *base::read_file(files_, path, 1 << 24);
    for (std::size_t at = 8; at < whole.size(); at += 97) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
      {
        std::ofstream out(path, std::ios::binary);
        out << flipped;
      }
      const auto block = Block::open(files_, dir_ / meta.ulid);
      if (!block) {
        EXPECT_NE(block.error().message().find(name), std::string::npos) << block.error().message();
        continue;
      }
      std::string told;
      const auto faults = (*block)->verify([&](const base::Error& error) { told = error.message(); });
      // Of padding there is no checksum.
      if (faults == 0) {
        EXPECT_EQ(std::string(name), "index") << at;
        continue;
      }
      EXPECT_NE(told.find(dir_.path().native()), std::string::npos) << told;
      EXPECT_NE(told.find("byte"), std::string::npos) << told;
    }
    std::ofstream out(path, std::ios::binary);
    out << whole;
  }
}

TEST_F(BlockTest, what_was_deleted_is_not_read) {
  const BlockMeta meta = write(2);
  auto block = open(meta);
  const auto refs = block->index().find(matching(Matcher::Kind::kEqual, "instance", "00001"));
  ASSERT_TRUE(refs && refs->size() == 1);
  std::string stones;
  base::ByteWriter writer(stones);
  writer.varint(refs->front());
  writer.signed_varint(kStart + 10 * 15'000);
  writer.signed_varint(kStart + 19 * 15'000);
  std::string file{"\x01\x30\xba\x30\x01", 5};
  file += stones;
  write_checksum(file, stones);
  {
    std::ofstream out(dir_ / meta.ulid / "tombstones", std::ios::binary);
    out << file;
  }
  block = open(meta);
  const auto set = block->select({}, 0, kAll, kMany);
  Columns columns;
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 200U);
  ASSERT_TRUE((*set)->read(1, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 190U);
  EXPECT_EQ(columns.values[10], 20);
}

TEST_F(BlockTest, a_writer_refuses_what_does_not_belong) {
  auto writer = *BlockWriter::create(files_, dir_.path(),
                                     {.ulid = make_ulid(1, random_), .min_ms = kStart, .end_ms = kStart + 15'000});
  EXPECT_EQ(writer->add(labels_of(1), {}).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(writer->add(labels_of(1), samples(0, 2)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(writer->add(labels_of(1), samples(-1, 1)).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(writer->add(labels_of(1), samples(0, 1)));
  EXPECT_EQ(writer->add(labels_of(1), samples(0, 1)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(writer->add(labels_of(0), samples(0, 1)).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(writer->finish());
}

TEST_F(BlockTest, a_writer_that_is_dropped_or_fails_leaves_nothing) {
  {
    auto writer = *BlockWriter::create(files_, dir_.path(),
                                       {.ulid = make_ulid(1, random_), .min_ms = kStart, .end_ms = kStart + 7'200'000});
    ASSERT_TRUE(writer->add(labels_of(1), samples(0, 1)));
  }
  EXPECT_TRUE(files_.list(dir_.path())->empty());
}

TEST_F(BlockTest, blocks_of_a_folder_are_one_and_overlap) {
  write(10, 0, 100);
  write(20, 50, 100);
  std::vector<std::string> warnings;
  const auto directory =
      Directory::open(files_, dir_.path(), [&](const Warning& warning) { warnings.push_back(warning.what); });
  ASSERT_TRUE(directory) << directory.error().message();
  EXPECT_EQ((*directory)->content()->blocks.size(), 2U);
  const auto set = (*directory)->select({}, 0, kAll, kMany);
  ASSERT_EQ((*set)->size(), 20U);
  Columns columns;
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  EXPECT_EQ(columns.times, samples(0, 150).times);
  EXPECT_EQ(columns.values, samples(0, 150).values);
  ASSERT_TRUE((*set)->read(15, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 100U);
  EXPECT_TRUE(warnings.empty());
}

TEST_F(BlockTest, a_broken_block_is_told_once_and_the_others_are_served) {
  write(10, 0, 100);
  const BlockMeta broken = write(20, 50, 100);
  ASSERT_TRUE(files_.remove(dir_ / broken.ulid / "index"));
  std::vector<std::string> warnings;
  const auto directory =
      Directory::open(files_, dir_.path(), [&](const Warning& warning) { warnings.push_back(warning.what); });
  ASSERT_TRUE(directory) << directory.error().message();
  ASSERT_TRUE((*directory)->refresh());
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find(broken.ulid), std::string::npos) << warnings[0];
  EXPECT_EQ((*(*directory)->select({}, 0, kAll, kMany))->size(), 10U);
}

TEST_F(BlockTest, a_new_block_is_seen_after_a_refresh) {
  write(10, 0, 100);
  const auto directory = Directory::open(files_, dir_.path(), [](const Warning&) {});
  const auto before = (*directory)->select({}, 0, kAll, kMany);
  EXPECT_EQ((*directory)->refresh().value(), kAll);  // nothing has changed
  write(20, 50, 100);
  EXPECT_EQ((*(*directory)->select({}, 0, kAll, kMany))->size(), 10U);
  EXPECT_EQ((*directory)->refresh().value(), kStart);
  EXPECT_EQ((*(*directory)->select({}, 0, kAll, kMany))->size(), 20U);
  // What was selected before still reads.
  Columns columns;
  ASSERT_TRUE((*before)->read(9, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 100U);
}

TEST_F(BlockTest, the_first_of_merged_queriers_wins) {
  const auto first = open(write(2, 0, 3));
  auto writer = *BlockWriter::create(files_, dir_.path(),
                                     {.ulid = make_ulid(9, random_), .min_ms = kStart, .end_ms = kStart + 7'200'000});
  Columns others;
  for (int i = 1; i < 5; ++i) add_sample(others, kStart + i * 15'000, 100 + i);
  ASSERT_TRUE(writer->add(labels_of(1), others));
  const auto second = open(*writer->finish());
  Columns columns;
  const MergedQuerier ours_first({first, second});
  ASSERT_TRUE((*ours_first.select({}, 0, kAll, kMany))->read(1, 0, kAll, columns));
  EXPECT_EQ(columns.values, (std::vector<double>{0, 1, 2, 103, 104}));
  const MergedQuerier others_first({second, first});
  ASSERT_TRUE((*others_first.select({}, 0, kAll, kMany))->read(1, 0, kAll, columns));
  EXPECT_EQ(columns.values, (std::vector<double>{0, 101, 102, 103, 104}));
}

TEST(BlockMetaTest, it_prints_what_it_parses) {
  BlockMeta meta{.ulid = "01BKGTZQ1SYQJTR4PB43C8PD98",
                 .min_ms = -5,
                 .end_ms = 7,
                 .samples = 3,
                 .series = 2,
                 .chunks = 1,
                 .level = 2,
                 .sources = {"01BKGTZQ1SYQJTR4PB43C8PD98"},
                 .parents = {"01BKGTZQ1SYQJTR4PB43C8PD97"},
                 .out_of_order = true,
                 .external_labels = {{"cluster", "eu"}},
                 .files = {{.path = "index", .bytes = 9}}};
  const auto back = BlockMeta::parse(meta.print(), "meta.json");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->print(), meta.print());
  EXPECT_EQ(back->parents, meta.parents);
  EXPECT_TRUE(back->out_of_order);
  EXPECT_EQ(back->external_labels, meta.external_labels);
}

TEST(BlockMetaTest, what_is_none_is_refused) {
  for (const char* text : {"", "[]", "{", R"({"version":1})", R"({"version":2,"ulid":"01BKGTZQ1SYQJTR4PB43C8PD98"})",
                           R"({"version":1,"ulid":"01BKGTZQ1SYQJTR4PB43C8PD98","minTime":5,"maxTime":4})",
                           R"({"version":1,"ulid":"../../etc","minTime":5,"maxTime":6})"}) {
    EXPECT_FALSE(BlockMeta::parse(text, "meta.json")) << text;
  }
}

TEST(UlidTest, it_sorts_by_time) {
  std::mt19937_64 random(5);
  const std::string early = make_ulid(1'000, random);
  const std::string late = make_ulid(1'700'000'000'000, random);
  EXPECT_TRUE(is_ulid(early));
  EXPECT_LT(early, late);
  EXPECT_FALSE(is_ulid("01bkgtzq1syqjtr4pb43c8pd98"));
  EXPECT_FALSE(is_ulid("wal"));
}

}  // namespace
}  // namespace qd::store::prometheus
