// What forwarding costs a commit, and what joining costs what waited.

#include "ship/remote_write/batch.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace qd::ship::remote_write {
namespace {

// A pass of a host: families with a few labels each.
std::vector<LabelledSample> pass(int series, model::TimestampMs time_ms) {
  std::vector<LabelledSample> samples;
  samples.reserve(static_cast<std::size_t>(series));
  for (int i = 0; i < series; ++i) {
    const model::LabelSet labels{{"__name__", fmt::format("node_family_{}_total", i / 8)},
                                 {"device", fmt::format("sd{}", i % 8)},
                                 {"host", "web-1"},
                                 {"instance", "web-1"},
                                 {"job", "node"}};
    samples.push_back({std::make_shared<const std::string>(model::remote_write::encode_labels(labels)),
                       {time_ms, 1.25 * i + static_cast<double>(time_ms)}});
  }
  return samples;
}

std::vector<QueuedRequest> queued(int passes, int series) {
  std::vector<QueuedRequest> requests;
  for (int n = 0; n < passes; ++n) {
    (void)pack_samples(pass(series, n * 5000), [&](std::uint32_t samples, std::string_view request) -> base::Status {
      requests.push_back({n, samples, std::string(request), {1, requests.size()}});
      return {};
    });
  }
  return requests;
}

void pack_a_pass(benchmark::State& state) {
  const auto samples = pass(1000, 1'700'000'000'000);
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    (void)pack_samples(samples, [&](std::uint32_t, std::string_view request) -> base::Status {
      bytes += request.size();
      return {};
    });
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.counters["bytes_a_sample"] = static_cast<double>(bytes) / 1000;
}
BENCHMARK(pack_a_pass);

void join_twenty_passes(benchmark::State& state) {
  const auto requests = queued(20, 1000);
  std::size_t bytes = 0;
  for (auto _ : state) {
    const auto joined = join(requests);
    bytes = joined->body.size();
  }
  state.SetItemsProcessed(state.iterations() * 20'000);
  state.counters["bytes_a_sample"] = static_cast<double>(bytes) / 20'000;
}
BENCHMARK(join_twenty_passes);

void read_a_joined_request(benchmark::State& state) {
  class Count final : public model::remote_write::WriteSink {
   public:
    void series(base::Result<model::LabelSet> labels) override { benchmark::DoNotOptimize(labels); }
    void sample(const model::Sample&) override { ++count; }
    void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
    void exemplar(base::Result<model::LabelSet>, const model::Sample&) override {}
    void metadata(std::string_view, model::MetricType, std::string_view, std::string_view) override {}
    std::int64_t count = 0;
  } sink;
  const auto joined = join(queued(20, 1000));
  for (auto _ : state) {
    const auto message = model::remote_write::unpack(joined->body, 64 << 20);
    (void)model::remote_write::read_write_request(*message, sink);
  }
  state.SetItemsProcessed(sink.count);
}
BENCHMARK(read_a_joined_request);

}  // namespace
}  // namespace qd::ship::remote_write
