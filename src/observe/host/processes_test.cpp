#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "observe/host/opt_in_families.h"
#include "observe/host/pace.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::IsEmpty;

std::string stat_line(const std::string& name, char state, int threads) {
  return "7 (" + name + ") " + state + " 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 " + std::to_string(threads) +
         " 0 33 1 2 3\n";
}

class HostProcesses : public testing::Test {
 protected:
  HostProcesses() {
    tree.write("proc/sys/kernel/threads-max", "7801\n");
    tree.write("proc/sys/kernel/pid_max", "32768\n");
  }
  std::unique_ptr<Part> part() {
    return processes_part(reader, {tree.at("proc"), tree.at("sys"), tree.at("root"), tree.at("proc/net")});
  }
  void process(int pid, const std::string& name, char state, int threads = 1) {
    tree.write("proc/" + std::to_string(pid) + "/stat", stat_line(name, state, threads));
  }
  void thread(int pid, int tid, char state) {
    tree.write("proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/stat", stat_line("t", state, 1));
  }

  Tree tree;
  FileReader reader;
  base::ManualClock clock;
};

TEST_F(HostProcesses, processes_and_threads_are_counted_by_state) {
  process(1, "init", 'S');
  process(20, "a ) R (b) Z ", 'D', 3);
  thread(20, 20, 'D');
  thread(20, 21, 'R');
  thread(20, 22, 'S');
  process(300, "gone", 'Z');
  tree.write("proc/uptime", "1 1\n");
  tree.write("proc/4000/cmdline", "this one is ending");
  const auto it = part();
  const Told told = pass_of(*it, clock);
  EXPECT_TRUE(told.outcome.ok) << told.outcome.what;
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  EXPECT_EQ(told.value("node_processes_pids"), 3);
  expect_in_table(told.sink, processes_families());
  EXPECT_EQ(told.value("node_processes_threads"), 5);
  EXPECT_EQ(told.value("node_processes_max_threads"), 7801);
  EXPECT_EQ(told.value("node_processes_max_processes"), 32768);
  EXPECT_EQ(told.value(R"(node_processes_state{state="D"})"), 1);
  EXPECT_EQ(told.value(R"(node_processes_state{state="S"})"), 1);
  EXPECT_EQ(told.value(R"(node_processes_state{state="Z"})"), 1);
  EXPECT_EQ(told.value(R"(node_processes_state{state="R"})"), std::nullopt);
  EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="D"})"), 1);
  EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="R"})"), 1);
  EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="S"})"), 2);
}

TEST_F(HostProcesses, a_state_that_nobody_is_in_any_more_is_zero) {
  process(1, "init", 'S');
  process(2, "zombie", 'Z');
  const auto it = part();
  EXPECT_EQ(pass_of(*it, clock).value(R"(node_processes_state{state="Z"})"), 1);
  tree.remove("proc/2");
  const Told told = pass_of(*it, clock);
  EXPECT_EQ(told.value(R"(node_processes_state{state="Z"})"), 0);
  EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="Z"})"), 0);
}

TEST_F(HostProcesses, threads_are_read_seldom_where_that_is_dear) {
  process(1, "init", 'S', 2);
  thread(1, 1, 'S');
  thread(1, 2, 'D');
  process(2, "server", 'S', 2);
  thread(2, 2, 'S');
  const auto it = part();
  // By it the threads of each take a millisecond, and the processes themselves less than is dear.
  SlowClock slow(Pace::kCheapNs + 1);
  const std::string waiting = R"(node_processes_threads_state{thread_state="D"})";
  EXPECT_EQ(pass_of(*it, slow).value(waiting), 1);
  thread(1, 2, 'R');
  process(1, "init", 'R', 2);
  for (int passes = 0; passes < 2; ++passes) {
    const Told told = pass_of(*it, slow);
    EXPECT_EQ(told.value(waiting), 1) << passes;
    EXPECT_EQ(told.value(R"(node_processes_state{state="R"})"), 1) << "processes are read at each pass";
    EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="R"})"), 1);
  }
  const Told told = pass_of(*it, slow);
  EXPECT_EQ(told.value(waiting), 0) << "after 15 s";
  EXPECT_EQ(told.value(R"(node_processes_threads_state{thread_state="R"})"), 2);
}

TEST_F(HostProcesses, very_many_processes_are_read_seldom) {
  process(1, "init", 'S');
  const auto it = part();
  SlowClock slow(6'000'000);
  EXPECT_EQ(pass_of(*it, slow).value("node_processes_pids"), 1);
  process(2, "new", 'S');
  EXPECT_EQ(pass_of(*it, slow).value("node_processes_pids"), 1);
  EXPECT_EQ(pass_of(*it, slow).value("node_processes_pids"), 1);
  EXPECT_EQ(pass_of(*it, slow).value("node_processes_pids"), 2);
}

TEST_F(HostProcesses, garbage_and_a_missing_limit_are_said) {
  process(1, "init", 'S');
  tree.write("proc/2/stat", "2 no brackets S 1");
  const auto it = part();
  const Told garbage = pass_of(*it, clock);
  EXPECT_FALSE(garbage.outcome.ok);
  EXPECT_EQ(garbage.outcome.error, 0);
  EXPECT_THAT(garbage.sink.values(), IsEmpty());
  tree.remove("proc/2");
  tree.remove("proc/sys/kernel/pid_max");
  const Told limit = pass_of(*it, clock);
  EXPECT_EQ(limit.outcome.error, ENOENT);
  EXPECT_THAT(std::string(limit.outcome.what), testing::HasSubstr("pid_max"));
}

TEST_F(HostProcesses, the_passes_deadline_ends_the_walk) {
  for (int pid = 1; pid <= 600; ++pid) process(pid, "p", 'S');
  const auto it = part();
  SlowClock slow(3'000'000);
  const Told told = pass_of(*it, slow, 1);
  EXPECT_EQ(told.outcome.error, ETIMEDOUT);
}

TEST(HostProcessesLive, threads_of_this_process_are_among_all) {
  FileReader reader;
  const auto part = processes_part(reader, {"/proc", "/sys", "", "/proc/net"});
  base::SystemClock clock;
  RecordingSink sink;
  std::atomic<bool> end = false;
  std::thread other([&] { end.wait(false); });
  const Outcome outcome = part->collect({sink, clock, clock.monotonic_ns() + 5'000'000'000, 1});
  end = true;
  end.notify_all();
  other.join();
  EXPECT_TRUE(outcome.ok) << outcome.what;
  double processes = 0;
  double threads = 0;
  for (const auto& [key, value] : sink.values()) {
    if (key.starts_with("node_processes_state{")) processes += value;
    if (key.starts_with("node_processes_threads_state{")) threads += value;
  }
  EXPECT_EQ(processes, sink.value("node_processes_pids"));
  EXPECT_GT(threads, processes);
  EXPECT_GE(*sink.value(R"(node_processes_state{state="R"})"), 1) << "this one";
}

TEST(HostPace, what_is_cheap_is_always_due_and_what_is_dear_seldom) {
  Pace pace;
  EXPECT_TRUE(pace.due(0));
  pace.took(0, Pace::kCheapNs);
  EXPECT_TRUE(pace.due(1));
  pace.took(1000, 1000 + Pace::kCheapNs + 1);
  EXPECT_FALSE(pace.due(1000 + Pace::kSeldomNs - 1));
  EXPECT_TRUE(pace.due(1000 + Pace::kSeldomNs));
}

}  // namespace
}  // namespace qd::observe::host
