// Text to values: the first time, when each label is read, and when each series is the one that is expected.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "model/exposition/parser.h"

namespace qd::model::exposition {
namespace {

constexpr int kSamples = 10'000;

std::string page(Format format) {
  std::string text;
  for (int family = 0; family < kSamples / 100; ++family) {
    const std::string name = "container_network_transmit_bytes_" + std::to_string(family);
    text += "# HELP " + name + " Bytes that the container sent.\n# TYPE " + name + " gauge\n";
    for (int i = 0; i < 100; ++i) {
      text += name + "{cluster=\"eu-west-1\",namespace=\"shop\",pod=\"checkout-7d9f8b6c5-" + std::to_string(i) +
              "\",interface=\"eth0\"} " + (i % 2 == 0 ? std::to_string(i * 982'451) : std::to_string(i * 0.37)) + "\n";
    }
  }
  if (format == Format::kOpenMetrics) text += "# EOF\n";
  return text;
}

void parse(benchmark::State& state, Format format, Check check, bool expected) {
  const std::string text = page(format);
  std::vector<std::string> series;
  Parser first(text, format, check);
  while (true) {
    const auto event = first.next();
    if (!event || *event == Event::kEof) break;
    if (*event == Event::kSeries) series.emplace_back(first.series());
  }
  for (auto _ : state) {
    Parser parser(text, format, check);
    std::size_t i = 0;
    while (true) {
      const auto event = parser.next(expected && i < series.size() ? std::string_view(series[i]) : std::string_view());
      if (!event || *event == Event::kEof) break;
      if (*event != Event::kSeries) continue;
      ++i;
      double value = parser.value();
      benchmark::DoNotOptimize(value);
    }
    if (i != kSamples) state.SkipWithError("not all samples were read");
  }
  state.SetItemsProcessed(state.iterations() * kSamples);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

BENCHMARK_CAPTURE(parse, text_first_time, Format::kPrometheusText, Check::kLines, false);
BENCHMARK_CAPTURE(parse, text_expected, Format::kPrometheusText, Check::kLines, true);
BENCHMARK_CAPTURE(parse, openmetrics_first_time, Format::kOpenMetrics, Check::kLines, false);
BENCHMARK_CAPTURE(parse, openmetrics_expected, Format::kOpenMetrics, Check::kLines, true);
BENCHMARK_CAPTURE(parse, openmetrics_families, Format::kOpenMetrics, Check::kFamilies, true);

}  // namespace
}  // namespace qd::model::exposition
