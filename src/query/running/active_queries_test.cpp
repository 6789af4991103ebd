#include "query/running/active_queries.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "base/temp_directory.h"

namespace qd::query::running {
namespace {

ActiveQuery query(std::string text, model::TimestampMs begun_ms = 1'000) {
  return {.principal = "token grafana",
          .text = std::move(text),
          .begun_ms = begun_ms,
          .start_ms = 1'700'000'000'000,
          .end_ms = 1'700'003'600'000,
          .step_ms = 15'000};
}

class ActiveQueriesTest : public ::testing::Test {
 protected:
  std::vector<ActiveQuery> running() {
    const auto read = ActiveQueries::read(files_, path_);
    EXPECT_TRUE(read) << read.error().message();
    return read.value_or(std::vector<ActiveQuery>());
  }

  base::TempDirectory dir_;
  base::PosixFiles files_;
  const std::filesystem::path path_ = dir_ / "queries.active";
};

TEST_F(ActiveQueriesTest, a_query_is_in_the_file_while_it_runs) {
  ActiveQueries active(files_, path_, base::Log::silent());
  EXPECT_TRUE(running().empty());
  std::optional<ActiveQueries::Entry> first = active.begin(query("up", 2'000));
  {
    const auto second = active.begin(query("sum(rate(a[5m]))", 1'000));
    const auto found = running();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].text, "sum(rate(a[5m]))");
    EXPECT_EQ(found[1].text, "up");
    EXPECT_EQ(found[1].principal, "token grafana");
    EXPECT_EQ(found[1].begun_ms, 2'000);
    EXPECT_EQ(found[1].start_ms, 1'700'000'000'000);
    EXPECT_EQ(found[1].end_ms, 1'700'003'600'000);
    EXPECT_EQ(found[1].step_ms, 15'000);
  }
  EXPECT_EQ(running().size(), 1U);
  first.reset();
  EXPECT_TRUE(running().empty());
}

TEST_F(ActiveQueriesTest, what_ran_when_the_process_was_killed_is_found) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ActiveQueries active(files_, path_, base::Log::silent());
    const auto entry = active.begin(query("the_one_that_took_all_memory"));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(running().size(), 1U);
  EXPECT_EQ(running()[0].text, "the_one_that_took_all_memory");

  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  {
    const base::SystemClock clock;
    base::Log log(clock, pipe[1], base::LogFormat::kJson, base::LogLevel::kInfo);
    const ActiveQueries next(files_, path_, log);
  }
  ::close(pipe[1]);
  std::string told(4096, '\0');
  told.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(pipe[0], told.data(), told.size()))));
  ::close(pipe[0]);
  EXPECT_NE(told.find("the_one_that_took_all_memory"), std::string::npos) << told;
  EXPECT_NE(told.find("token grafana"), std::string::npos) << told;
  EXPECT_TRUE(running().empty());
}

TEST_F(ActiveQueriesTest, a_long_text_is_told_by_its_beginning) {
  ActiveQueries active(files_, path_, base::Log::silent());
  const std::string text = "begin" + std::string(100'000, 'x');
  const auto entry = active.begin(query(text));
  ASSERT_EQ(running().size(), 1U);
  EXPECT_GT(running()[0].text.size(), 1'500U);
  EXPECT_TRUE(text.starts_with(running()[0].text));
}

TEST_F(ActiveQueriesTest, more_queries_than_slots_run_without_one) {
  ActiveQueries active(files_, path_, base::Log::silent());
  std::vector<ActiveQueries::Entry> entries;
  for (std::size_t i = 0; i < ActiveQueries::kSlots + 5; ++i) entries.push_back(active.begin(query("up")));
  EXPECT_EQ(running().size(), ActiveQueries::kSlots);
  entries.clear();
  EXPECT_TRUE(running().empty());
  const auto again = active.begin(query("up"));
  EXPECT_EQ(running().size(), 1U);
}

TEST_F(ActiveQueriesTest, a_torn_slot_is_passed_over_and_another_file_refused) {
  {
    ActiveQueries active(files_, path_, base::Log::silent());
    const auto first = active.begin(query("first"));
    const auto second = active.begin(query("second"));
    auto content = base::read_file(files_, path_, 1 << 20);
    ASSERT_TRUE(content);
    content->at(content->find("first")) = 'F';
    const auto torn = dir_ / "torn";
    ASSERT_TRUE(base::write_file_atomically(files_, torn, *content));
    const auto found = ActiveQueries::read(files_, torn);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ((*found)[0].text, "second");
  }
  const auto other = dir_ / "other";
  ASSERT_TRUE(base::write_file_atomically(files_, other, "[]"));
  const auto refused = ActiveQueries::read(files_, other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kCorrupt);
  // And replaced.
  const ActiveQueries fresh(files_, other, base::Log::silent());
  EXPECT_TRUE(ActiveQueries::read(files_, other));
}

TEST_F(ActiveQueriesTest, without_a_file_queries_run_all_the_same) {
  ActiveQueries active(files_, dir_ / "none" / "queries.active", base::Log::silent());
  const auto entry = active.begin(query("up"));
}

}  // namespace
}  // namespace qd::query::running
