// Lines of an access log, from bytes to counts: how many a second one core takes.

#include <benchmark/benchmark.h>

#include <string>

#include "observe/nginx/log_counts.h"

namespace {

using namespace qd::observe::nginx;

// A thousand lines of several hosts, statuses and upstreams.
std::string json_lines() {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i % 7);
    text += R"({"time_iso8601":"2026-11-26T10:00:00+00:00","remote_addr":"10.1.2.)" + n +
            R"(","request":"GET /shop/item/)" + std::to_string(i) +
            R"( HTTP/1.1","request_method":"GET","status":"20)" + n + R"(","request_time":"0.01)" + n +
            R"(","request_length":"512","body_bytes_sent":"1843","server_name":"shop)" + n +
            R"(.example","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",)" +
            R"("http_referer":"https://shop.example/","upstream_addr":"10.0.0.)" + n +
            R"(:8080","upstream_status":"20)" + n + R"(","upstream_response_time":"0.01)" + n + "\"}\n";
  }
  return text;
}

std::string combined_lines() {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text +=
        "10.1.2." + std::to_string(i % 7) + " - - [26/Nov/2026:10:00:00 +0000] \"GET /shop/item/" + std::to_string(i) +
        " HTTP/1.1\" 20" + std::to_string(i % 7) +
        " 1843 \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"\n";
  }
  return text;
}

void count(benchmark::State& state, const std::string& text) {
  LogCounts counts;
  LineReader reader;
  for (auto _ : state) reader.feed(text, counts);
  if (counts.parse_errors() > 0) state.SkipWithError("a line was not read");
  state.SetItemsProcessed(static_cast<std::int64_t>(counts.lines()));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void BM_json(benchmark::State& state) {
  count(state, json_lines());
}
BENCHMARK(BM_json);

void BM_combined(benchmark::State& state) {
  count(state, combined_lines());
}
BENCHMARK(BM_combined);

}  // namespace
