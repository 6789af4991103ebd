#include "store/metrics/store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "base/faulty_files.h"
#include "base/files.h"
#include "store/metrics/wal.h"

namespace qd::store::metrics {
namespace {

using base::ErrorCode;
using base::FaultyFiles;
using model::Label;

constexpr TimestampMs kStart = 1'699'999'980'000;  // where a window of a minute begins
constexpr TimestampMs kAll = model::kMaxTimestampMs;

class TempDir {
 public:
  TempDir() {
    // In memory where there is such a place: these tests sync thousands of times.
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK) == 0;
    std::string name = ((usable ? memory : std::filesystem::temp_directory_path()) / "qd-store-XXXXXX").native();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

LabelSet series_labels(int i, std::string_view name = "m") {
  const std::string number = fmt::format("{:05}", i);
  return LabelSet{{"__name__", name}, {"instance", number}, {"job", i % 2 == 0 ? "even" : "odd"}};
}

using Samples = std::vector<std::pair<TimestampMs, double>>;
using Content = std::map<std::string, Samples>;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { options_.seal_interval_ms = 60'000; }

  void open() {
    store_.reset();
    auto opened = Store::open(files_, dir_.path(), options_, base::Log::silent(), registry_);
    ASSERT_TRUE(opened) << opened.error().message();
    store_ = std::move(*opened);
  }

  // Appends value to series `i` and commits.
  base::Status put(int i, TimestampMs time, double value) {
    auto appender = store_->appender();
    QD_ASSIGN(const SeriesRef ref, appender->series(series_labels(i)));
    if (const auto outcome = appender->append(ref, time, value); outcome != AppendOutcome::kOk)
      return base::fail(ErrorCode::kInvalid, fmt::format("outcome {}", static_cast<int>(outcome)));
    return appender->commit();
  }

  // One sample each of `n` series, in one batch.
  base::Status put_all(int n, TimestampMs time) {
    auto appender = store_->appender();
    for (int i = 0; i < n; ++i) {
      QD_ASSIGN(const SeriesRef ref, appender->series(series_labels(i)));
      if (appender->append(ref, time, value_at(i, time)) != AppendOutcome::kOk)
        return base::fail(ErrorCode::kInvalid, "not taken");
    }
    return appender->commit();
  }

  static double value_at(int i, TimestampMs time) { return i + 0.5 * static_cast<double>((time - kStart) / 1000); }

  Content content(TimestampMs from = -kAll, TimestampMs to = kAll, std::vector<Matcher> matchers = {}) {
    Content all;
    const auto set = store_->select(matchers, from, to, 1'000'000);
    EXPECT_TRUE(set) << set.error().message();
    if (!set) return all;
    Columns columns;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      const auto read = (*set)->read(i, from, to, columns);
      EXPECT_TRUE(read) << read.error().message();
      if (columns.size() == 0) continue;
      Samples& samples = all[(*set)->labels(i).to_string()];
      for (std::size_t k = 0; k < columns.size(); ++k) samples.emplace_back(columns.times[k], columns.values[k]);
      if (i > 0) {
        EXPECT_LT((*set)->labels(i - 1), (*set)->labels(i));
      }
    }
    return all;
  }

  Content expected(int n, TimestampMs from, TimestampMs to, TimestampMs step) {
    Content all;
    for (int i = 0; i < n; ++i) {
      for (TimestampMs t = from; t <= to; t += step) all[series_labels(i).to_string()].emplace_back(t, value_at(i, t));
    }
    return all;
  }

  std::vector<std::string> names(std::string_view room) {
    auto list = posix_.list(dir_.path() / room);
    EXPECT_TRUE(list);
    return list ? *list : std::vector<std::string>{};
  }
  std::size_t damaged_copies(std::string_view room) {
    std::size_t n = 0;
    for (const auto& name : names(room)) n += name.ends_with(".damaged") ? 1 : 0;
    return n;
  }

  // Changes one bit of a file.
  static void flip(const std::filesystem::path& path, std::size_t offset) {
    std::FILE* file = std::fopen(path.c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    std::fseek(file, static_cast<long>(offset), SEEK_SET);
    const int byte = std::fgetc(file);
    std::fseek(file, static_cast<long>(offset), SEEK_SET);
    std::fputc(byte ^ 4, file);
    std::fclose(file);
  }

  TempDir dir_;
  base::PosixFiles posix_;
  FaultyFiles files_{posix_};
  base::Registry registry_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

// --- Appending ---

TEST_F(StoreTest, outcomes_are_those_of_prometheus_without_an_out_of_order_window) {
  open();
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(1));
  EXPECT_NE(ref, 0U);
  EXPECT_EQ(*appender->series(series_labels(1)), ref);
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->pending(), 1U);
  EXPECT_EQ(appender->append(ref, kStart, 2), AppendOutcome::kDuplicate);
  EXPECT_EQ(appender->append(ref, kStart - 1, 1), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(appender->append(ref + 1, kStart, 1), AppendOutcome::kUnknownSeries);
  EXPECT_EQ(appender->append(0, kStart, 1), AppendOutcome::kUnknownSeries);
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->pending(), 0U);
  EXPECT_EQ(appender->append(ref, kStart, model::stale_nan()), AppendOutcome::kDuplicate);
  EXPECT_EQ(appender->append(ref, kStart - 1, 1), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
}

TEST_F(StoreTest, nothing_is_visible_before_commit_or_after_an_abandoned_batch) {
  open();
  {
    auto appender = store_->appender();
    const SeriesRef ref = *appender->series(series_labels(1));
    ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
    EXPECT_TRUE(content().empty());
  }
  EXPECT_TRUE(content().empty());
  ASSERT_TRUE(put(1, kStart, 7));
  EXPECT_EQ(content().size(), 1U);
}

TEST_F(StoreTest, a_series_made_by_an_abandoned_batch_is_logged_with_its_first_sample) {
  open();
  auto abandoned = store_->appender();
  const SeriesRef ref = *abandoned->series(series_labels(1));
  abandoned.reset();
  auto appender = store_->appender();
  ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
}

TEST_F(StoreTest, limits_name_their_settings) {
  options_.series_limit = 2;
  options_.labels_limit_bytes = 100;
  open();
  auto appender = store_->appender();
  EXPECT_EQ(appender->series(LabelSet{}).error().code(), ErrorCode::kInvalid);
  const std::string long_value(100, 'x');
  const auto large = appender->series(LabelSet{{"__name__", long_value}});
  EXPECT_EQ(large.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(large.error().message().find("store.metrics.labels_limit_bytes"), std::string::npos);
  ASSERT_TRUE(appender->series(series_labels(1)));
  ASSERT_TRUE(appender->series(series_labels(2)));
  const auto third = appender->series(series_labels(3));
  EXPECT_EQ(third.error().code(), ErrorCode::kLimit);
  EXPECT_NE(third.error().message().find("store.metrics.series_limit"), std::string::npos);
  EXPECT_TRUE(appender->series(series_labels(1)));
}

TEST_F(StoreTest, the_future_is_bounded_by_the_clock_of_maintain) {
  open();
  ASSERT_TRUE(put(1, kStart + 50LL * 365 * 86'400'000, 1));
  ASSERT_TRUE(store_->maintain(kStart));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(ref, kStart + options_.future_limit_ms, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart + options_.future_limit_ms + 1, 1), AppendOutcome::kTooFarInFuture);
  EXPECT_EQ(store_->stats().segments, 0U);
}

TEST_F(StoreTest, a_batch_overtaken_by_another_is_refused_whole) {
  open();
  auto slow = store_->appender();
  const SeriesRef one = *slow->series(series_labels(1));
  const SeriesRef two = *slow->series(series_labels(2));
  ASSERT_EQ(slow->append(one, kStart, 1), AppendOutcome::kOk);
  ASSERT_EQ(slow->append(two, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(put(1, kStart + 1000, 5));
  EXPECT_EQ(slow->commit().error().code(), ErrorCode::kConflict);
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart + 1000, 5}}}}));
  open();
  EXPECT_EQ(content().size(), 1U);
}

// --- Reading ---

TEST_F(StoreTest, matchers_select_by_every_kind) {
  open();
  ASSERT_TRUE(put_all(20, kStart));
  auto appender = store_->appender();
  const SeriesRef bare = *appender->series(LabelSet{{"__name__", "bare"}});
  ASSERT_EQ(appender->append(bare, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  const auto count = [&](std::vector<Matcher> matchers) { return content(-kAll, kAll, std::move(matchers)).size(); };
  using Kind = Matcher::Kind;
  const auto matcher = [](Kind kind, std::string name, std::string value) {
    return *Matcher::create(kind, std::move(name), std::move(value));
  };
  EXPECT_EQ(count({}), 21U);
  EXPECT_EQ(count({Matcher::equal("job", "odd")}), 10U);
  EXPECT_EQ(count({Matcher::equal("job", "none")}), 0U);
  EXPECT_EQ(count({Matcher::equal("job", "")}), 1U);
  EXPECT_EQ(count({matcher(Kind::kNotEqual, "job", "")}), 20U);
  EXPECT_EQ(count({matcher(Kind::kNotEqual, "job", "odd")}), 11U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", "0001.")}), 10U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", "00011|00012|9")}), 2U);
  EXPECT_EQ(count({matcher(Kind::kNotRegex, "instance", "0001.")}), 11U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", ".*")}), 21U);
  EXPECT_EQ(count({Matcher::equal("job", "odd"), matcher(Kind::kRegex, "instance", "0001.")}), 5U);
  const auto limited = store_->select({}, 0, kAll, 20);
  EXPECT_EQ(limited.error().code(), ErrorCode::kLimit);
}

TEST_F(StoreTest, names_and_values_come_sorted_from_head_and_segments) {
  open();
  for (TimestampMs t = 0; t < 180'000; t += 10'000) {
    ASSERT_TRUE(put(t < 60'000 ? 1 : 2, kStart + t, 1));
  }
  ASSERT_TRUE(store_->maintain(kStart + 180'000));
  ASSERT_GE(store_->stats().segments, 1U);
  EXPECT_EQ(*store_->label_names({}, 0, kAll), (std::vector<std::string>{"__name__", "instance", "job"}));
  EXPECT_EQ(*store_->label_values("instance", {}, 0, kAll), (std::vector<std::string>{"00001", "00002"}));
  EXPECT_EQ(*store_->label_values("instance", {{Matcher::equal("job", "odd")}}, 0, kAll),
            (std::vector<std::string>{"00001"}));
  EXPECT_EQ(*store_->label_values("instance", {}, kStart + 170'000, kAll), (std::vector<std::string>{"00002"}));
}

TEST_F(StoreTest, a_read_sees_a_commit_whole_or_not_at_all) {
  constexpr int kSeries = 500;
  constexpr int kBatches = 300;
  options_.seal_interval_ms = 1000;
  open();
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    auto appender = store_->appender();
    for (int batch = 0; batch < kBatches;) {
      bool taken = true;
      for (int i = 0; i < kSeries && taken; ++i) {
        const SeriesRef ref = *appender->series(series_labels(i));
        taken = appender->append(ref, kStart + batch * 20, batch) == AppendOutcome::kOk;
      }
      if (appender->commit() && taken) ++batch;
    }
    stop = true;
  });
  std::thread sealer([&] {
    while (!stop) {
      EXPECT_TRUE(store_->maintain(kStart + kBatches * 20));
    }
  });
  std::size_t reads = 0;
  while (!stop || reads == 0) {
    const auto set = store_->select({}, kStart, kAll, 10'000);
    ASSERT_TRUE(set);
    Columns columns;
    std::size_t samples = 0;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      ASSERT_TRUE((*set)->read(i, kStart, kAll, columns));
      if (i == 0) samples = columns.size();
      ASSERT_EQ(columns.size(), samples) << i << " of " << (*set)->size();
      for (std::size_t k = 0; k < columns.size(); ++k) ASSERT_EQ(columns.values[k], static_cast<double>(k));
    }
    if (samples > 0) {
      ASSERT_EQ((*set)->size(), static_cast<std::size_t>(kSeries));
    }
    ++reads;
  }
  writer.join();
  sealer.join();
  EXPECT_GT(store_->stats().segments, 0U);
  const Content all = content();
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kSeries));
  for (const auto& [labels, samples] : all) EXPECT_EQ(samples.size(), static_cast<std::size_t>(kBatches));
}

TEST_F(StoreTest, commits_of_many_threads_all_survive) {
  constexpr int kThreads = 6;
  constexpr int kBatches = 60;
  options_.sync = StoreOptions::Sync::kCommit;
  open();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      auto appender = store_->appender();
      for (int batch = 0; batch < kBatches; ++batch) {
        // Series interleave between threads, and each thread makes its own.
        for (int i = 0; i < 10; ++i) {
          const SeriesRef ref = *appender->series(series_labels(i * kThreads + thread));
          EXPECT_EQ(appender->append(ref, kStart + batch, batch), AppendOutcome::kOk);
        }
        EXPECT_TRUE(appender->commit());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const Content before = content();
  ASSERT_EQ(before.size(), 10U * kThreads);
  for (const auto& [labels, samples] : before) EXPECT_EQ(samples.size(), static_cast<std::size_t>(kBatches));
  open();
  EXPECT_EQ(content(), before);
}

// --- Durability ---

TEST_F(StoreTest, replay_finds_everything_acknowledged) {
  open();
  for (int step = 0; step < 300; ++step) ASSERT_TRUE(put_all(30, kStart + step * 100));
  const Content before = content();
  ASSERT_EQ(before, expected(30, kStart, kStart + 29'900, 100));
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(30, kStart + 30'000));
  open();
  EXPECT_EQ(content(), expected(30, kStart, kStart + 30'000, 100));
}

TEST_F(StoreTest, replay_cuts_a_torn_tail) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  ASSERT_TRUE(put(1, kStart + 1000, 2));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto size = std::filesystem::file_size(segment);
  std::filesystem::resize_file(segment, size - 3);
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
  EXPECT_EQ(damaged_copies("wal"), 0U);
  EXPECT_EQ(registry_.counter("quarterdeck_store_torn_tails_total", "").value(), 1U);
  ASSERT_TRUE(put(1, kStart + 1000, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 1000, 3}}}}));
}

TEST_F(StoreTest, every_cut_of_the_log_leaves_a_prefix_of_the_batches) {
  open();
  for (int step = 0; step < 5; ++step) ASSERT_TRUE(put_all(4, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto whole = *base::read_file(posix_, segment, 1 << 20);
  std::size_t last = 0;
  for (std::size_t size = 0; size <= whole.size(); size += 3) {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::create_directories(dir_.path() / "wal");
    ASSERT_TRUE(base::write_file_atomically(posix_, segment, whole.substr(0, size)));
    open();
    const Content found = content();
    if (found.empty()) continue;
    const std::size_t steps = found.begin()->second.size();
    ASSERT_EQ(found, expected(4, kStart, kStart + static_cast<TimestampMs>(steps - 1) * 1000, 1000)) << size;
    ASSERT_GE(steps, last);
    last = steps;
  }
  EXPECT_GE(last, 4U);
}

TEST_F(StoreTest, a_flipped_bit_in_the_log_costs_one_record_and_is_set_aside) {
  open();
  for (int step = 0; step < 50; ++step) ASSERT_TRUE(put_all(20, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  flip(segment, std::filesystem::file_size(segment) / 2);
  open();
  Content damaged = content();
  Content whole = expected(20, kStart, kStart + 49'000, 1000);
  ASSERT_EQ(damaged.size(), whole.size());
  for (const auto& [labels, samples] : damaged) {
    EXPECT_EQ(samples.size(), 49U);
    for (const auto& sample : samples) EXPECT_NE(std::ranges::find(whole[labels], sample), whole[labels].end());
  }
  EXPECT_EQ(damaged_copies("wal"), 1U);
  // What was set aside is not met again, and nothing else is lost.
  open();
  EXPECT_EQ(content(), damaged);
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 1U);
}

TEST_F(StoreTest, any_flipped_bit_in_the_log_never_alters_a_sample) {
  open();
  for (int step = 0; step < 6; ++step) ASSERT_TRUE(put_all(3, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto bytes = *base::read_file(posix_, segment, 1 << 20);
  const Content whole = expected(3, kStart, kStart + 5000, 1000);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 5) {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::create_directories(dir_.path() / "wal");
    ASSERT_TRUE(base::write_file_atomically(posix_, segment, bytes));
    flip(segment, offset);
    auto opened = Store::open(files_, dir_.path(), options_, base::Log::silent(), registry_);
    if (!opened) {
      EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid) << offset;  // the version field
      continue;
    }
    store_ = std::move(*opened);
    for (const auto& [labels, samples] : content()) {
      ASSERT_TRUE(whole.contains(labels));
      for (const auto& sample : samples) {
        ASSERT_NE(std::ranges::find(whole.at(labels), sample), whole.at(labels).end()) << offset;
      }
    }
    store_.reset();
  }
}

TEST_F(StoreTest, a_full_disk_refuses_the_batch_and_leaves_no_trace) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  for (const std::uint64_t room : {0, 5, 40}) {
    files_.fail_after_bytes(room, ENOSPC);
    const auto refused = put_all(12, kStart + 1000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(content(), expected(10, kStart, kStart, 1000));
    files_.heal();
  }
  ASSERT_TRUE(put_all(12, kStart + 2000));
  const Content before = content();
  ASSERT_EQ(before.size(), 12U);
  open();
  EXPECT_EQ(content(), before);
  EXPECT_EQ(registry_.counter("quarterdeck_store_torn_tails_total", "").value(), 0U);
  EXPECT_EQ(damaged_copies("wal"), 0U);
}

TEST_F(StoreTest, a_failed_truncate_keeps_refusing_until_it_succeeds) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  files_.fail_after_bytes(10, ENOSPC);
  files_.fail_call(FaultyFiles::Call::kTruncate, 1, EIO);
  EXPECT_EQ(put(1, kStart + 1, 2).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(put(1, kStart + 2, 2).error().code(), ErrorCode::kUnavailable);
  files_.heal();
  ASSERT_TRUE(put(1, kStart + 3, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 3, 3}}}}));
}

TEST_F(StoreTest, a_failed_sync_refuses_the_batch_when_each_is_synced) {
  options_.sync = StoreOptions::Sync::kCommit;
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  files_.fail_call(FaultyFiles::Call::kSync, 1, EIO);
  EXPECT_EQ(put(1, kStart + 1, 2).error().code(), ErrorCode::kUnavailable);
  files_.heal();
  ASSERT_TRUE(put(1, kStart + 2, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 2, 3}}}}));
}

// --- Sealing ---

TEST_F(StoreTest, sealing_moves_windows_to_segments_without_a_gap_or_a_double) {
  open();
  for (TimestampMs t = 0; t <= 300'000; t += 1000) ASSERT_TRUE(put_all(7, kStart + t));
  const Content before = content();
  ASSERT_TRUE(store_->maintain(kStart + 300'000));
  EXPECT_GE(store_->stats().segments, 1U);
  EXPECT_EQ(content(), before);
  EXPECT_LE(store_->stats().head_samples, 7U * 110);
  EXPECT_GE(store_->stats().head_min_ms, kStart + 200'000);
  // The log is cut: what was there before the seal is gone from it.
  EXPECT_LT(store_->stats().wal_bytes, 100U);
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(7, kStart + 301'000));
  EXPECT_EQ(content(), expected(7, kStart, kStart + 301'000, 1000));
}

TEST_F(StoreTest, samples_before_the_sealed_boundary_are_too_old) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kTooOld);
  EXPECT_EQ(appender->append(ref, kStart + 199'000, 1), AppendOutcome::kOk);
  open();
  appender = store_->appender();
  const SeriesRef again = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(again, kStart, 1), AppendOutcome::kTooOld);
}

TEST_F(StoreTest, a_batch_gathered_before_its_window_was_sealed_is_refused_whole) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  EXPECT_EQ(appender->commit().error().code(), ErrorCode::kConflict);
}

TEST_F(StoreTest, series_without_new_samples_are_dropped_and_their_references_unknown) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  auto appender = store_->appender();
  const SeriesRef dead = *appender->series(series_labels(3));
  for (TimestampMs t = 10'000; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  EXPECT_EQ(store_->stats().head_series, 1U);
  EXPECT_EQ(appender->append(dead, kStart + 200'000, 1), AppendOutcome::kUnknownSeries);
  const SeriesRef again = *appender->series(series_labels(3));
  EXPECT_NE(again, dead);
  EXPECT_EQ(appender->append(again, kStart + 200'000, 5), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(dead, kStart + 200'000, 1), AppendOutcome::kUnknownSeries);
  ASSERT_TRUE(appender->commit());
  const Content before = content();
  ASSERT_EQ(before.size(), 10U);
  EXPECT_EQ(before.at(series_labels(3).to_string()).size(), 2U);
  open();
  EXPECT_EQ(content(), before);
}

TEST_F(StoreTest, a_selection_made_before_sealing_still_reads_what_it_saw) {
  open();
  for (TimestampMs t = 0; t <= 100'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const auto set = store_->select({}, 0, kAll, 100);
  ASSERT_TRUE(set);
  for (TimestampMs t = 101'000; t <= 400'000; t += 1000) ASSERT_TRUE(put(0, kStart + t, value_at(0, kStart + t)));
  ASSERT_TRUE(store_->maintain(kStart + 400'000));
  ASSERT_TRUE(store_->maintain(kStart + 401'000));
  Columns columns;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE((*set)->read(i, 0, kAll, columns));
    ASSERT_EQ(columns.size(), 101U) << i;
    EXPECT_EQ(columns.times.back(), kStart + 100'000);
  }
}

TEST_F(StoreTest, a_crash_at_any_step_of_sealing_loses_and_doubles_nothing) {
  using Call = FaultyFiles::Call;
  for (const Call call :
       {Call::kCreate, Call::kAppend, Call::kSync, Call::kRename, Call::kRemove, Call::kSyncDirectory, Call::kMap}) {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
      std::filesystem::remove_all(dir_.path());
      open();
      for (TimestampMs t = 0; t <= 140'000; t += 3000) ASSERT_TRUE(put_all(3, kStart + t));
      const Content before = content();
      files_.fail_call(call, nth, EIO);
      const auto maintained = store_->maintain(kStart + 140'000);
      // While it fails, everything can be read, and once the disk works again, written.
      EXPECT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      // The process dies here: nothing of what it holds reaches the disk any more.
      files_.heal();
      files_.crash();
      store_.reset();
      files_.heal();
      open();
      ASSERT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      ASSERT_TRUE(store_->maintain(kStart + 140'000));
      ASSERT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      ASSERT_EQ(store_->stats().segments, 1U);
      if (maintained) break;
    }
  }
}

TEST_F(StoreTest, sealing_that_failed_is_done_again_by_the_same_process) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const Content before = content();
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_FALSE(store_->maintain(kStart + 140'000));
  EXPECT_EQ(content(), before);
  files_.heal();
  EXPECT_TRUE(store_->maintain(kStart + 140'000));
  EXPECT_EQ(store_->stats().segments, 1U);
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(3, kStart + 141'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 141'000, 1000));
}

TEST_F(StoreTest, what_nothing_names_is_removed_when_opening) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  store_.reset();
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "segments" / "00000009.seg", "half"));
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "segments" / "00000010.seg.tmp", "half"));
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "head" / "00000009.chunks", "half"));
  open();
  EXPECT_TRUE(names("segments").empty());
  EXPECT_TRUE(names("head").empty());
  EXPECT_EQ(content().size(), 1U);
}

TEST_F(StoreTest, a_damaged_segment_is_set_aside_and_the_rest_is_served) {
  options_.retention_ms = 30 * 60'000;  // too short for merges
  open();
  for (TimestampMs t = 0; t <= 250'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 250'000));
  const auto segments = names("segments");
  ASSERT_GE(segments.size(), 2U);
  store_.reset();
  const auto path = dir_.path() / "segments" / segments[0];
  flip(path, std::filesystem::file_size(path) - 10);
  open();
  EXPECT_EQ(damaged_copies("segments"), 1U);
  const Content left = content();
  ASSERT_EQ(left.size(), 3U);
  EXPECT_LT(left.begin()->second.size(), 251U);
  EXPECT_EQ(left.begin()->second.back().first, kStart + 250'000);
}

TEST_F(StoreTest, a_damaged_file_of_chunks_is_set_aside_and_the_rest_is_served) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 140'000));
  ASSERT_TRUE(put_all(3, kStart + 141'000));
  store_.reset();
  const auto path = dir_.path() / "head" / "00000001.chunks";
  ASSERT_TRUE(std::filesystem::exists(path));
  flip(path, std::filesystem::file_size(path) - 100);
  open();
  EXPECT_EQ(damaged_copies("head"), 1U);
  Content left = content();
  ASSERT_EQ(left.size(), 3U);
  for (const auto& [labels, samples] : left) {
    EXPECT_EQ(samples.size(), 61U);  // the sealed minute, and what came after the log was cut
    EXPECT_EQ(samples.back().first, kStart + 141'000);
  }
  ASSERT_TRUE(put_all(3, kStart + 142'000));
  open();
  EXPECT_EQ(content().begin()->second.size(), 62U);
  EXPECT_EQ(damaged_copies("head"), 1U);
}

TEST_F(StoreTest, a_damaged_chunk_is_told_to_its_readers_and_passed_over_when_sealing) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 140'000));
  store_.reset();
  const auto path = dir_.path() / "head" / "00000001.chunks";
  flip(path, 30);
  open();
  const auto set = store_->select({}, 0, kAll, 100);
  ASSERT_TRUE(set);
  Columns columns;
  const auto damaged = (*set)->read(0, 0, kAll, columns);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().message().find(path.native()), std::string::npos);
  EXPECT_TRUE((*set)->read(1, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 141U);
  for (TimestampMs t = 141'000; t <= 240'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 240'000));
  EXPECT_EQ(store_->stats().head_min_ms, kStart + 180'000);
  const Content left = content();
  EXPECT_LT(left.at(series_labels(0).to_string()).size(), 241U);
  EXPECT_EQ(left.at(series_labels(1).to_string()).size(), 241U);
}

TEST_F(StoreTest, a_damaged_manifest_is_rebuilt_from_what_is_there) {
  open();
  for (TimestampMs t = 0; t <= 250'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const Content before = content();
  ASSERT_TRUE(store_->maintain(kStart + 250'000));
  store_.reset();
  flip(dir_.path() / "MANIFEST", 60);
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(3, kStart + 251'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 251'000, 1000));
}

TEST_F(StoreTest, a_newer_format_is_refused_by_name) {
  open();
  store_.reset();
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "MANIFEST", "quarterdeck-metrics-manifest 2\nx y\n"));
  const auto opened = Store::open(files_, dir_.path(), options_, base::Log::silent(), registry_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(opened.error().message().find("format 2"), std::string::npos);
}

// --- Ageing ---

TEST_F(StoreTest, retention_drops_segments_by_time) {
  options_.retention_ms = 300'000;
  open();
  for (TimestampMs t = 0; t <= 600'000; t += 5000) {
    ASSERT_TRUE(put_all(3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  const Content left = content();
  EXPECT_GE(left.begin()->second.front().first, kStart + 600'000 - 300'000 - 60'000);
  EXPECT_LE(left.begin()->second.front().first, kStart + 600'000 - 300'000);
  // A clock that was set far ahead drops nothing that is not old by the samples' own time.
  ASSERT_TRUE(store_->maintain(kStart + 1'000'000'000'000));
  EXPECT_EQ(content(), left);
}

TEST_F(StoreTest, retention_drops_the_oldest_segments_past_the_size) {
  open();
  for (TimestampMs t = 0; t <= 600'000; t += 5000) ASSERT_TRUE(put_all(50, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 600'000));
  const StoreStats before = store_->stats();
  ASSERT_GT(before.segments, 3U);
  options_.retention_bytes = before.segment_bytes / 2;
  store_->set_options(options_);
  ASSERT_TRUE(store_->maintain(kStart + 600'000));
  EXPECT_LT(store_->stats().segments, before.segments);
  EXPECT_LE(store_->stats().segment_bytes, options_.retention_bytes);
  EXPECT_EQ(names("segments").size(), store_->stats().segments);
}

TEST_F(StoreTest, segments_merge_as_they_age) {
  options_.retention_ms = 60 * 60'000;
  open();
  for (TimestampMs t = 0; t <= 1'200'000; t += 10'000) {
    ASSERT_TRUE(put_all(3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  EXPECT_LT(store_->stats().segments, 10U);
  EXPECT_GT(registry_.counter("quarterdeck_store_merges_total", "").value(), 2U);
  EXPECT_EQ(content(), expected(3, kStart, kStart + 1'200'000, 10'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 1'200'000, 10'000));
}

// --- All of it ---

TEST_F(StoreTest, random_histories_equal_a_naive_model) {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    std::filesystem::remove_all(dir_.path());
    std::mt19937 random(seed);
    options_.seal_interval_ms = 1000;
    options_.wal_segment_bytes = 20'000;
    options_.retention_ms = 0;
    open();
    std::map<int, std::map<TimestampMs, double>> model;
    TimestampMs now = kStart;
    for (int step = 0; step < 1500; ++step) {
      now += static_cast<TimestampMs>(random() % 60);
      auto appender = store_->appender();
      std::vector<std::tuple<int, TimestampMs, double>> batch;
      const int n = static_cast<int>(random() % 20);
      for (int k = 0; k < n; ++k) {
        const int series = static_cast<int>(random() % 40) + step / 200 * 10;
        const TimestampMs time = now - static_cast<TimestampMs>(random() % 10 == 0 ? random() % 3000 : 0);
        double value = static_cast<double>(random() % 1000) / (random() % 2 == 0 ? 1 : 8);
        if (random() % 20 == 0) value = model::stale_nan();
        const SeriesRef ref = *appender->series(series_labels(series));
        if (appender->append(ref, time, value) == AppendOutcome::kOk) batch.emplace_back(series, time, value);
      }
      const bool fails = random() % 50 == 0;
      if (fails) files_.fail_after_bytes(random() % 100, ENOSPC);
      const bool committed = appender->commit().has_value();
      files_.heal();
      if (committed) {
        for (const auto& [series, time, value] : batch) model[series].try_emplace(time, value);
      }
      if (random() % 10 == 0) ASSERT_TRUE(store_->maintain(now));
      if (random() % 150 == 0) {
        if (random() % 2 == 0) {
          files_.crash();
          store_.reset();
          files_.heal();
        }
        open();
      }
    }
    const auto compare = [&](TimestampMs from, TimestampMs to) {
      const Content found = content(from, to);
      std::size_t series_with_samples = 0;
      for (const auto& [series, samples] : model) {
        Samples wanted;
        for (const auto& [time, value] : samples) {
          if (time >= from && time <= to) wanted.emplace_back(time, value);
        }
        if (wanted.empty()) continue;
        ++series_with_samples;
        const auto it = found.find(series_labels(series).to_string());
        ASSERT_NE(it, found.end()) << series;
        ASSERT_EQ(it->second.size(), wanted.size()) << series;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          ASSERT_EQ(it->second[i].first, wanted[i].first);
          ASSERT_EQ(std::bit_cast<std::uint64_t>(it->second[i].second), std::bit_cast<std::uint64_t>(wanted[i].second));
        }
      }
      ASSERT_EQ(found.size(), series_with_samples);
    };
    compare(-kAll, kAll);
    for (int i = 0; i < 30; ++i) {
      const TimestampMs from = kStart + static_cast<TimestampMs>(random()) % (now - kStart);
      compare(from, from + static_cast<TimestampMs>(random() % 10'000));
    }
    EXPECT_GT(store_->stats().segments, 0U);
  }
}

TEST_F(StoreTest, it_tells_what_it_holds) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  auto appender = store_->appender();
  appender->metadata("m", {model::MetricType::kGauge, "An m.", "bytes"});
  const StoreStats stats = store_->stats();
  EXPECT_EQ(stats.head_series, 10U);
  EXPECT_EQ(stats.head_samples, 10U);
  EXPECT_EQ(stats.samples_appended, 10U);
  EXPECT_EQ(stats.head_min_ms, kStart);
  EXPECT_GT(stats.wal_bytes, 100U);
  const Cardinality cardinality = store_->cardinality(2);
  EXPECT_EQ(cardinality.series, 10U);
  EXPECT_EQ(cardinality.label_pairs, 13U);
  ASSERT_EQ(cardinality.values_by_label.size(), 2U);
  EXPECT_EQ(cardinality.values_by_label[0].name, "instance");
  EXPECT_EQ(cardinality.values_by_label[0].value, 10U);
  EXPECT_EQ(cardinality.series_by_metric[0].value, 10U);
  EXPECT_EQ(cardinality.series_by_pair[0].name, "__name__=m");
  EXPECT_EQ(store_->metadata().at("m").help, "An m.");
}

}  // namespace
}  // namespace qd::store::metrics
