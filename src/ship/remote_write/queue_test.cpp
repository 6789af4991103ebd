#include "ship/remote_write/queue.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>

#include "base/bytes.h"
#include "base/faulty_files.h"
#include "base/temp_directory.h"

namespace qd::ship::remote_write {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

// In memory where there is such a place: these tests open and sync a lot.
fs::path parent() {
  return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path();
}

class QueueTest : public testing::Test {
 protected:
  base::Status open() {
    queue_.reset();
    auto opened = Queue::open(files_, dir_ / "forward", options_, base::Log::silent(), registry_);
    if (!opened) return base::fail(opened.error());
    queue_ = std::move(*opened);
    return {};
  }

  static std::string text(int i) { return fmt::format("request {} {}", i, std::string(100, 'x')); }
  void put(int from, int to) {
    for (int i = from; i < to; ++i) ASSERT_TRUE(queue_->append(1000 + i, 10, text(i))) << i;
  }
  Queue::Held hold(int i) { return queue_->hold(1000 + i, 10, text(i)).value(); }
  // Numbers of the requests that wait, reading to the end without acknowledging more than is read.
  std::vector<int> take_all() {
    std::vector<int> numbers;
    while (true) {
      auto found = queue_->read({.requests = 7});
      EXPECT_TRUE(found) << found.error().message();
      if (!found || found->empty()) return numbers;
      for (const auto& one : *found) {
        numbers.push_back(static_cast<int>(one.time_ms) - 1000);
        EXPECT_EQ(one.request, text(numbers.back()));
        EXPECT_EQ(one.samples, 10U);
      }
      queue_->acknowledge(found->back().end, found->size() * 10);
    }
  }
  static std::vector<int> range(int from, int to) {
    std::vector<int> all;
    for (int i = from; i < to; ++i) all.push_back(i);
    return all;
  }
  std::vector<fs::path> queue_files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(dir_ / "forward"))
      if (entry.path().extension() == ".queue") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void write(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  std::uint64_t counted(std::string_view name) {
    for (const auto& family : registry_.collect())
      if (family.name == name) return static_cast<std::uint64_t>(family.samples.front().value);
    return 0;
  }

  base::TempDirectory dir_{parent()};
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::Registry registry_;
  QueueOptions options_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(QueueTest, what_is_held_holds_up_what_follows_until_it_is_kept) {
  ASSERT_TRUE(open());
  put(0, 2);
  const auto held = hold(2);
  put(3, 5);
  EXPECT_EQ(take_all(), range(0, 2));
  EXPECT_EQ(queue_->stats().samples, 30U);
  queue_->settle(held, true);
  EXPECT_EQ(take_all(), range(2, 5));
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(QueueTest, what_is_taken_back_is_not_read_and_gives_its_room_back) {
  ASSERT_TRUE(open());
  put(0, 2);
  const auto bytes = queue_->stats().bytes;
  for (int i = 0; i < 100; ++i) {
    const auto first = hold(50);
    const auto second = hold(51);
    if (i % 2 == 0) ASSERT_TRUE(queue_->sync());
    queue_->settle(i % 3 == 0 ? first : second, false);
    queue_->settle(i % 3 == 0 ? second : first, false);
    EXPECT_EQ(queue_->stats().bytes, bytes);
    EXPECT_EQ(queue_->stats().samples, 20U);
  }
  put(2, 3);
  ASSERT_TRUE(queue_->sync());
  EXPECT_EQ(take_all(), range(0, 3));
  EXPECT_EQ(queue_->stats().bytes, 0U);
  // Among others.
  put(3, 4);
  const auto back = hold(50);
  put(4, 5);
  queue_->settle(back, false);
  EXPECT_EQ(take_all(), range(3, 5));
  EXPECT_EQ(queue_->stats().bytes, 0U);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(QueueTest, what_is_held_at_a_crash_is_read_after_it) {
  ASSERT_TRUE(open());
  put(0, 1);
  (void)hold(1);
  put(2, 3);
  ASSERT_TRUE(open());
  EXPECT_EQ(take_all(), range(0, 3));
}

TEST_F(QueueTest, whatever_comes_goes_and_is_taken_back_the_rest_is_read_once_and_in_order) {
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    std::filesystem::remove_all(dir_ / "forward");
    options_.bytes_max = 16'000;  // files of 2,000: some fifteen records each
    ASSERT_TRUE(open());
    std::mt19937 random(seed);
    std::map<int, Queue::Held> open_holds;
    std::set<int> kept;
    std::vector<int> read;
    int next = 0;
    for (int step = 0; step < 2'000; ++step) {
      const auto dice = random() % 10;
      if (dice < 5) {
        const auto held = queue_->hold(1000 + next, 10, text(next));
        if (held) open_holds.emplace(next++, *held);
      } else if (dice < 8 && !open_holds.empty()) {
        const auto it = std::next(open_holds.begin(), static_cast<int>(random() % open_holds.size()));
        const bool keep = random() % 2 == 0;
        queue_->settle(it->second, keep);
        if (keep) kept.insert(it->first);
        open_holds.erase(it);
      } else if (dice == 8) {
        ASSERT_TRUE(queue_->sync());
      } else {
        for (const int i : take_all()) read.push_back(i);
      }
    }
    for (const auto& [i, held] : open_holds) queue_->settle(held, false);
    for (const int i : take_all()) read.push_back(i);
    EXPECT_EQ(read, std::vector<int>(kept.begin(), kept.end())) << seed;
    EXPECT_GT(kept.size(), 100U) << seed;
    EXPECT_EQ(queue_->stats().samples, 0U) << seed;
    EXPECT_EQ(queue_->stats().bytes, 0U) << seed;
    EXPECT_LE(queue_files().size(), 2U) << seed;
    ASSERT_TRUE(queue_->sync());
    ASSERT_TRUE(open());
    EXPECT_TRUE(take_all().empty()) << seed;
  }
}

TEST_F(QueueTest, gives_in_order_what_was_put_and_again_until_it_is_acknowledged) {
  ASSERT_TRUE(open());
  EXPECT_TRUE(queue_->read({})->empty());
  EXPECT_EQ(queue_->stats().oldest_ms, 0);
  put(0, 20);
  EXPECT_EQ(queue_->stats().samples, 200U);
  EXPECT_EQ(queue_->stats().oldest_ms, 1000);
  EXPECT_EQ(queue_->read({.requests = 5})->size(), 5U);
  const auto first = queue_->read({.requests = 5});
  EXPECT_EQ(first->front().time_ms, 1000);
  queue_->acknowledge(first->back().end, 50);
  EXPECT_EQ(queue_->stats().samples, 150U);
  EXPECT_EQ(take_all(), range(5, 20));
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(queue_->stats().bytes, 0U);
  EXPECT_EQ(queue_->stats().oldest_ms, 0);
  put(20, 22);
  EXPECT_EQ(queue_->stats().oldest_ms, 1020);
  EXPECT_EQ(take_all(), range(20, 22));
}

TEST_F(QueueTest, read_stops_at_each_of_its_limits_but_gives_one) {
  ASSERT_TRUE(open());
  put(0, 20);
  EXPECT_EQ(queue_->read({.requests = 3})->size(), 3U);
  EXPECT_EQ(queue_->read({.samples = 25})->size(), 3U);
  EXPECT_EQ(queue_->read({.bytes = 300})->size(), 3U);
  EXPECT_EQ(queue_->read({.bytes = 1})->size(), 1U);
}

TEST_F(QueueTest, goes_on_after_a_restart_where_the_last_sync_says) {
  ASSERT_TRUE(open());
  put(0, 10);
  const auto some = queue_->read({.requests = 4});
  queue_->acknowledge(some->back().end, 40);
  ASSERT_TRUE(queue_->sync());
  const auto more = queue_->read({.requests = 2});
  queue_->acknowledge(more->back().end, 20);
  put(10, 12);
  // The process dies: what was acknowledged since the sync is given once more.
  ASSERT_TRUE(open());
  EXPECT_EQ(queue_->stats().samples, 80U);
  EXPECT_EQ(queue_->stats().oldest_ms, 1004);
  put(12, 14);
  EXPECT_EQ(take_all(), range(4, 14));
  ASSERT_TRUE(queue_->sync());
  ASSERT_TRUE(open());
  EXPECT_EQ(take_all(), range(0, 0));
  EXPECT_EQ(queue_files().size(), 1U) << "files of which nothing waits are removed";
}

TEST_F(QueueTest, keeps_what_was_whole_wherever_a_crash_cuts_the_last_file) {
  ASSERT_TRUE(open());
  put(0, 3);
  const fs::path path = queue_files().back();
  const std::string whole = read(path);
  const std::size_t record = (whole.size() - kQueueHeaderBytes) / 3;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    queue_.reset();
    fs::remove_all(dir_ / "forward");
    fs::create_directories(dir_ / "forward");
    write(path, whole.substr(0, size));
    ASSERT_TRUE(open()) << size;
    const int kept = size < kQueueHeaderBytes ? 0 : static_cast<int>((size - kQueueHeaderBytes) / record);
    put(3, 5);
    auto expected = range(0, kept);
    expected.push_back(3);
    expected.push_back(4);
    EXPECT_EQ(take_all(), expected) << size;
  }
  EXPECT_EQ(counted("quarterdeck_forward_damaged_parts_total"), 0U);
}

TEST_F(QueueTest, a_flipped_bit_costs_one_request) {
  ASSERT_TRUE(open());
  put(0, 5);
  const fs::path path = queue_files().back();
  const std::string whole = read(path);
  const std::size_t record = (whole.size() - kQueueHeaderBytes) / 5;
  for (std::size_t at = kQueueHeaderBytes; at < whole.size(); at += 5) {
    queue_.reset();
    fs::remove_all(dir_ / "forward");
    fs::create_directories(dir_ / "forward");
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    write(path, changed);
    ASSERT_TRUE(open()) << at;
    auto expected = range(0, 5);
    expected.erase(expected.begin() + static_cast<std::ptrdiff_t>((at - kQueueHeaderBytes) / record));
    EXPECT_EQ(take_all(), expected) << at;
    EXPECT_EQ(queue_->stats().samples, 0U);
  }
}

TEST_F(QueueTest, damage_while_it_runs_is_passed_over_and_told_once) {
  ASSERT_TRUE(open());
  put(0, 5);
  const fs::path path = queue_files().back();
  std::string bytes = read(path);
  const std::size_t record = (bytes.size() - kQueueHeaderBytes) / 5;
  bytes[kQueueHeaderBytes + 2 * record + 50] ^= 1;
  write(path, bytes);
  EXPECT_EQ(queue_->read({})->size(), 2U);
  EXPECT_EQ(queue_->read({})->size(), 2U);
  EXPECT_EQ(counted("quarterdeck_forward_damaged_parts_total"), 0U) << "not reached yet";
  EXPECT_EQ(take_all(), (std::vector<int>{0, 1, 3, 4}));
  EXPECT_EQ(counted("quarterdeck_forward_damaged_parts_total"), 1U);
  put(5, 6);
  EXPECT_EQ(take_all(), range(5, 6));
}

TEST_F(QueueTest, a_file_that_was_taken_away_is_passed_over) {
  options_.bytes_max = 16'000;  // files of 2000 bytes
  ASSERT_TRUE(open());
  put(0, 60);
  ASSERT_GT(queue_files().size(), 3U);
  fs::remove(queue_files()[1]);
  const auto left = take_all();
  EXPECT_EQ(left.front(), 0);
  EXPECT_EQ(left.back(), 59);
  EXPECT_LT(left.size(), 60U);
  EXPECT_GT(left.size(), 35U);
  EXPECT_EQ(counted("quarterdeck_forward_damaged_parts_total"), 1U);
}

TEST_F(QueueTest, what_the_disk_does_not_give_is_passed_over_after_many_tries) {
  ASSERT_TRUE(open());
  put(0, 300);
  // In the middle of the one file, as sectors.
  const fs::path path = queue_files().back();
  files_.fail_reads_of(path, 8192, 16384);
  int failed = 0;
  std::vector<int> taken;
  for (int tries = 0; tries < 1000 && (taken.empty() || taken.back() < 299); ++tries) {
    const auto found = queue_->read({.requests = 7});
    failed += found ? 0 : 1;
    if (!found) continue;
    ASSERT_FALSE(found->empty());
    for (const auto& one : *found) taken.push_back(static_cast<int>(one.time_ms) - 1000);
    queue_->acknowledge(found->back().end, found->size() * 10);
  }
  EXPECT_EQ(failed, 100) << "it may be readable again";
  EXPECT_GE(counted("quarterdeck_forward_damaged_parts_total"), 1U);
  // Of records of some 130 bytes: those in the two sectors, and the ones across their ends.
  ASSERT_FALSE(taken.empty());
  EXPECT_EQ(taken.front(), 0);
  EXPECT_EQ(taken.back(), 299);
  EXPECT_LT(taken.size(), 245U);
  EXPECT_GT(taken.size(), 225U);
  EXPECT_TRUE(std::ranges::is_sorted(taken));
  EXPECT_EQ(queue_->stats().samples, 0U);
  // It held up nothing that comes later.
  put(300, 310);
  EXPECT_EQ(take_all(), range(300, 310));
}

TEST_F(QueueTest, what_stands_before_a_bad_part_goes_out_without_waiting) {
  options_.bytes_max = 16'000;  // files of 2000 bytes
  ASSERT_TRUE(open());
  put(0, 60);
  const auto paths = queue_files();
  ASSERT_GT(paths.size(), 3U);
  files_.fail_reads_of(paths[1], 0, 4096);
  files_.fail_reads_of(paths[2], 0, 4096);
  // All of the first file, whatever the second does.
  const auto found = queue_->read({});
  ASSERT_TRUE(found && !found->empty());
  const int before = static_cast<int>(found->back().time_ms) - 1000;
  queue_->acknowledge(found->back().end, found->size() * 10);
  int failed = 0;
  while (true) {
    const auto next = queue_->read({});
    if (next) {
      ASSERT_FALSE(next->empty());
      EXPECT_GT(next->front().time_ms - 1000, before + 1);
      break;
    }
    ASSERT_LT(++failed, 1000);
  }
  EXPECT_EQ(failed, 200) << "for each of the two files";
  EXPECT_EQ(take_all().back(), 59);
}

TEST_F(QueueTest, a_later_fault_of_a_file_that_was_given_up_is_waited_for_again) {
  ASSERT_TRUE(open());
  put(0, 300);
  const fs::path path = queue_files().back();
  files_.fail_reads_of(path, 8192, 12288);
  for (int tries = 0; tries < 400; ++tries) {
    const auto found = queue_->read({.requests = 20});
    if (!found) continue;
    queue_->acknowledge(found->back().end, found->size() * 10);
    if (found->front().time_ms > 1150) break;
  }
  files_.fail_call(base::FaultyFiles::Call::kOpen, 1, EIO);
  for (int tries = 0; tries < 90; ++tries) EXPECT_FALSE(queue_->read({}));
  files_.heal();
  const auto left = take_all();
  ASSERT_FALSE(left.empty());
  EXPECT_LT(left.front(), 200);
  EXPECT_EQ(left, range(left.front(), 300));
}

TEST_F(QueueTest, want_of_descriptors_is_no_fault_of_the_disk) {
  ASSERT_TRUE(open());
  put(0, 5);
  files_.fail_call(base::FaultyFiles::Call::kOpen, 1, EMFILE);
  for (int tries = 0; tries < 300; ++tries) EXPECT_FALSE(queue_->read({}));
  files_.heal();
  EXPECT_EQ(take_all(), range(0, 5));
}

TEST_F(QueueTest, a_start_reads_past_bad_sectors) {
  ASSERT_TRUE(open());
  put(0, 300);
  const auto size = fs::file_size(queue_files().back());
  files_.fail_reads_of(queue_files().back(), 8192, 12288);
  ASSERT_TRUE(open());
  EXPECT_GT(queue_->stats().samples, 500U) << "those before the bad part";
  EXPECT_EQ(fs::file_size(queue_files().front()), size) << "nothing is cut off";
  files_.heal();
  EXPECT_EQ(take_all(), range(0, 300));
}

TEST_F(QueueTest, a_disk_that_reads_again_costs_nothing) {
  ASSERT_TRUE(open());
  put(0, 20);
  for (int round = 0; round < 3; ++round) {
    files_.fail_call(base::FaultyFiles::Call::kRead, 1, EIO);
    for (int tries = 0; tries < 90; ++tries) EXPECT_FALSE(queue_->read({}));
    files_.heal();
    EXPECT_EQ(queue_->read({})->size(), 20U);
  }
  EXPECT_EQ(take_all(), range(0, 20));
  EXPECT_EQ(counted("quarterdeck_forward_damaged_parts_total"), 0U);
}

TEST_F(QueueTest, a_file_that_it_may_not_read_waits) {
  ASSERT_TRUE(open());
  put(0, 5);
  files_.fail_call(base::FaultyFiles::Call::kOpen, 1, EACCES);
  for (int tries = 0; tries < 300; ++tries) EXPECT_FALSE(queue_->read({}));
  files_.heal();
  EXPECT_EQ(take_all(), range(0, 5));
}

TEST_F(QueueTest, a_file_that_cannot_be_opened_is_passed_over_after_many_tries) {
  options_.bytes_max = 16'000;  // files of 2000 bytes
  ASSERT_TRUE(open());
  put(0, 60);
  files_.fail_call(base::FaultyFiles::Call::kOpen, 1, EIO);
  for (int tries = 0; tries < 101; ++tries) EXPECT_FALSE(queue_->read({}));
  files_.heal();
  const auto left = take_all();
  EXPECT_GT(left.front(), 0);
  EXPECT_LT(left.front(), 20) << "the first file alone";
  EXPECT_EQ(left.back(), 59);
  EXPECT_GE(counted("quarterdeck_forward_damaged_parts_total"), 1U);
}

TEST_F(QueueTest, reads_past_damage_that_is_larger_than_what_it_looks_at_at_once) {
  ASSERT_TRUE(open());
  put(0, 2);
  const fs::path path = queue_files().back();
  std::string bytes = read(path);
  const std::size_t record = (bytes.size() - kQueueHeaderBytes) / 2;
  queue_.reset();
  bytes.insert(kQueueHeaderBytes + record, std::string(5 * kRecordBytesMax + 17, 'Q'));
  write(path, bytes);
  ASSERT_TRUE(open());
  EXPECT_EQ(take_all(), range(0, 2));
}

TEST_F(QueueTest, refuses_what_a_newer_version_wrote) {
  ASSERT_TRUE(open());
  put(0, 1);
  const fs::path path = queue_files().back();
  std::string bytes = read(path);
  bytes[4] = 2;
  queue_.reset();
  write(path, bytes);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(opened.error().message().find("format 2"), std::string::npos) << opened.error().message();
  bytes[4] = 1;
  write(path, bytes);
  write(dir_ / "forward/POSITION", "quarterdeck-forward-position 7\nsomething new\n");
  const auto again = open();
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message().find("format 7"), std::string::npos) << again.error().message();
}

TEST_F(QueueTest, a_damaged_position_costs_that_all_is_sent_again) {
  ASSERT_TRUE(open());
  put(0, 4);
  const auto some = queue_->read({.requests = 2});
  queue_->acknowledge(some->back().end, 20);
  ASSERT_TRUE(queue_->sync());
  queue_.reset();
  std::string position = read(dir_ / "forward/POSITION");
  position[position.find("offset ") + 7] ^= 1;
  write(dir_ / "forward/POSITION", position);
  ASSERT_TRUE(open());
  EXPECT_EQ(take_all(), range(0, 4));
}

TEST_F(QueueTest, sheds_what_comes_when_it_is_full_and_takes_on_when_there_is_room) {
  options_.bytes_max = 16'000;
  ASSERT_TRUE(open());
  int kept = 0;
  base::Status last;
  while ((last = queue_->append(1000 + kept, 10, text(kept)))) ++kept;
  EXPECT_EQ(last.error().code(), ErrorCode::kLimit);
  EXPECT_NE(last.error().message().find("forward.queue_bytes"), std::string::npos);
  EXPECT_GT(kept, 80);
  std::uint64_t bytes = 0;
  for (const auto& path : queue_files()) bytes += fs::file_size(path);
  EXPECT_LE(bytes, options_.bytes_max);
  // Nothing of what waits was lost for it, and room comes with what is sent.
  const auto some = queue_->read({.requests = 40});
  ASSERT_EQ(some->size(), 40U);
  queue_->acknowledge(some->back().end, 400);
  put(kept, kept + 10);
  EXPECT_EQ(take_all(), range(40, kept + 10));
  // But for what the last file still holds of it.
  put(0, kept - 20);
  EXPECT_EQ(take_all(), range(0, kept - 20));
}

TEST_F(QueueTest, a_full_disk_keeps_nothing_of_what_did_not_fit) {
  ASSERT_TRUE(open());
  put(0, 3);
  for (const std::uint64_t fits : {0, 1, 11, 12, 60}) {
    files_.fail_after_bytes(fits, ENOSPC);
    const auto status = queue_->append(2000, 10, text(99));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
    files_.heal();
  }
  put(3, 5);
  EXPECT_EQ(take_all(), range(0, 5));
  // And when the torn end cannot be cut either, nothing is written behind it until it can.
  files_.fail_after_bytes(20, ENOSPC);
  files_.fail_call(base::FaultyFiles::Call::kTruncate, 1, EIO);
  EXPECT_FALSE(queue_->append(2000, 10, text(99)));
  EXPECT_FALSE(queue_->append(2000, 10, text(99)));
  files_.heal();
  put(5, 7);
  EXPECT_EQ(take_all(), range(5, 7));
  ASSERT_TRUE(open());
  EXPECT_EQ(counted("quarterdeck_forward_torn_tails_total"), 0U);
}

TEST_F(QueueTest, a_request_that_cannot_be_synced_is_not_kept_where_each_is) {
  options_.sync_each = true;
  ASSERT_TRUE(open());
  put(0, 1);
  files_.fail_call(base::FaultyFiles::Call::kSync, 1, EIO);
  EXPECT_FALSE(queue_->append(2000, 10, text(99)));
  files_.heal();
  put(1, 2);
  EXPECT_EQ(take_all(), range(0, 2));
}

TEST_F(QueueTest, never_uses_a_number_twice) {
  ASSERT_TRUE(open());
  put(0, 2);
  EXPECT_EQ(take_all(), range(0, 2));
  ASSERT_TRUE(queue_->sync());
  queue_.reset();
  // The file's content was never on the device and is gone with the power; the position was.
  for (const auto& path : queue_files()) fs::remove(path);
  ASSERT_TRUE(open());
  put(2, 4);
  EXPECT_EQ(take_all(), range(2, 4));
}

TEST_F(QueueTest, refuses_a_request_that_no_record_holds) {
  ASSERT_TRUE(open());
  EXPECT_EQ(queue_->append(1, 1, std::string(kRequestBytesMax + 1, 'x')).error().code(), ErrorCode::kLimit);
  EXPECT_TRUE(queue_->append(1, 1, std::string(kRequestBytesMax, 'x')));
  EXPECT_EQ(queue_->read({})->front().request.size(), kRequestBytesMax);
}

}  // namespace
}  // namespace qd::ship::remote_write
