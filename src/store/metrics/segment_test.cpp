#include "store/metrics/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/faulty_files.h"
#include "base/temp_directory.h"
#include "store/metrics/bench_data.h"
#include "store/metrics/codec.h"
#include "store/metrics/segment_format.h"
#include "store/metrics/segment_test_data.h"

namespace qd::store::metrics {
namespace {

using Kind = Matcher::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Matcher matcher(Kind kind, std::string name, std::string value) {
  return *Matcher::create(kind, std::move(name), std::move(value));
}

class SegmentTest : public testing::Test {
 protected:
  std::shared_ptr<const Segment> write(const TestSeries& all, const SegmentOptions& options = {}) {
    return write_segment(files_, path_, all, options);
  }
  std::string read_bytes() { return *base::read_file(files_, path_, std::size_t{1} << 30); }

  base::PosixFiles files_;
  base::TempDirectory directory_;
  std::filesystem::path path_ = directory_ / "one.segment";
};

TEST_F(SegmentTest, everything_written_comes_back) {
  for (const bool compress : {false, true}) {
    const TestSeries all = random_series(17, 120, 3000);
    const auto segment = write(all, {.level = 3, .compress_cold = compress});
    EXPECT_EQ(contents(*segment), all);
    EXPECT_TRUE(segment->verify());

    SegmentInfo expected{.min_ms = model::kMaxTimestampMs, .max_ms = model::kMinTimestampMs, .level = 3};
    for (const auto& [labels, samples] : all) {
      expected.min_ms = std::min(expected.min_ms, samples.begin()->first);
      expected.max_ms = std::max(expected.max_ms, samples.rbegin()->first);
      ++expected.series;
      expected.samples += samples.size();
    }
    EXPECT_EQ(segment->info().min_ms, expected.min_ms);
    EXPECT_EQ(segment->info().max_ms, expected.max_ms);
    EXPECT_EQ(segment->info().series, expected.series);
    EXPECT_EQ(segment->info().samples, expected.samples);
    EXPECT_EQ(segment->info().level, 3U);
    EXPECT_EQ(segment->info().bytes, std::filesystem::file_size(path_));
  }
}

TEST_F(SegmentTest, read_gives_what_lies_in_the_range_and_appends) {
  const TestSeries all = random_series(18, 20, 5000);
  const auto segment = write(all);
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    const auto id = static_cast<std::uint32_t>(random() % all.size());
    const auto& samples = std::next(all.begin(), id)->second;
    const auto pick = [&] {
      const auto& at = *std::next(samples.begin(), static_cast<std::ptrdiff_t>(random() % samples.size()));
      return at.first + static_cast<TimestampMs>(random() % 3) - 1;
    };
    const TimestampMs from = random() % 10 == 0 ? model::kMinTimestampMs : pick();
    const TimestampMs to = random() % 10 == 0 ? model::kMaxTimestampMs : pick();
    Columns columns;
    columns.times.push_back(-5);
    columns.values.push_back(5);
    ASSERT_TRUE(segment->read(id, from, to, columns));
    std::vector<TimestampMs> times = {-5};
    for (const auto& [time, bits] : samples) {
      if (time >= from && time <= to) times.push_back(time);
    }
    ASSERT_EQ(columns.times, times);
    ASSERT_EQ(columns.values.size(), times.size());
    for (std::size_t i = 1; i < times.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(columns.values[i]), samples.at(times[i]));
    }
  }
}

TEST_F(SegmentTest, find_agrees_with_asking_every_series) {
  const TestSeries all = random_series(19, 300, 3);
  const auto segment = write(all);
  std::vector<Matcher> choices;
  for (const std::string name : {"__name__", "job", "instance", "absent", "le"}) {
    for (const std::string value : {"", "a", "b", "api", "api-1", "up", "nothing", "host-7", "0.5"}) {
      for (const auto kind : {Kind::kEqual, Kind::kNotEqual, Kind::kRegex, Kind::kNotRegex}) {
        choices.push_back(matcher(kind, name, value));
      }
    }
    for (const std::string value : {".*", ".+", "a|b", "api.*", "api-1|", "host-(1|2|3)", "host-.+", ".*7", "(a|up)?",
                                    "[a-h].*", "host-1.*", "zzz.*"}) {
      choices.push_back(matcher(Kind::kRegex, name, value));
      choices.push_back(matcher(Kind::kNotRegex, name, value));
    }
  }
  const auto check = [&](std::span<const Matcher> matchers, TimestampMs from, TimestampMs to) {
    std::vector<std::uint32_t> expected;
    std::uint32_t id = 0;
    for (const auto& [labels, samples] : all) {
      const bool overlaps = samples.begin()->first <= to && samples.rbegin()->first >= from;
      if (from <= to && overlaps && model::matches_all(matchers, labels)) expected.push_back(id);
      ++id;
    }
    const auto found = segment->find(matchers, from, to);
    ASSERT_TRUE(found) << found.error().message();
    std::string asked;
    for (const Matcher& m : matchers) asked += m.to_string() + " ";
    EXPECT_EQ(*found, expected) << asked << from << ".." << to;
  };
  check({}, model::kMinTimestampMs, model::kMaxTimestampMs);
  for (const Matcher& choice : choices) {
    check({&choice, 1}, model::kMinTimestampMs, model::kMaxTimestampMs);
  }
  std::mt19937_64 random(3);
  const auto& info = segment->info();
  const auto span = static_cast<std::uint64_t>(info.max_ms - info.min_ms + 20);
  for (int round = 0; round < 4000; ++round) {
    std::vector<Matcher> some;
    for (std::uint64_t i = 0; i <= random() % 4; ++i) some.push_back(choices[random() % choices.size()]);
    const TimestampMs from = info.min_ms - 10 + static_cast<TimestampMs>(random() % span);
    const TimestampMs to = info.min_ms - 10 + static_cast<TimestampMs>(random() % span);
    check(some, round % 2 == 0 ? model::kMinTimestampMs : from, round % 4 < 2 ? model::kMaxTimestampMs : to);
  }
}

TEST_F(SegmentTest, a_series_is_found_from_its_first_to_its_last_millisecond) {
  const LabelSet early{{"a", "1"}};
  const LabelSet late{{"a", "2"}};
  const auto segment = write({{early, {{100, 0}, {200, 0}}}, {late, {{300, 0}, {400, 0}}}});
  const auto found = [&](TimestampMs from, TimestampMs to) { return *segment->find({}, from, to); };
  EXPECT_THAT(found(model::kMinTimestampMs, 99), IsEmpty());
  EXPECT_THAT(found(0, 100), ElementsAre(0));
  EXPECT_THAT(found(200, 299), ElementsAre(0));
  EXPECT_THAT(found(200, 300), ElementsAre(0, 1));
  EXPECT_THAT(found(201, 299), IsEmpty());
  EXPECT_THAT(found(201, model::kMaxTimestampMs), ElementsAre(1));
  EXPECT_THAT(found(400, 400), ElementsAre(1));
  EXPECT_THAT(found(401, model::kMaxTimestampMs), IsEmpty());
  EXPECT_THAT(found(300, 200), IsEmpty());
}

TEST_F(SegmentTest, labels_are_listed_sorted_and_looked_up) {
  const auto segment = write({{LabelSet{{"__name__", "up"}, {"job", "b"}}, {{1, 0}}},
                              {LabelSet{{"__name__", "up"}, {"job", "a"}, {"zone", "x"}}, {{1, 0}}},
                              {LabelSet{{"__name__", "a"}}, {{1, 0}}}});
  EXPECT_THAT(segment->label_names(), ElementsAre("__name__", "job", "zone"));
  EXPECT_THAT(segment->label_values("job"), ElementsAre("a", "b"));
  EXPECT_THAT(segment->label_values("up"), IsEmpty());
  EXPECT_EQ(segment->label(1, "zone"), "x");
  EXPECT_EQ(segment->label(2, "zone"), "");
  EXPECT_EQ(segment->label(2, "none"), "");
  EXPECT_EQ(segment->labels(0), (LabelSet{{"__name__", "a"}}));
}

TEST_F(SegmentTest, series_scraped_together_share_their_times) {
  const BenchData data({.targets = 2, .series_per_target = 40, .samples_per_series = 1500, .jitter_ms_max = 300});
  TestSeries all;
  std::vector<TimestampMs> times;
  for (std::size_t i = 0; i < data.series(); ++i) {
    data.times(data.target_of(i), times);
    for (const TimestampMs time : times) all[data.labels(i)][time] = 0;
  }
  const auto segment = write(all);
  EXPECT_EQ(contents(*segment), all);
  // Two columns of 300 ms jitter, 9 bits a time, and next to nothing for all the zeros.
  EXPECT_LT(segment->info().bytes, 2 * 1500 * 9 / 8 + data.series() * 120);
}

TEST_F(SegmentTest, many_threads_read_at_once) {
  const TestSeries all = random_series(20, 50, 400);
  const auto segment = write(all);
  std::vector<std::thread> threads;
  std::vector<TestSeries> seen(4);
  for (auto& its : seen) threads.emplace_back([&segment, &its] { its = contents(*segment); });
  for (auto& thread : threads) thread.join();
  for (const auto& its : seen) EXPECT_EQ(its, all);
}

TEST_F(SegmentTest, the_writer_refuses_what_is_out_of_order_and_stays_usable) {
  auto writer = *SegmentWriter::create(files_, path_, {});
  const std::vector<TimestampMs> times = {1, 2};
  const std::vector<double> values = {3, 4};
  const LabelSet first{{"a", "1"}};
  const LabelSet second{{"a", "2"}};
  EXPECT_FALSE(writer->finish());
  writer.reset();
  writer = *SegmentWriter::create(files_, path_, {});
  ASSERT_TRUE(writer->add(second, times, values));
  EXPECT_EQ(writer->add(second, times, values).error().code(), base::ErrorCode::kInvalid);
  EXPECT_THAT(writer->add(first, times, values).error().message(), HasSubstr("{a=\"1\"}"));
  const LabelSet third{{"a", "3"}};
  EXPECT_FALSE(writer->add(third, times, std::span(values).first(1)));
  EXPECT_FALSE(writer->add(third, {}, {}));
  EXPECT_FALSE(writer->add(third, std::vector<TimestampMs>{2, 2}, values));
  ASSERT_TRUE(writer->add(third, times, values));
  ASSERT_TRUE(writer->finish());
  const auto segment = *Segment::open(files_, path_);
  EXPECT_EQ(segment->info().series, 2U);
  EXPECT_EQ(segment->info().samples, 4U);
}

TEST_F(SegmentTest, a_writer_that_fails_or_is_dropped_leaves_nothing_and_keeps_the_old_file) {
  const TestSeries all = random_series(21, 10, 50);
  write(all);
  const std::string before = read_bytes();
  {
    auto writer = *SegmentWriter::create(files_, path_, {});
    ASSERT_TRUE(writer->add(LabelSet{{"a", "1"}}, std::vector<TimestampMs>{1}, std::vector<double>{1}));
  }
  const std::vector<base::FaultyFiles::Call> calls = {base::FaultyFiles::Call::kSync, base::FaultyFiles::Call::kRename};
  for (const auto call : calls) {
    base::FaultyFiles faulty(files_);
    faulty.fail_call(call, 1, EIO);
    auto writer = *SegmentWriter::create(faulty, path_, {});
    ASSERT_TRUE(writer->add(LabelSet{{"a", "1"}}, std::vector<TimestampMs>{1}, std::vector<double>{1}));
    EXPECT_FALSE(writer->finish());
  }
  for (const std::uint64_t room : {0, 10, 30, 60, 120, 200}) {
    base::FaultyFiles faulty(files_);
    faulty.fail_after_bytes(room, ENOSPC);
    auto writer = *SegmentWriter::create(faulty, path_, {});
    ASSERT_TRUE(writer->add(LabelSet{{"a", "1"}}, std::vector<TimestampMs>{1}, std::vector<double>{1}));
    EXPECT_EQ(writer->finish().error().code(), base::ErrorCode::kUnavailable) << room;
  }
  EXPECT_EQ(read_bytes(), before);
  EXPECT_THAT(*files_.list(directory_.path()), ElementsAre("one.segment"));
}

TEST_F(SegmentTest, a_newer_version_is_refused_by_name) {
  write(random_series(22, 3, 3));
  std::string bytes = read_bytes();
  bytes[kSegmentMagic.size()] = 9;
  const auto opened = Segment::from_bytes(base::as_bytes(bytes), path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), base::ErrorCode::kInvalid);
  EXPECT_THAT(opened.error().message(), HasSubstr("version 9"));
}

// A flip in a block spoils that block's series only; a flip anywhere else keeps the file from opening.
TEST_F(SegmentTest, every_flipped_byte_is_noticed_where_it_matters) {
  const TestSeries all = random_series(23, 12, 40);
  write(all);
  const std::string good = read_bytes();
  const std::uint64_t blocks_end = decode_segment_frame(base::as_bytes(good), "x", true)->sections[0].offset;
  std::string bytes = good;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      bytes[at] = static_cast<char>(good[at] ^ flip);
      const auto opened = Segment::from_bytes(base::as_bytes(bytes), path_);
      const bool in_blocks = at >= kSegmentHeaderBytes && at < blocks_end;
      if (!in_blocks) {
        ASSERT_FALSE(opened) << at;
        EXPECT_THAT(opened.error().message(), HasSubstr(path_.native()));
        continue;
      }
      ASSERT_TRUE(opened) << at;
      std::size_t damaged = 0;
      std::uint32_t id = 0;
      for (const auto& [labels, samples] : all) {
        Columns columns;
        const auto status = (*opened)->read(id++, model::kMinTimestampMs, model::kMaxTimestampMs, columns);
        if (!status) {
          ++damaged;
          EXPECT_EQ(status.error().code(), base::ErrorCode::kCorrupt);
          EXPECT_THAT(status.error().message(), HasSubstr(path_.native()));
          EXPECT_EQ(columns.size(), 0U);
        } else {
          ASSERT_EQ(columns.size(), samples.size());
        }
      }
      EXPECT_GE(damaged, 1U) << at;
      EXPECT_LT(damaged, all.size()) << at;
      EXPECT_FALSE((*opened)->verify());
    }
    bytes[at] = good[at];
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Segment::from_bytes(base::as_bytes(std::string_view(good).substr(0, size)), path_)) << size;
  }
}

// Version 2 has the same parts, and a footer whose checksum is of itself alone.
TEST_F(SegmentTest, a_segment_of_version_2_is_read) {
  const TestSeries all = random_series(26, 5, 40);
  write(all);
  std::string bytes = read_bytes();
  bytes[kSegmentMagic.size()] = 2;
  EXPECT_FALSE(Segment::from_bytes(base::as_bytes(bytes), path_));
  const std::size_t footer = bytes.size() - segment_footer_bytes(2);
  const std::size_t checksum_at = bytes.size() - kSegmentMagic.size() - 4;
  const std::uint32_t checksum =
      base::crc32c(base::as_bytes(std::string_view(bytes).substr(footer, checksum_at - footer)));
  std::memcpy(bytes.data() + checksum_at, &checksum, sizeof(checksum));
  const auto opened = Segment::from_bytes(base::as_bytes(bytes), path_);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_TRUE((*opened)->verify());
  EXPECT_EQ((*opened)->info().series, all.size());
}

TEST_F(SegmentTest, bytes_that_no_section_owns_are_refused) {
  write(random_series(25, 3, 3));
  const std::string good = read_bytes();
  for (const std::size_t before_end : {std::size_t{0}, segment_footer_bytes(kSegmentVersion)}) {
    std::string bytes = good;
    bytes.insert(bytes.size() - before_end, 1, '\0');
    EXPECT_FALSE(Segment::from_bytes(base::as_bytes(bytes), path_)) << before_end;
  }
}

// With the checksums out of the way damaged bytes reach everything behind them; the sanitizers watch.
TEST_F(SegmentTest, damaged_bytes_behind_the_checksums_do_no_harm) {
  const TestSeries all = random_series(24, 12, 1500);
  write(all);
  const std::string good = read_bytes();
  const std::uint64_t blocks_end = decode_segment_frame(base::as_bytes(good), "x", true)->sections[0].offset;
  std::vector<Matcher> matchers = {matcher(Kind::kRegex, "__name__", "u.*"), matcher(Kind::kNotEqual, "job", "a"),
                                   matcher(Kind::kRegex, "instance", ".*1.*")};
  std::mt19937_64 random(5);
  std::size_t opened_count = 0;
  for (int round = 0; round < 6000; ++round) {
    std::vector<std::byte> bytes(base::as_bytes(good).begin(), base::as_bytes(good).end());
    for (std::uint64_t i = 0; i <= random() % 3; ++i) {
      const std::uint64_t low = random() % 8 == 0 ? 0 : blocks_end;
      bytes[low + random() % (bytes.size() - low)] = static_cast<std::byte>(random());
    }
    const auto opened = Segment::from_bytes(bytes, path_, Segment::Checksums::kIgnore);
    if (!opened) continue;
    ++opened_count;
    const Segment& segment = **opened;
    for (std::size_t n = 0; n <= matchers.size(); ++n) {
      static_cast<void>(segment.find(std::span(matchers).first(n), segment.info().min_ms + 1, segment.info().max_ms));
    }
    static_cast<void>(segment.label_names());
    static_cast<void>(segment.label_values("job"));
    Columns columns;
    for (std::uint32_t id = 0; id < segment.info().series; ++id) {
      columns.clear();
      static_cast<void>(segment.labels(id));
      static_cast<void>(segment.label(id, "job"));
      static_cast<void>(segment.read(id, segment.info().min_ms, segment.info().max_ms - 5, columns));
    }
  }
  EXPECT_GT(opened_count, 1000U);
}

TEST_F(SegmentTest, run_b_keeps_within_its_bytes) {
  const BenchData data({.targets = 4, .series_per_target = 400});
  std::map<LabelSet, std::size_t> order;
  for (std::size_t i = 0; i < data.series(); ++i) order.emplace(data.labels(i), i);
  auto writer = *SegmentWriter::create(files_, path_, {});
  std::vector<TimestampMs> times;
  std::vector<double> values;
  for (const auto& [labels, i] : order) {
    data.times(data.target_of(i), times);
    data.values(i, values);
    ASSERT_TRUE(writer->add(labels, times, values));
  }
  const auto info = *writer->finish();
  EXPECT_LT(static_cast<double>(info.bytes) / static_cast<double>(info.samples), 1.1);
}

}  // namespace
}  // namespace qd::store::metrics
