#include "observe/host/slow_mounts.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "base/mutex.h"

namespace qd::observe::host {
namespace {

using std::chrono::milliseconds;

// A kernel in which paths hang until they are released. Shared: threads that hang outlive a SlowMounts.
struct Kernel {
  base::Mutex mutex;
  base::CondVar changed;
  std::set<std::string> hanging QD_GUARDED_BY(mutex);
  int asked QD_GUARDED_BY(mutex) = 0;
  int inside QD_GUARDED_BY(mutex) = 0;

  int ask(const std::string& path, struct statfs& answer) {
    base::MutexLock lock(mutex);
    answer.f_blocks = static_cast<decltype(answer.f_blocks)>(++asked);
    ++inside;
    changed.notify_all();
    while (hanging.contains(path)) changed.wait(mutex);
    --inside;
    changed.notify_all();
    return path == "/broken" ? EIO : 0;
  }
  void hang(const std::string& path) {
    base::MutexLock lock(mutex);
    hanging.insert(path);
  }
  void release() {
    base::MutexLock lock(mutex);
    hanging.clear();
    changed.notify_all();
    while (inside > 0) changed.wait(mutex);
  }
  int times_asked() {
    base::MutexLock lock(mutex);
    return asked;
  }
};

constexpr milliseconds kLong{30'000};
constexpr milliseconds kShort{20};
// For a thread to start and answer, on a machine that is busy.
constexpr milliseconds kEnough{1500};

class SlowMountsTest : public testing::Test {
 protected:
  ~SlowMountsTest() override { kernel->release(); }

  // One pass over `paths`, which gives the error for each.
  std::vector<int> pass(const std::vector<std::string>& paths, milliseconds patience) {
    for (const auto& path : paths) mounts->ask(path);
    mounts->wait(patience);
    std::vector<int> errors;
    struct statfs answer{};
    for (const auto& path : paths) errors.push_back(mounts->answer(path, answer));
    mounts->forget_others();
    return errors;
  }

  // The threads that hung need a moment of the processor to tell that they do no more; a pass does not wait for them.
  bool soon_answered(const std::vector<std::string>& paths) {
    for (int passes = 0; passes < 10'000; ++passes) {
      if (pass(paths, kLong) == std::vector<int>(paths.size(), 0)) return true;
      std::this_thread::yield();
    }
    return false;
  }

  std::shared_ptr<Kernel> kernel = std::make_shared<Kernel>();
  std::unique_ptr<SlowMounts> mounts = std::make_unique<SlowMounts>(
      [kernel = kernel](const std::string& path, struct statfs& answer) { return kernel->ask(path, answer); });
};

TEST_F(SlowMountsTest, mounts_that_answer_are_answered) {
  EXPECT_EQ(pass({"/a", "/broken", "/b"}, kLong), (std::vector<int>{0, EIO, 0}));
  EXPECT_EQ(pass({"/a", "/broken", "/b"}, kLong), (std::vector<int>{0, EIO, 0}));
  EXPECT_EQ(kernel->times_asked(), 6);
}

TEST_F(SlowMountsTest, a_hanging_mount_is_asked_once_and_keeps_nobody) {
  kernel->hang("/dead");
  EXPECT_EQ(pass({"/dead", "/a"}, kEnough), (std::vector<int>{ETIMEDOUT, 0}));
  // Nothing to wait for now: the question about /dead is an old one.
  EXPECT_EQ(pass({"/dead", "/a"}, kLong), (std::vector<int>{ETIMEDOUT, 0}));
  EXPECT_EQ(kernel->times_asked(), 3);
  kernel->release();
  EXPECT_TRUE(soon_answered({"/dead", "/a"}));
}

TEST_F(SlowMountsTest, threads_are_bounded_when_everything_hangs) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < SlowMounts::kThreadsMax + 3; ++i) {
    paths.push_back("/dead" + std::to_string(i));
    kernel->hang(paths.back());
  }
  EXPECT_EQ(pass(paths, kShort), std::vector<int>(paths.size(), ETIMEDOUT));
  {
    base::MutexLock lock(kernel->mutex);
    while (kernel->inside < static_cast<int>(SlowMounts::kThreadsMax)) kernel->changed.wait(kernel->mutex);
  }
  EXPECT_EQ(pass(paths, kShort), std::vector<int>(paths.size(), ETIMEDOUT));
  EXPECT_EQ(kernel->times_asked(), static_cast<int>(SlowMounts::kThreadsMax));
  kernel->release();
  EXPECT_TRUE(soon_answered(paths));
}

TEST_F(SlowMountsTest, it_ends_while_a_mount_hangs) {
  kernel->hang("/dead");
  EXPECT_EQ(pass({"/dead"}, kShort), std::vector<int>{ETIMEDOUT});
  mounts.reset();
}

TEST_F(SlowMountsTest, a_mount_that_is_gone_is_forgotten) {
  EXPECT_EQ(pass({"/a"}, kLong), std::vector<int>{0});
  EXPECT_EQ(pass({"/b"}, kLong), std::vector<int>{0});
  struct statfs answer{};
  EXPECT_EQ(mounts->answer("/a", answer), ETIMEDOUT);
}

TEST(MayHang, network_and_user_space_file_systems_may) {
  EXPECT_TRUE(may_hang("nfs4"));
  EXPECT_TRUE(may_hang("fuse.sshfs"));
  EXPECT_TRUE(may_hang("cifs"));
  EXPECT_FALSE(may_hang("ext4"));
  EXPECT_FALSE(may_hang("tmpfs"));
}

}  // namespace
}  // namespace qd::observe::host
