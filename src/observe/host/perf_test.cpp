#include "observe/host/perf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <map>
#include <set>
#include <stdexcept>

#include "observe/host/opt_in_families.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::IsEmpty;

struct FakeCounters {
  int refuse = 0;                 // an errno for every open
  std::set<std::uint32_t> types;  // that there are
  std::map<int, PerfEvents::Reading> readings;
  std::map<int, std::uint32_t> cpus;
  int next = 1000;

  PerfEvents::Reading& of(std::uint32_t cpu, int place) {
    for (auto& [descriptor, which] : cpus) {
      if (which == cpu && place-- == 0) return readings[descriptor];
    }
    throw std::out_of_range("no such counter");
  }
};

class FakeEvents final : public PerfEvents {
 public:
  explicit FakeEvents(FakeCounters& counters) : counters_(counters) {}
  int open(std::uint32_t cpu, std::uint32_t type, std::uint64_t) override {
    if (counters_.refuse != 0) return -counters_.refuse;
    if (!counters_.types.contains(type)) return -ENOENT;
    counters_.cpus[counters_.next] = cpu;
    counters_.readings[counters_.next] = {10, 100, 100};
    return counters_.next++;
  }
  bool read(int descriptor, Reading& reading) override {
    reading = counters_.readings.at(descriptor);
    return true;
  }
  void close(int descriptor) override {
    counters_.readings.erase(descriptor);
    counters_.cpus.erase(descriptor);
  }

 private:
  FakeCounters& counters_;
};

class HostPerf : public testing::Test {
 protected:
  HostPerf() { tree.write("sys/devices/system/cpu/online", "0-1\n"); }
  std::unique_ptr<Part> part() {
    return perf_part(reader, Roots{"", tree.at("sys"), "", ""}, std::make_unique<FakeEvents>(counters));
  }
  Tree tree;
  FileReader reader;
  base::ManualClock clock;
  FakeCounters counters;
};

TEST_F(HostPerf, events_that_take_turns_stand_for_all_the_time_and_never_go_back) {
  counters.types = {PERF_TYPE_HARDWARE};
  const auto it = part();
  const std::string cycles = R"(node_perf_cpucycles_total{cpu="0"})";
  EXPECT_EQ(pass_of(*it, clock).value(cycles), 10);
  counters.of(0, 0) = {30, 200, 150};
  EXPECT_EQ(pass_of(*it, clock).value(cycles), 10 + 20 * 2) << "it ran for half of the time";
  counters.of(0, 0) = {30, 300, 150};
  EXPECT_EQ(pass_of(*it, clock).value(cycles), 50) << "it did not run";
  counters.of(0, 0) = {31, 400, 250};
  EXPECT_EQ(pass_of(*it, clock).value(cycles), 51);
}

TEST_F(HostPerf, an_event_that_there_is_not_is_left_out) {
  counters.types = {PERF_TYPE_SOFTWARE};
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_TRUE(told.outcome.ok);
  EXPECT_EQ(told.value(R"(node_perf_page_faults_total{cpu="1"})"), 10);
  expect_in_table(told.sink, perf_families());
  EXPECT_EQ(told.sink.types().size(), 5U) << "no family is told without a sample";
  counters.types = {};
  const auto none = part();
  EXPECT_EQ(pass_of(*none, clock).outcome.error, ENOENT);
}

TEST_F(HostPerf, what_is_not_allowed_is_said_with_its_cure_and_nothing_stays_open) {
  counters.types = {PERF_TYPE_SOFTWARE};
  counters.refuse = EACCES;
  const auto it = part();
  const Told refused = pass_of(*it, clock);
  EXPECT_EQ(refused.outcome.error, EACCES);
  EXPECT_THAT(std::string(refused.outcome.what), testing::HasSubstr("kernel.perf_event_paranoid"));
  EXPECT_THAT(refused.sink.values(), IsEmpty());
  counters.refuse = 0;
  EXPECT_TRUE(pass_of(*it, clock).outcome.ok) << "allowed meanwhile";
  EXPECT_EQ(counters.readings.size(), 10U);
  tree.write("sys/devices/system/cpu/online", "0,2-3\n");
  const Told more = pass_of(*it, clock);
  EXPECT_EQ(more.value(R"(node_perf_page_faults_total{cpu="3"})"), 10);
  EXPECT_EQ(more.value(R"(node_perf_page_faults_total{cpu="1"})"), std::nullopt);
  EXPECT_EQ(counters.readings.size(), 15U);
  tree.write("sys/devices/system/cpu/online", "0-99999999999\n");
  EXPECT_FALSE(pass_of(*it, clock).outcome.ok);
  EXPECT_THAT(counters.readings, IsEmpty());
}

TEST(HostPerfLive, the_kernels_events_are_counted) {
  FileReader reader;
  const auto part = perf_part(reader, Roots{"/proc", "/sys", "", "/proc/net"});
  base::SystemClock clock;
  RecordingSink first, second;
  const Outcome outcome = part->collect({first, clock, INT64_MAX, 1});
  if (outcome.error == EACCES || outcome.error == EPERM) GTEST_SKIP() << outcome.what;
  if (outcome.error == ENOSYS) GTEST_SKIP() << "a kernel without perf events";
  ASSERT_TRUE(outcome.ok) << outcome.what;
  ASSERT_TRUE(part->collect({second, clock, INT64_MAX, 2}).ok);
  const std::string switches = R"(node_perf_context_switches_total{cpu="0"})";
  EXPECT_GE(*second.value(switches), *first.value(switches));
  EXPECT_THAT(second.faults(), IsEmpty());
}

}  // namespace
}  // namespace qd::observe::host
