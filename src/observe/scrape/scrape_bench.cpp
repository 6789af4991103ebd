// From exposition text to samples in a store: 10,000 series of a target, scraped again and again.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "observe/scrape/ingest.h"
#include "store/metrics/store.h"

namespace qd::observe::scrape {
namespace {

constexpr int kSamples = 10'000;

// Gauges that move, as a host or a container exporter gives them.
std::string page(int round) {
  std::string text;
  for (int family = 0; family < kSamples / 100; ++family) {
    const std::string name = "container_network_transmit_bytes_" + std::to_string(family);
    text += "# HELP " + name + " Bytes that the container sent.\n# TYPE " + name + " gauge\n";
    for (int i = 0; i < 100; ++i) {
      text += name + "{cluster=\"eu-west-1\",namespace=\"shop\",pod=\"checkout-7d9f8b6c5-" + std::to_string(i) +
              "\",interface=\"eth0\"} " + std::to_string(family * 100'000 + i * 982'451 + round * (i + 17)) + "\n";
    }
  }
  return text;
}

// Takes samples and forgets them: what is left is the cost of the scraper.
class NullStore final : public store::metrics::Appendable {
 public:
  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(*this); }

 private:
  struct Batch final : store::metrics::Appender {
    explicit Batch(NullStore& s) : store(s) {}
    base::Result<store::metrics::SeriesRef> series(const model::LabelSet& labels) override {
      return store.refs.try_emplace(labels, store.refs.size() + 1).first->second;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, model::TimestampMs, double value) override {
      benchmark::DoNotOptimize(ref);
      benchmark::DoNotOptimize(value);
      ++count;
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs,
                                         const model::Histogram&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef, const model::Exemplar&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view, const model::Metadata&) override {}
    base::Status commit() override { return {}; }
    std::size_t pending() const override { return count; }
    NullStore& store;
    std::size_t count = 0;
  };
  std::unordered_map<model::LabelSet, store::metrics::SeriesRef> refs;
};

void scrape(benchmark::State& state, store::metrics::Appendable& store, bool fresh_target,
            const IngestOptions& options = {}) {
  std::vector<std::string> pages;
  for (int round = 0; round < 16; ++round) pages.push_back(page(round));
  const model::LabelSet labels{{"instance", "host-1:9100"}, {"job", "cadvisor"}};
  auto target = std::make_unique<Ingest>(labels, options);
  model::TimestampMs now_ms = 1'700'000'000'000;
  std::size_t round = 0;
  for (auto _ : state) {
    if (fresh_target) target = std::make_unique<Ingest>(labels, options);
    auto appender = store.appender();
    IngestCounts counts;
    const auto status = target->append(pages[round++ % pages.size()], model::exposition::Format::kPrometheusText,
                                       now_ms, 0, *appender, counts);
    if (!status || counts.samples != kSamples || !appender->commit()) state.SkipWithError("the scrape failed");
    target->accept();
    now_ms += 15'000;
  }
  state.SetItemsProcessed(state.iterations() * kSamples);
}

void to_nothing(benchmark::State& state) {
  NullStore store;
  scrape(state, store, false);
}
BENCHMARK(to_nothing);

void to_nothing_first_time(benchmark::State& state) {
  NullStore store;
  scrape(state, store, true);
}
BENCHMARK(to_nothing_first_time);

// Rules as people have them: some families dropped, a label rewritten, one removed.
IngestOptions relabelled() {
  const model::RelabelConfig rules[] = {
      {.source_labels = {"__name__"},
       .regex = "container_network_transmit_bytes_.*[05]",
       .action = model::RelabelAction::kDrop},
      {.source_labels = {"pod"}, .regex = "(.+)-[^-]+-[^-]+", .target_label = "workload"},
      {.regex = "cluster", .action = model::RelabelAction::kLabelDrop},
  };
  IngestOptions options;
  if (auto compiled = model::Relabeller::compile(rules, model::NameScheme::kUtf8)) options.metric_rules = *compiled;
  return options;
}

void to_nothing_relabelled(benchmark::State& state) {
  NullStore store;
  scrape(state, store, false, relabelled());
}
BENCHMARK(to_nothing_relabelled);

void to_nothing_relabelled_first_time(benchmark::State& state) {
  NullStore store;
  scrape(state, store, true, relabelled());
}
BENCHMARK(to_nothing_relabelled_first_time);

void to_the_log(benchmark::State& state) {
  const auto dir = std::filesystem::temp_directory_path() / ("qd_scrape_bench_" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  {
    base::PosixFiles files;
    base::Registry registry;
    auto store = store::metrics::Store::open(files, dir, {}, base::Log::silent(), registry);
    if (store) {
      scrape(state, **store, false);
    } else {
      state.SkipWithError(store.error().message().c_str());
    }
  }
  std::filesystem::remove_all(dir);
}
BENCHMARK(to_the_log)->UseRealTime();

}  // namespace
}  // namespace qd::observe::scrape
