// What a pass may cost: allocations and opened files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>

#include "observe/host/tree_for_test.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// The whole test program counts.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace qd::observe::host {
namespace {

class CountingSink final : public Sink {
 public:
  void family(std::string_view, model::MetricType, std::string_view) override {}
  using Sink::sample;
  void sample(std::string_view, std::span<const model::Label>, double) override { ++samples; }
  std::size_t samples = 0;
};

TEST(HostCost, a_pass_over_an_unchanged_machine_allocates_next_to_nothing) {
  Tree tree;
  if (!tree.unpack("node-1.5.0")) GTEST_SKIP() << "no conformance data";
  base::ManualClock clock;
  HostCollector collector(tree.options(), clock, base::Log::silent());
  CountingSink sink;
  const auto pass = [&] {
    clock.advance_ms(5000);
    ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
  };
  pass();
  pass();
  const std::size_t samples_before = sink.samples;
  const std::uint64_t before = allocations;
  pass();
  EXPECT_GT(sink.samples - samples_before, 300U);
  // Directories of a recorded tree are walked as their counterparts on a live machine are not.
  EXPECT_LT(allocations - before, 1U);
}

// Names of files below the tree that were opened since the last call, and how often.
class Opened {
 public:
  explicit Opened(const std::filesystem::path& root) : descriptor_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    watch(root);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (entry.is_directory()) watch(entry.path());
    }
  }
  ~Opened() { ::close(descriptor_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  std::map<std::string, int> take() {
    std::map<std::string, int> times;
    alignas(inotify_event) std::array<char, 64 << 10> buffer;
    while (true) {
      const auto got = ::read(descriptor_, buffer.data(), buffer.size());
      if (got <= 0) return times;
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if ((event->mask & IN_ISDIR) == 0 && event->len > 0) ++times[(directories_[event->wd] / event->name).native()];
      }
    }
  }

 private:
  void watch(const std::filesystem::path& directory) {
    directories_[::inotify_add_watch(descriptor_, directory.c_str(), IN_OPEN)] = directory;
  }

  int descriptor_;
  std::map<int, std::filesystem::path> directories_;
};

TEST(HostCost, a_pass_opens_each_file_at_most_once) {
  Tree tree;
  if (!tree.unpack("node-1.5.0")) GTEST_SKIP() << "no conformance data";
  TreeHost host(tree);
  host.collect();
  Opened opened(tree.at(""));
  host.collect();
  const auto times = opened.take();
  EXPECT_GT(times.size(), 15U);
  for (const auto& [file, count] : times) EXPECT_EQ(count, 1) << file;
}

}  // namespace
}  // namespace qd::observe::host
