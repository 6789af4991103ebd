// What discovery costs: looking for listening processes on this machine, and recognising what containers are.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <vector>

#include "observe/discovery/processes.h"
#include "observe/discovery/recognise.h"

namespace qd::observe::discovery {
namespace {

void scan_first(benchmark::State& state) {
  for (auto _ : state) {
    ProcessScan scan("/proc");
    benchmark::DoNotOptimize(scan.scan());
  }
}
BENCHMARK(scan_first)->Unit(benchmark::kMillisecond);

void scan_again(benchmark::State& state) {
  ProcessScan scan("/proc");
  for (auto _ : state) benchmark::DoNotOptimize(scan.scan());
}
BENCHMARK(scan_again)->Unit(benchmark::kMillisecond);

void recognise_containers(benchmark::State& state) {
  std::vector<Container> containers;
  for (int i = 0; i < state.range(0); ++i) {
    Container container;
    container.id = fmt::format("{:064x}", i);
    container.name = fmt::format("shop-db-{}", i);
    container.image = i % 2 == 0 ? "registry.example.org:5000/library/postgres:16-alpine" : "acme/app:1.2.3";
    container.pid = 100 + i;
    container.addresses = {{"shop_default", fmt::format("172.18.{}.{}", i / 250, i % 250)}};
    container.environment = {{"PATH", "/usr/bin"}, {"POSTGRES_USER", "shop"}, {"POSTGRES_PASSWORD", "x"}};
    container.labels = {{"com.docker.compose.project", "shop"}, {"com.docker.compose.service", "db"}};
    container.command = {"docker-entrypoint.sh", "app", "--verbose"};
    container.ports = {{.container_port = 8080, .protocol = "tcp"}};
    containers.push_back(std::move(container));
  }
  Knowledge knowledge{.containers = containers};
  knowledge.is_attached = [](const std::string&) { return true; };
  for (auto _ : state) {
    for (const Container& container : containers) benchmark::DoNotOptimize(recognise(container, knowledge));
  }
}
BENCHMARK(recognise_containers)->Arg(200)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qd::observe::discovery
