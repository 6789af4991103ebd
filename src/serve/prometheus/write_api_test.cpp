#include "serve/prometheus/write_api.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <string>
#include <vector>

#include "base/faulty_files.h"
#include "base/temp_directory.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"
#include "store/metrics/store.h"
#include "store/state/database.h"

namespace qd::serve::prometheus {
namespace {

using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;
using model::LabelSet;
using model::Sample;
namespace wire = model::remote_write;

constexpr model::TimestampMs kStart = 1'700'000'000'000;

class WriteApiTest : public testing::Test {
 protected:
  WriteApiTest() : database_(*store::state::Database::open(directory_ / "state.db")), tokens_(*database_) {
    options_.seal_interval_ms = 60'000;
    store_ = *store::metrics::Store::open(files_, directory_ / "metrics", options_, base::Log::silent(), registry_);
    secret_ = *tokens_.add("web-1", store::state::Scope::kAll, 1);
    add_write_route(router_, *store_, clock_, base::Log::silent(), registry_);
  }

  static std::string series(const LabelSet& labels, std::vector<Sample> samples) {
    std::string message;
    wire::append_series(message, wire::encode_labels(labels), samples);
    return message;
  }
  static Request request(std::string body) {
    Request r;
    r.method = "POST";
    r.path = "/api/v1/write";
    r.host = "localhost:9090";
    r.peer_address = "127.0.0.1";
    r.peer_is_loopback = true;
    r.headers.add("Content-Type", "application/x-protobuf");
    r.headers.add("Content-Encoding", "snappy");
    r.body = std::move(body);
    return r;
  }
  Response ask(Request r) {
    std::promise<Response> answer;
    router_.handle(std::move(r), Reply::to([&](Response response) { answer.set_value(std::move(response)); }));
    return answer.get_future().get();
  }
  Response write(const std::string& message) { return ask(request(wire::pack(message))); }
  static std::string text(const Response& response) { return std::get<std::string>(response.body); }

  store::metrics::Columns columns(const LabelSet& labels) {
    std::vector<model::Matcher> matchers;
    for (const auto& label : labels)
      matchers.push_back(model::Matcher::equal(std::string(label.name), std::string(label.value)));
    const auto set = store_->select(matchers, 0, model::kMaxTimestampMs, 10);
    store::metrics::Columns columns;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      if ((*set)->labels(i) == labels) EXPECT_TRUE((*set)->read(i, 0, model::kMaxTimestampMs, columns));
    }
    return columns;
  }
  std::vector<Sample> stored(const LabelSet& labels) {
    const auto its = columns(labels);
    std::vector<Sample> samples;
    for (std::size_t k = 0; k < its.size(); ++k) samples.push_back({its.times[k], its.values[k]});
    return samples;
  }
  double counted(std::string_view name, std::string_view label = "") {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && (label.empty() || sample.labels.front().second == label)) return sample.value;
    return -1;
  }

  base::TempDirectory directory_;
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::Registry registry_;
  base::ManualClock clock_{kStart};
  base::ThreadPool pool_{1, 10};
  std::unique_ptr<store::state::Database> database_;
  store::state::Tokens tokens_;
  std::string secret_;
  ServeSettings settings_;
  Authenticator authenticator_{settings_, tokens_};
  Router router_{authenticator_, pool_, base::Log::silent(), registry_};
  store::metrics::StoreOptions options_;
  std::unique_ptr<store::metrics::Store> store_;
};

const LabelSet kA{{"__name__", "a"}, {"job", "x"}};
const LabelSet kB{{"__name__", "b"}, {"job", "x"}};

TEST_F(WriteApiTest, stores_what_is_sent_and_says_so_with_204) {
  std::string message = series(kA, {{kStart, 1}, {kStart + 1, 2}}) + series(kB, {{kStart, 3}});
  wire::append_metadata(message, "a", {model::MetricType::kCounter, "What a is.", ""});
  const auto response = write(message);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(text(response), "");
  ASSERT_EQ(stored(kA).size(), 2U);
  EXPECT_EQ(stored(kA)[1].value, 2);
  EXPECT_EQ(stored(kB).size(), 1U);
  EXPECT_EQ(store_->metadata().at("a").help, "What a is.");
  EXPECT_EQ(counted("quarterdeck_write_samples_total"), 3);
  EXPECT_EQ(write("").status, 204) << "nothing is fine too";
}

TEST_F(WriteApiTest, the_same_request_again_is_taken_again) {
  const std::string message = series(kA, {{kStart, 1}, {kStart + 1, 2}, {kStart + 2, model::stale_nan()}});
  EXPECT_EQ(write(message).status, 204);
  EXPECT_EQ(write(message).status, 204);
  EXPECT_EQ(write(series(kA, {{kStart + 3, 4}})).status, 204);
  EXPECT_EQ(write(message).status, 204);
  EXPECT_EQ(stored(kA).size(), 4U);
  EXPECT_EQ(counted("quarterdeck_write_samples_total"), 4);
  EXPECT_EQ(counted("quarterdeck_write_samples_repeated_total"), 6);
  // Also when it is sealed meanwhile.
  for (int i = 4; i < 300; ++i) ASSERT_EQ(write(series(kA, {{kStart + i * 1000, 1.0 * i}})).status, 204);
  ASSERT_TRUE(store_->maintain(kStart + 300'000));
  EXPECT_EQ(write(message).status, 204);
}

TEST_F(WriteApiTest, stores_the_rest_of_a_request_and_tells_of_what_it_cannot) {
  ASSERT_EQ(write(series(kA, {{kStart + 10, 1}})).status, 204);
  ASSERT_TRUE(store_->maintain(kStart));
  ASSERT_EQ(write(series(kA, {{kStart + 5, 7}})).status, 204) << "late";
  const auto response = write(series(kA, {{kStart + 10, 2}}) + series(kA, {{kStart - 16LL * 24 * 60 * 60 * 1000, 7}}) +
                              series(LabelSet{{"b", "c"}}, {{kStart, 1}}) + series(kB, {{kStart + 11 * 60 * 1000, 1}}) +
                              series(kB, {{kStart, 3}, {kStart + 1, 4}}));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(text(response),
            "4 of 6 samples were not stored: 1 duplicate, 1 too_old, 1 too_far_ahead, 1 bad_series; the first: "
            "a{job=\"x\"} at 2023-11-14T22:13:20.010Z (duplicate: there is another value at that time)\n");
  EXPECT_EQ(response.headers.get(wire::kWrittenHeader), "2");
  EXPECT_EQ(stored(kA).size(), 2U);
  EXPECT_EQ(stored(kB).size(), 2U);
  EXPECT_EQ(counted("quarterdeck_write_samples_refused_total", "too_old"), 1);
  EXPECT_EQ(counted("quarterdeck_write_samples_refused_total", "bad_series"), 1);
}

TEST_F(WriteApiTest, past_the_series_limit_known_series_go_on) {
  ASSERT_EQ(write(series(kA, {{kStart, 1}})).status, 204);
  options_.series_limit = 1;
  store_->set_options(options_);
  const auto response = write(series(kB, {{kStart, 1}, {kStart + 1, 1}}) + series(kA, {{kStart + 1, 2}}));
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(text(response).find("2 of 3 samples were not stored: 2 series_limit"), std::string::npos) << text(response);
  EXPECT_NE(text(response).find("store.metrics.series_limit"), std::string::npos) << text(response);
  EXPECT_EQ(stored(kA).size(), 2U);
}

TEST_F(WriteApiTest, takes_remote_write_2_and_says_what_is_stored) {
  const auto ask_v2 = [&](const std::string& message) {
    auto r = request(wire::pack(message));
    r.headers.set("Content-Type", std::string(wire::kContentTypeV2));
    return ask(std::move(r));
  };
  const model::Metadata words{model::MetricType::kGauge, "What a is.", ""};
  wire::WriteRequestV2 v2;
  v2.series(kA, &words);
  v2.sample({kStart, 1});
  v2.sample({kStart + 1, 2});
  v2.exemplar(LabelSet{{"trace_id", "x"}}, {kStart, 1});
  const auto response = ask_v2(v2.finish());
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.get("X-Prometheus-Remote-Write-Samples-Written"), "2");
  EXPECT_EQ(response.headers.get("X-Prometheus-Remote-Write-Histograms-Written"), "0");
  EXPECT_EQ(response.headers.get("X-Prometheus-Remote-Write-Exemplars-Written"), "1");
  EXPECT_EQ(stored(kA).size(), 2U);
  EXPECT_EQ(store_->metadata().at("a").help, "What a is.");

  v2.series(kA, nullptr);
  v2.sample({kStart + 1, 3});  // another value at that time
  v2.sample({kStart + 2, 3});
  const auto partial = ask_v2(v2.finish());
  EXPECT_EQ(partial.status, 400);
  EXPECT_EQ(partial.headers.get("X-Prometheus-Remote-Write-Samples-Written"), "1");
  EXPECT_EQ(stored(kA).size(), 3U);
  EXPECT_EQ(ask_v2("not a message").status, 400);
}

TEST_F(WriteApiTest, remote_write_2_has_counters_begin_with_a_zero_where_that_is_set) {
  const auto ask_v2 = [&](model::TimestampMs time_ms, model::TimestampMs start_ms) {
    wire::WriteRequestV2 v2;
    v2.series(kA, nullptr);
    v2.sample({time_ms, 7}, start_ms);
    auto r = request(wire::pack(v2.finish()));
    r.headers.set("Content-Type", std::string(wire::kContentTypeV2));
    const auto response = ask(std::move(r));
    EXPECT_EQ(response.status, 204);
    EXPECT_EQ(response.headers.get(wire::kWrittenHeader), "1");
  };
  ask_v2(kStart, kStart - 5000);
  EXPECT_EQ(stored(kA).size(), 1U);
  options_.created_timestamp_zero_ingestion = true;
  store_->set_options(options_);
  ask_v2(kStart + 1000, kStart - 5000);  // older than what is there
  EXPECT_EQ(stored(kA).size(), 2U);
  ask_v2(kStart + 3000, kStart + 2000);
  ask_v2(kStart + 4000, kStart + 2000);
  ask_v2(kStart + 5000, kStart + 6000);  // after the sample
  const auto samples = stored(kA);
  ASSERT_EQ(samples.size(), 6U);
  EXPECT_EQ(samples[2].time_ms, kStart + 2000);
  EXPECT_EQ(samples[2].value, 0);
}

TEST_F(WriteApiTest, late_histograms_are_stored) {
  model::Histogram histogram;
  histogram.is_integer = true;
  histogram.count = histogram.sum = 3;
  histogram.positive_spans = {{0, 1}};
  histogram.positive = {3};
  const auto send = [&](model::TimestampMs time_ms) {
    std::string message;
    wire::append_series(message, wire::encode_labels(kB), {}, wire::histogram_field(time_ms, histogram));
    return write(message).status;
  };
  EXPECT_EQ(send(kStart), 204);
  EXPECT_EQ(send(kStart - 3'600'000), 204);
  EXPECT_EQ(send(kStart - 3'600'000), 204) << "once more";
  ASSERT_EQ(columns(kB).size(), 2U);
  EXPECT_EQ(columns(kB).times.front(), kStart - 3'600'000);
  EXPECT_EQ(*columns(kB).histograms.at(0), histogram);
}

TEST_F(WriteApiTest, short_bodies_whose_labels_are_long_meet_a_bound) {
  wire::WriteRequestV2 v2;
  for (int i = 0; i < 300; ++i) {
    v2.series(LabelSet{{"__name__", std::string(1 << 20, 'a')}}, nullptr);
    v2.sample({kStart, 1});
  }
  auto r = request(wire::pack(v2.finish()));
  r.headers.set("Content-Type", std::string(wire::kContentTypeV2));
  EXPECT_EQ(ask(std::move(r)).status, 413);
}

TEST_F(WriteApiTest, native_histograms_are_stored_and_broken_ones_told) {
  model::Histogram histogram;
  histogram.is_integer = true;
  histogram.count = histogram.sum = 3;
  histogram.positive_spans = {{0, 1}};
  histogram.positive = {3};
  std::string message;
  wire::append_series(message, wire::encode_labels(kB), {}, wire::histogram_field(kStart, histogram));
  const auto taken = write(message + series(kA, {{kStart, 1}}));
  EXPECT_EQ(taken.status, 204) << text(taken);
  EXPECT_EQ(taken.headers.get(wire::kWrittenHeader), "1");
  EXPECT_EQ(taken.headers.get(wire::kHistogramsWrittenHeader), "1");
  ASSERT_EQ(columns(kB).histograms.size(), 1U);
  EXPECT_EQ(*columns(kB).histograms[0], histogram);

  histogram.count = 4;  // one more than in its buckets
  message.clear();
  wire::append_series(message, wire::encode_labels(kB), {}, wire::histogram_field(kStart + 1, histogram));
  const auto refused = write(message);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(counted("quarterdeck_write_samples_refused_total", "bad_histogram"), 1);
  EXPECT_EQ(columns(kB).size(), 1U);
}

TEST_F(WriteApiTest, other_codings_and_messages_are_refused_with_415) {
  const std::string body = wire::pack(series(kA, {{kStart, 1}}));
  const auto with = [&](std::string_view header, std::string value) {
    auto r = request(body);
    r.headers.set(header, std::move(value));
    return ask(std::move(r));
  };
  for (const auto& [header, value] : std::vector<std::pair<std::string, std::string>>{
           {"Content-Encoding", "gzip"},
           {"Content-Encoding", "zstd"},
           {"Content-Type", "application/json"},
           {"Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"}}) {
    EXPECT_EQ(with(header, value).status, 415) << value;
  }
  EXPECT_NE(text(with("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"))
                .find("io.prometheus.write.v2.Request are taken"),
            std::string::npos);
  EXPECT_EQ(stored(kA).size(), 0U);
  EXPECT_EQ(with("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest").status, 204);
  EXPECT_EQ(stored(kA).size(), 1U);
}

TEST_F(WriteApiTest, hostile_bodies_are_refused_and_store_nothing) {
  EXPECT_EQ(ask(request("this is not snappy at all")).status, 400);
  EXPECT_EQ(ask(request(std::string("\x80\x80\x80\x80\x04", 5))).status, 413);
  EXPECT_EQ(ask(request(wire::pack(std::string(kUnpackedBytesMax + 1, '\0')))).status, 413);
  EXPECT_EQ(write("not a message").status, 400);
  const std::string good = series(kA, {{kStart, 1}});
  EXPECT_EQ(write(good + "\x0a\x7f").status, 400) << "cut in the middle";
  EXPECT_EQ(stored(kA).size(), 0U);
  EXPECT_EQ(counted("quarterdeck_write_requests_failed_total"), 5);
}

TEST_F(WriteApiTest, a_log_that_cannot_be_written_is_503_and_works_again_later) {
  const std::string message = series(kA, {{kStart, 1}});
  files_.fail_after_bytes(0, ENOSPC);
  const auto response = write(message);
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(text(response).find("free space"), std::string::npos) << text(response);
  EXPECT_EQ(stored(kA).size(), 0U);
  files_.heal();
  EXPECT_EQ(write(message).status, 204);
  EXPECT_EQ(stored(kA).size(), 1U);
}

TEST_F(WriteApiTest, beyond_loopback_a_token_is_asked_for) {
  auto r = request(wire::pack(series(kA, {{kStart, 1}})));
  r.peer_address = "203.0.113.9";
  r.peer_is_loopback = false;
  EXPECT_EQ(ask(r).status, 401);
  auto wrong = r;
  wrong.headers.add("Authorization", "Bearer nothing");
  EXPECT_EQ(ask(wrong).status, 401);
  EXPECT_EQ(stored(kA).size(), 0U);
  r.headers.add("Authorization", "Bearer " + secret_);
  EXPECT_EQ(ask(r).status, 204);
  EXPECT_EQ(stored(kA).size(), 1U);
}

}  // namespace
}  // namespace qd::serve::prometheus
