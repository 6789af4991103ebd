// What a pass over many containers costs: over a recorded machine, and over control groups that are made for the
// purpose where this process may make them.

#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "observe/containers/hierarchies.h"
#include "observe/containers/tree_for_test.h"

namespace qd::observe::containers {
namespace {

class CountingSink final : public Sink {
 public:
  void family(std::string_view, model::MetricType, std::string_view) override {}
  using Sink::sample;
  void sample(std::string_view, std::span<const model::Label> labels, double value) override {
    ++samples;
    benchmark::DoNotOptimize(labels.data());
    benchmark::DoNotOptimize(value);
  }
  std::size_t samples = 0;
};

ContainerList engine_list(std::size_t count) {
  std::vector<Container> containers;
  for (std::size_t i = 0; i < count; ++i) {
    containers.push_back(test_container(test_id(i), "web-" + std::to_string(i)));
    containers.back().pid = 0;
  }
  std::ranges::sort(containers, {}, &Container::id);
  return std::make_shared<const std::vector<Container>>(std::move(containers));
}

void run_passes(benchmark::State& state, const Options& options, std::size_t containers) {
  // Passes come five seconds apart, as limits and open files are spread over time.
  base::ManualClock clock;
  const ContainerList list = engine_list(containers);
  ContainersCollector collector(options, [&] { return list; }, clock);
  CountingSink sink;
  const auto pass = [&] {
    sink.samples = 0;
    if (!collector.collect(clock.monotonic_ns() + 5'000'000'000, sink)) state.SkipWithError("a pass failed");
    clock.advance_ms(5000);
  };
  pass();
  for (auto _ : state) pass();
  state.counters["samples"] = static_cast<double>(sink.samples);
}

void recorded_version_2(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  for (std::size_t i = 0; i < count; ++i) tree.write_version_2("system.slice/docker-" + test_id(i) + ".scope");
  run_passes(state, tree.options(), count);
}
BENCHMARK(recorded_version_2)->Arg(20)->Arg(200)->Unit(benchmark::kMillisecond);

void recorded_past_the_limit(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Tree tree;
  tree.write_machine();
  tree.mount_version_2();
  for (std::size_t i = 0; i < count; ++i)
    tree.write("sys/fs/cgroup/docker/" + test_id(i) + "/memory.current", "4096\n");
  run_passes(state, tree.options(), count);
}
BENCHMARK(recorded_past_the_limit)->Arg(10'000)->Unit(benchmark::kMillisecond);

// A process that sleeps in a cgroup of its own, in each hierarchy that is mounted, `count` times.
class MadeContainers {
 public:
  explicit MadeContainers(std::size_t count) {
    FileReader reader;
    const auto hierarchies = find_hierarchies(reader, {"/proc", "/sys", ""});
    if (!hierarchies) return;
    std::set<std::string> roots;
    for (const Place& place : hierarchies->places) {
      if (place.version != 0) roots.insert(place.directory);
    }
    const std::string name = "/quarterdeck-bench-" + std::to_string(::getpid());
    std::error_code error;
    for (const std::string& root : roots) {
      std::filesystem::create_directory(root + name, error);
      if (error) return;
      parents_.push_back(root + name);
      // Children of version 2 have the controllers that their parent hands on.
      std::ofstream(root + name + "/cgroup.subtree_control") << "+cpu +memory +io +pids";
    }
    for (std::size_t i = 0; i < count; ++i) {
      const pid_t process = ::fork();
      if (process == 0) {
        ::pause();
        ::_exit(0);
      }
      processes_.push_back(process);
      for (const std::string& parent : parents_) {
        directories_.push_back(parent + "/" + test_id(i));
        std::filesystem::create_directory(directories_.back(), error);
        std::ofstream(directories_.back() + "/cgroup.procs") << process;
      }
    }
    made_ = !error;
  }
  ~MadeContainers() {
    for (const pid_t process : processes_) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
    for (const std::string& directory : directories_) remove(directory);
    for (const std::string& parent : parents_) remove(parent);
  }
  MadeContainers(const MadeContainers&) = delete;
  MadeContainers& operator=(const MadeContainers&) = delete;

  bool made() const { return made_; }

 private:
  // A process leaves its cgroups a moment after its end.
  static void remove(const std::string& directory) {
    for (int i = 0; i < 200 && ::rmdir(directory.c_str()) != 0 && errno == EBUSY; ++i) ::usleep(5'000);
  }

  std::vector<std::string> parents_;
  std::vector<std::string> directories_;
  std::vector<pid_t> processes_;
  bool made_ = false;
};

void control_groups_of_this_machine(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const MadeContainers containers(count);
  if (!containers.made()) {
    state.SkipWithError("control groups cannot be made here: it takes root and a cgroupfs that can be written");
    return;
  }
  run_passes(state, Options(), count);
}
BENCHMARK(control_groups_of_this_machine)->Arg(20)->Arg(200)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qd::observe::containers
