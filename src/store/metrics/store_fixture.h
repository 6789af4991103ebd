// What the tests of the store share: a store in a directory of its own, on files that can be made to fail.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/faulty_files.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/store.h"

namespace qd::store::metrics {

using base::ErrorCode;
using base::FaultyFiles;

inline constexpr TimestampMs kStart = 1'699'999'980'000;  // where a window of a minute begins
inline constexpr TimestampMs kAll = model::kMaxTimestampMs;

// In memory where there is such a place: these tests sync thousands of times.
struct TempDir : base::TempDirectory {
  TempDir() : TempDirectory(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path()) {}
};

inline LabelSet series_labels(int i, std::string_view name = "m") {
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

  // A child opens the store and runs step(first), step(first + 1), … until it has acknowledged `last`, and is killed
  // somewhere behind that; returns how many steps it had acknowledged, those below `first` with them. One that step()
  // returns false for is not acknowledged, and ends the child too early, which fails the test. The store is closed here
  // meanwhile, and open afterwards.
  template <typename Step>
  int steps_before_a_kill(int first, int last, Step&& step) {
    store_.reset();
    int pipe_ends[2];
    EXPECT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    EXPECT_GE(child, 0);
    if (child == 0) {
      open();
      for (int n = first; store_ != nullptr && step(n); ++n) {
        if (::write(pipe_ends[1], &n, sizeof n) != sizeof n) break;
      }
      ::_exit(1);
    }
    ::close(pipe_ends[1]);
    int acknowledged = first;
    for (int n = 0; ::read(pipe_ends[0], &n, sizeof n) == sizeof n;) {
      acknowledged = n + 1;
      if (n == last) ::kill(child, SIGKILL);
    }
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    open();
    return acknowledged;
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

}  // namespace qd::store::metrics
