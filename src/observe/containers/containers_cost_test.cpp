// What a pass may cost: allocations and kept descriptors.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "observe/containers/tree_for_test.h"

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
// Of sorts that want a buffer and do without where there is none.
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

namespace qd::observe::containers {
namespace {

class CountingSink final : public Sink {
 public:
  void family(std::string_view, model::MetricType, std::string_view) override {}
  using Sink::sample;
  void sample(std::string_view, std::span<const model::Label>, double) override { ++samples; }
  std::size_t samples = 0;
};

TEST(ContainersCost, a_pass_over_unchanged_containers_allocates_little) {
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  constexpr std::size_t kContainers = 50;
  for (std::size_t i = 0; i < kContainers; ++i) tree.write_version_2("docker/" + test_id(i));
  tree.write("proc/4242/net/dev", Tree::network("eth0", 1));
  base::ManualClock clock;
  ContainersCollector collector(tree.options(), {}, clock);
  CountingSink sink;
  const auto pass = [&] {
    clock.advance_ms(100);
    ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
  };
  pass();
  pass();
  const std::size_t samples_before = sink.samples;
  const std::uint64_t before = allocations;
  pass();
  EXPECT_GT(sink.samples - samples_before, kContainers * 50);
  // A path for each container's network, and the few texts of the machine.
  EXPECT_LT(allocations - before, 3 * kContainers);
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

TEST(ContainersCost, descriptors_are_kept_and_given_back) {
  const std::size_t at_first = open_descriptors();
  {
    base::SystemClock clock;
    ContainersCollector collector({}, {}, clock);
    CountingSink sink;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
    EXPECT_LE(open_descriptors(), at_first + 4096);
  }
  EXPECT_EQ(open_descriptors(), at_first);
}

}  // namespace
}  // namespace qd::observe::containers
