#include "base/files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/faulty_files.h"
#include "base/temp_directory.h"

namespace qd::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixFilesTest : public ::testing::Test {
 protected:
  std::string content(const std::string& name) { return read_file(files_, dir_ / name, 1 << 20).value(); }

  TempDirectory dir_;
  PosixFiles files_;
};

TEST_F(PosixFilesTest, appends_land_at_the_end_also_after_a_truncate) {
  const auto file = files_.create(dir_ / "log").value();
  ASSERT_TRUE(file->append(as_bytes("hello world")));
  ASSERT_TRUE(file->truncate(5));
  ASSERT_TRUE(file->append(as_bytes("!")));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(file->size().value(), 6U);
  const auto again = files_.open_append(dir_ / "log").value();
  ASSERT_TRUE(again->append(as_bytes("?")));
  EXPECT_EQ(content("log"), "hello!?");
}

TEST_F(PosixFilesTest, read_at_returns_less_only_at_the_end) {
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "a", "0123456789"));
  const auto file = files_.open_read(dir_ / "a").value();
  std::string into(4, ' ');
  EXPECT_EQ(file->read_at(3, std::as_writable_bytes(std::span(into))).value(), 4U);
  EXPECT_EQ(into, "3456");
  EXPECT_EQ(file->read_at(8, std::as_writable_bytes(std::span(into))).value(), 2U);
  EXPECT_EQ(file->read_at(100, std::as_writable_bytes(std::span(into))).value(), 0U);
}

TEST_F(PosixFilesTest, a_pipe_in_the_place_of_a_file_is_refused_without_waiting_for_its_writer) {
  ASSERT_EQ(::mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  const auto error = files_.open_read(dir_ / "pipe").error();
  EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  EXPECT_THAT(error.message(), HasSubstr("it is a pipe"));
  EXPECT_EQ(read_file(files_, dir_ / "pipe", 1 << 20).error().code(), ErrorCode::kInvalid);
}

TEST_F(PosixFilesTest, a_mapping_outlives_the_name_of_its_file) {
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "a", "mapped"));
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "empty", ""));
  const auto mapping = files_.map(dir_ / "a").value();
  ASSERT_TRUE(files_.remove(dir_ / "a"));
  EXPECT_EQ(as_text(mapping->bytes()), "mapped");
  EXPECT_TRUE(files_.map(dir_ / "empty").value()->bytes().empty());
  EXPECT_EQ(files_.map(dir_.path()).error().code(), ErrorCode::kInvalid);
}

TEST_F(PosixFilesTest, names_are_listed_sorted_and_removed_with_what_is_below) {
  ASSERT_TRUE(files_.create_directories(dir_ / "d/e/f"));
  for (const char* name : {"d/c", "d/a", "d/b"}) ASSERT_TRUE(files_.create(dir_ / name));
  EXPECT_THAT(files_.list(dir_ / "d").value(), ElementsAre("a", "b", "c", "e"));
  ASSERT_TRUE(files_.rename(dir_ / "d/a", dir_ / "d/b"));
  ASSERT_TRUE(files_.sync_directory(dir_ / "d"));
  EXPECT_THAT(files_.list(dir_ / "d").value(), ElementsAre("b", "c", "e"));
  ASSERT_TRUE(files_.remove(dir_ / "d"));
  EXPECT_FALSE(files_.exists(dir_ / "d").value());
  EXPECT_TRUE(files_.remove(dir_ / "d"));
}

TEST_F(PosixFilesTest, errors_name_the_path_and_what_the_system_said) {
  const auto error = files_.open_read(dir_ / "absent").error();
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr((dir_ / "absent").native() + ": No such file or directory"));
  EXPECT_FALSE(files_.list(dir_ / "absent"));
  EXPECT_FALSE(files_.rename(dir_ / "absent", dir_ / "b"));
  EXPECT_FALSE(files_.space(dir_ / "absent"));
}

TEST_F(PosixFilesTest, descriptors_are_not_inherited_by_programs_that_are_started) {
  const auto file = files_.create(dir_ / "a").value();
  // A shell started now sees no descriptor that leads into the directory.
  const std::string command = fmt::format("ls -l /proc/self/fd | grep -q {}", dir_.path().native());
  EXPECT_NE(std::system(command.c_str()), 0);
}

TEST_F(PosixFilesTest, the_lock_names_its_holder_and_ends_with_it) {
  auto lock = files_.lock(dir_ / "LOCK");
  ASSERT_TRUE(lock);
  // Also a second opener in the same process is refused.
  EXPECT_EQ(files_.lock(dir_ / "LOCK").error().code(), ErrorCode::kConflict);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto refused = files_.lock(dir_ / "LOCK");
    const bool named = !refused && refused.error().message().find(fmt::format("process {} holds it", ::getppid())) !=
                                       std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  lock->reset();
  EXPECT_TRUE(files_.lock(dir_ / "LOCK"));
}

TEST_F(PosixFilesTest, read_file_stops_at_its_limit_and_reads_files_without_a_size) {
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "a", std::string(200'000, 'x')));
  EXPECT_EQ(read_file(files_, dir_ / "a", 200'000).value().size(), 200'000U);
  EXPECT_EQ(read_file(files_, dir_ / "a", 199'999).error().code(), ErrorCode::kLimit);
  EXPECT_THAT(read_file(files_, "/proc/self/status", 1 << 20).value(), HasSubstr("Pid:"));
  EXPECT_EQ(read_file(files_, "/dev/zero", 1 << 20).error().code(), ErrorCode::kLimit);
}

TEST_F(PosixFilesTest, space_is_of_the_file_system) {
  const auto space = files_.space(dir_.path()).value();
  EXPECT_GT(space.total_bytes, 0U);
  EXPECT_LE(space.available_bytes, space.total_bytes);
}

using Call = FaultyFiles::Call;

class FaultyFilesTest : public PosixFilesTest {
 protected:
  FaultyFiles faulty_{files_};
};

TEST_F(FaultyFilesTest, a_full_disk_takes_what_fits_and_then_nothing) {
  const auto file = faulty_.create(dir_ / "a").value();
  faulty_.fail_after_bytes(6, ENOSPC);
  EXPECT_TRUE(file->append(as_bytes("1234")));
  const auto status = file->append(as_bytes("5678"));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("No space left"));
  EXPECT_FALSE(file->append(as_bytes("9")));
  EXPECT_EQ(content("a"), "123456");
  faulty_.heal();
  EXPECT_TRUE(file->append(as_bytes("9")));
  EXPECT_EQ(content("a"), "1234569");
}

TEST_F(FaultyFilesTest, the_nth_call_of_a_kind_and_the_later_ones_fail) {
  const auto file = faulty_.create(dir_ / "a").value();
  faulty_.fail_call(Call::kSync, 2, EIO);
  EXPECT_TRUE(file->sync());
  EXPECT_FALSE(file->sync());
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(file->append(as_bytes("x")));
  faulty_.heal();
  EXPECT_TRUE(file->sync());
}

TEST_F(FaultyFilesTest, every_kind_of_call_can_fail) {
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "a", "x"));
  const auto file = faulty_.open_append(dir_ / "a").value();
  std::byte byte{};
  for (const Call call : {Call::kAppend, Call::kSync, Call::kTruncate, Call::kCreate, Call::kOpen, Call::kRename,
                          Call::kRemove, Call::kSyncDirectory, Call::kMap, Call::kRead})
    faulty_.fail_call(call, 1, EIO);
  EXPECT_FALSE(file->append(as_bytes("x")));
  EXPECT_FALSE(file->sync());
  EXPECT_FALSE(file->truncate(0));
  EXPECT_FALSE(file->read_at(0, std::span(&byte, 1)));
  EXPECT_FALSE(faulty_.create(dir_ / "b"));
  EXPECT_FALSE(faulty_.open_append(dir_ / "b"));
  EXPECT_FALSE(faulty_.open_read(dir_ / "a"));
  EXPECT_FALSE(faulty_.map(dir_ / "a"));
  EXPECT_FALSE(faulty_.rename(dir_ / "a", dir_ / "b"));
  EXPECT_FALSE(faulty_.remove(dir_ / "a"));
  EXPECT_FALSE(faulty_.sync_directory(dir_.path()));
  EXPECT_THAT(files_.list(dir_.path()).value(), ElementsAre("a"));
  EXPECT_EQ(content("a"), "x");
}

TEST_F(FaultyFilesTest, after_a_crash_everything_succeeds_and_nothing_changes) {
  const auto file = faulty_.create(dir_ / "a").value();
  ASSERT_TRUE(file->append(as_bytes("before")));
  faulty_.crash();
  EXPECT_TRUE(file->append(as_bytes("after")));
  EXPECT_EQ(file->size().value(), 11U);
  EXPECT_TRUE(file->truncate(0));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(faulty_.create(dir_ / "a").value()->append(as_bytes("x")));
  EXPECT_TRUE(faulty_.open_append(dir_ / "b").value()->append(as_bytes("x")));
  EXPECT_TRUE(faulty_.create_directories(dir_ / "c"));
  EXPECT_TRUE(faulty_.rename(dir_ / "a", dir_ / "d"));
  EXPECT_TRUE(faulty_.remove(dir_ / "a"));
  EXPECT_THAT(files_.list(dir_.path()).value(), ElementsAre("a"));
  EXPECT_EQ(content("a"), "before");
}

TEST_F(FaultyFilesTest, an_atomic_write_that_fails_anywhere_leaves_the_old_content) {
  ASSERT_TRUE(write_file_atomically(files_, dir_ / "a", "old"));
  for (const Call call : {Call::kCreate, Call::kAppend, Call::kSync, Call::kRename}) {
    faulty_.fail_call(call, 1, EIO);
    EXPECT_FALSE(write_file_atomically(faulty_, dir_ / "a", "new"));
    faulty_.heal();
    EXPECT_EQ(content("a"), "old");
    EXPECT_THAT(files_.list(dir_.path()).value(), ElementsAre("a"));
  }
  faulty_.fail_after_bytes(1, ENOSPC);
  EXPECT_FALSE(write_file_atomically(faulty_, dir_ / "a", "new"));
  EXPECT_EQ(content("a"), "old");
}

}  // namespace
}  // namespace qd::base
