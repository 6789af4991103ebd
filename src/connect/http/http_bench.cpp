// Requests a second of the server with a trivial handler, and of the client against it. Both sides run in this process,
// so on two cores each has about one.
#include <benchmark/benchmark.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <vector>

#include "connect/http/client.h"
#include "connect/http/http_test_support.h"

namespace qd::connect::http {
namespace {

using testing::get;
using testing::RawClient;
using testing::TestServer;

void trivial(const Request&, Reply reply) {
  reply.send(Response::text(200, "hello, world\n"));
}

// `connections` of one thread, each with `depth` requests under way.
void serve(benchmark::State& state) {
  const auto connections = static_cast<std::size_t>(state.range(0));
  const auto depth = static_cast<int>(state.range(1));
  TestServer test(trivial, {}, static_cast<std::size_t>(state.range(2)));
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < connections; ++i) clients.emplace_back(test.port());
  std::string requests;
  for (int i = 0; i < depth; ++i) requests += get("/api/v1/query?query=up", "Accept-Encoding: gzip\r\n");
  for (auto _ : state) {
    for (auto& client : clients) client.send(requests);
    for (auto& client : clients) {
      for (int i = 0; i < depth; ++i) {
        if (client.response().status != 200) return state.SkipWithError("no answer");
      }
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * depth);
}
BENCHMARK(serve)
    ->ArgNames({"connections", "depth", "threads"})
    ->Args({1, 1, 1})
    ->Args({64, 1, 1})
    ->Args({64, 1, 2})
    ->Args({64, 16, 1})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// Fetches of a small page, `in_flight` at once.
void fetch(benchmark::State& state) {
  TestServer test(trivial);
  const auto client = std::move(*Client::create(test.loop, {}, test.registry));
  const std::string url = test.url("/metrics");
  std::mutex mutex;
  std::condition_variable changed;
  std::int64_t done = 0;
  for (auto _ : state) {
    done = 0;
    for (int i = 0; i < state.range(0); ++i) {
      client->fetch({.url = url}, [&](const base::Result<ClientResponse>& response) {
        if (!response) return;
        const std::lock_guard lock(mutex);
        if (++done == state.range(0)) changed.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done == state.range(0); });
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(fetch)->ArgName("in_flight")->Arg(1)->Arg(64)->Arg(500)->MeasureProcessCPUTime()->UseRealTime();

// What an idle connection costs, the test's own client included.
void idle_connections(benchmark::State& state) {
  constexpr std::size_t kConnections = 2000;
  const auto resident_bytes = [] {
    std::ifstream statm("/proc/self/statm");
    std::size_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  };
  TestServer test(trivial);
  std::vector<RawClient> clients;
  clients.reserve(kConnections);
  for (auto _ : state) {
    const auto at_start = resident_bytes();
    for (std::size_t i = 0; i < kConnections; ++i) {
      clients.emplace_back(test.port());
      clients.back().send(get("/"));
      clients.back().response();
    }
    state.counters["bytes_each"] =
        (static_cast<double>(resident_bytes()) - static_cast<double>(at_start)) / kConnections;
  }
}
BENCHMARK(idle_connections)->Iterations(1);

}  // namespace
}  // namespace qd::connect::http
