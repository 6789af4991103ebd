#include "observe/nginx/log_tail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/temp_directory.h"

namespace qd::observe::nginx {
namespace {

struct Lines final : LineSink {
  void line(std::string_view text) override { all += std::string(text) + "|"; }
  void overlong_line() override { all += "overlong|"; }
  std::string take() { return std::exchange(all, {}); }
  std::string all;
};

TEST(LineReader, gives_the_same_lines_however_the_bytes_come) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 300; ++i) {
    switch (random() % 6) {
      case 0:
        text += '\n';
        break;
      case 1:
        text += std::string(LineReader::kLineBytesMax - 3 + random() % 6, 'x');
        break;
      case 2:
        text += std::string("\0\xff\r", 3);
        break;
      default:
        text += std::string(random() % 200, 'y') + "\n";
        break;
    }
  }
  Lines whole;
  LineReader reader;
  reader.feed(text, whole);
  reader.finish(whole);
  for (int round = 0; round < 20; ++round) {
    Lines pieces;
    LineReader again;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + random() % (round % 2 == 0 ? 40'000 : 700));
      again.feed(std::string_view(text).substr(at, size), pieces);
      at += size;
    }
    again.finish(pieces);
    ASSERT_EQ(pieces.all, whole.all);
  }
}

TEST(LineReader, passes_over_a_line_without_end_and_keeps_no_more_than_its_bound) {
  LineReader reader;
  Lines lines;
  const std::string part(100'000, 'x');
  for (int i = 0; i < 1000; ++i) reader.feed(part, lines);
  EXPECT_EQ(lines.take(), "overlong|");
  reader.feed("tail\nnext\n", lines);
  EXPECT_EQ(lines.take(), "next|");
}

class LogTailTest : public ::testing::Test {
 protected:
  void append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  std::string read(LogTail& tail) {
    const auto status = tail.read(std::numeric_limits<std::int64_t>::max(), clock_, lines_);
    return status ? lines_.take() : "error: " + status.error().message();
  }

  base::TempDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "access.log";
  base::ManualClock clock_;
  Lines lines_;
};

TEST_F(LogTailTest, begins_at_the_end_and_keeps_a_line_that_is_not_ended) {
  append("old 1\nold 2\nhalf");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  append(" of an old one\nnew 1\nnew");
  EXPECT_EQ(read(tail), "new 1|");
  EXPECT_EQ(read(tail), "");
  append(" 2\n\n");
  EXPECT_EQ(read(tail), "new 2|");
}

TEST_F(LogTailTest, reads_a_file_that_appears_later_from_its_start) {
  LogTail tail(path_);
  EXPECT_TRUE(read(tail).starts_with("error: there is no access log " + path_.string())) << read(tail);
  append("1\n2\n");
  EXPECT_EQ(read(tail), "1|2|");
}

TEST_F(LogTailTest, follows_a_renaming_and_reads_what_was_written_to_the_old_file_after_it) {
  append("0\n");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  append("1\n");
  const std::filesystem::path old = path_.string() + ".1";
  std::filesystem::rename(path_, old);
  // nginx has not been told yet.
  EXPECT_EQ(read(tail), "1|");
  std::ofstream(old, std::ios::app) << "2\n";
  EXPECT_EQ(read(tail), "2|");
  append("4\n");
  EXPECT_EQ(read(tail), "4|");
  // A worker that had not opened the new one.
  std::ofstream(old, std::ios::app) << "3\nlast without end";
  append("5\n");
  EXPECT_EQ(read(tail), "3|last without end|5|");
  append("6\n");
  EXPECT_EQ(read(tail), "6|");
}

TEST_F(LogTailTest, a_file_of_the_same_number_of_bytes_is_a_new_one) {
  append("0\n");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  for (int i = 0; i < 5; ++i) {
    std::filesystem::rename(path_, path_.string() + ".1");
    append("x\n");
    EXPECT_EQ(read(tail), "x|");
  }
}

TEST_F(LogTailTest, sees_that_a_file_was_cut_even_when_it_has_grown_past_the_place_reached) {
  append("0\n");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  append("a long line\nhalf");
  EXPECT_EQ(read(tail), "a long line|");
  std::filesystem::resize_file(path_, 0);
  append("1\n");
  EXPECT_EQ(read(tail), "1|");
  std::filesystem::resize_file(path_, 0);
  append("the first after it was cut\nthe second\n");
  EXPECT_EQ(read(tail), "the first after it was cut|the second|");
  std::filesystem::resize_file(path_, 0);
  EXPECT_EQ(read(tail), "");
  append("2\n");
  EXPECT_EQ(read(tail), "2|");
}

TEST_F(LogTailTest, a_pass_ends_at_its_deadline_and_the_next_goes_on) {
  append("0\n");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  append("1\n2\n");
  ASSERT_TRUE(tail.read(clock_.monotonic_ns(), clock_, lines_));
  EXPECT_EQ(lines_.take(), "");
  EXPECT_EQ(tail.bytes_behind(), 4);
  EXPECT_EQ(read(tail), "1|2|");
  EXPECT_EQ(tail.bytes_behind(), 0);
}

TEST_F(LogTailTest, a_pass_reads_a_bounded_number_of_bytes) {
  append("0\n");
  LogTail tail(path_);
  EXPECT_EQ(read(tail), "");
  // A hole reads as NUL bytes, and is one line.
  std::filesystem::resize_file(path_, LogTail::kPassBytesMax + 1'000'000);
  append("\n1\n");
  EXPECT_EQ(read(tail), "overlong|");
  EXPECT_GT(tail.bytes_behind(), 900'000);
  EXPECT_EQ(read(tail), "1|");
}

TEST_F(LogTailTest, says_what_is_wrong_with_what_is_no_log) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  LogTail tail(path_);
  EXPECT_TRUE(read(tail).find("is no regular file") != std::string::npos) << read(tail);
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_TRUE(read(tail).find("is no regular file") != std::string::npos) << read(tail);
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::filesystem::remove(path_);
  append("1\n");
  std::filesystem::permissions(path_, std::filesystem::perms::none);
  const std::string error = read(tail);
  EXPECT_NE(error.find(path_.string()), std::string::npos);
  EXPECT_NE(error.find("group adm"), std::string::npos);
}

}  // namespace
}  // namespace qd::observe::nginx
