#include "serve/otlp/metrics_api.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "connect/http/encoding.h"
#include "serve/door_fixture_for_test.h"

namespace qd::serve::otlp {
namespace {

using Lines = std::vector<std::string>;

class OtlpDoorTest : public DoorTest {
 protected:
  OtlpDoorTest() {
    add_metrics_routes(router_, *store_, clock_, base::Log::silent(), registry_, [this] { return options_; });
  }
  connect::http::Response send(std::string body, const std::string& path = "/v1/metrics",
                               const std::string& type = "application/json", const std::string& encoding = "") {
    auto r = post(path, std::move(body));
    r.headers.add("Content-Type", type);
    if (!encoding.empty()) r.headers.add("Content-Encoding", encoding);
    return ask(std::move(r));
  }
  static std::string gauge(const std::string& value, const std::string& name = "g",
                           const std::string& time = "1700000000000000000") {
    return R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]},)"
           R"("scopeMetrics":[{"metrics":[{"name":")" +
           name + R"(","gauge":{"dataPoints":[{"timeUnixNano":")" + time + R"(","asDouble":)" + value + "}]}}]}]}]}";
  }

  OtlpSettings options_;
};

TEST_F(OtlpDoorTest, takes_json_and_protobuf_plain_and_packed_at_both_paths) {
  const auto first = send(gauge("1.5"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.content_type, "application/json");
  EXPECT_EQ(text(first), "{}");
  EXPECT_EQ(
      send(connect::http::gzip(gauge("2", "h")), "/api/v1/otlp/v1/metrics", "application/json; charset=utf-8", "gzip")
          .status,
      200);
  // {g{} 3 at kStart} as protobuf.
  const std::string message(
      "\x0a\x1f\x12\x1d\x12\x1b\x0a\x01p\x2a\x16\x0a\x14\x19\x00\x00\x8c\xcf\xab\xa0\x97\x17\x21\x00\x00\x00\x00\x00"
      "\x00\x08\x40\x40\x00",
      33);
  const auto third = send(message, "/v1/metrics", "application/x-protobuf");
  EXPECT_EQ(third.status, 200);
  EXPECT_EQ(text(third), "");
  EXPECT_EQ(stored().size(), 3U);
  EXPECT_EQ(stored()[0], R"(g{job="api"} 1.50@0)");
  EXPECT_EQ(stored()[2].substr(0, 6), "p 3.00");
  EXPECT_EQ(counted("quarterdeck_otlp_samples_total"), 3);
}

TEST_F(OtlpDoorTest, what_is_not_taken_is_told_and_the_rest_is_stored) {
  const std::string delta =
      R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"s","sum":{"aggregationTemporality":1,)"
      R"("dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"1"}]}},{"name":"g","gauge":{"dataPoints":)"
      R"([{"timeUnixNano":"1700000000000000000","asInt":"1"}]}}]}]}]})";
  const auto response = send(delta);
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(text(response).find(R"("rejectedDataPoints":"1")"), std::string::npos) << text(response);
  EXPECT_EQ(stored(), Lines{"g 1.00@0"});
  EXPECT_EQ(counted("quarterdeck_otlp_points_rejected_total"), 1);
  options_.convert_delta = true;
  EXPECT_EQ(text(send(delta)), "{}");
  EXPECT_EQ(stored().size(), 2U);
  const auto another = send(gauge("7", "g", "1700000000000000000"));
  EXPECT_EQ(text(another), "{}") << "another job";
  EXPECT_NE(text(send(gauge("8", "g", "1700000000000000000"))).find("duplicate"), std::string::npos);
}

TEST_F(OtlpDoorTest, hostile_bodies_are_refused_and_store_nothing) {
  EXPECT_EQ(send("{").status, 400);
  EXPECT_EQ(send("\x0a\x7f", "/v1/metrics", "application/x-protobuf").status, 400);
  EXPECT_EQ(send("{}", "/v1/metrics", "text/plain").status, 415);
  EXPECT_EQ(send("{}", "/v1/metrics", "application/json", "zstd").status, 415);
  EXPECT_EQ(send("no gzip", "/v1/metrics", "application/json", "gzip").status, 400);
  EXPECT_EQ(
      send(connect::http::gzip(std::string(kBodyBytesMax + 1, ' ')), "/v1/metrics", "application/json", "gzip").status,
      413)
      << "a bomb";
  // Two bytes a point on the wire, and far more in memory.
  const auto in = [](char tag, std::string inner) {
    std::string out(1, tag);
    for (std::size_t n = inner.size();; n >>= 7) {
      out.push_back(static_cast<char>(n > 127 ? (n & 127) | 128 : n));
      if (n <= 127) break;
    }
    return out + inner;
  };
  std::string points;
  for (int i = 0; i < 1'000'000; ++i) points += std::string("\x0a\0", 2);
  EXPECT_EQ(send(in(0x0a, in(0x12, in(0x12, in(0x2a, points)))), "/v1/metrics", "application/x-protobuf").status, 413);
  EXPECT_EQ(send(gauge("1", std::string(10 << 20, 'a'))).status, 200) << "a series alone";
  EXPECT_EQ(stored(), Lines{});
  EXPECT_EQ(counted("quarterdeck_otlp_requests_failed_total"), 7);
  EXPECT_EQ(counted("quarterdeck_otlp_samples_refused_total", "bad_series"), 1);
}

TEST_F(OtlpDoorTest, a_log_that_cannot_be_written_is_503) {
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_EQ(send(gauge("1")).status, 503);
  files_.heal();
  EXPECT_EQ(send(gauge("1")).status, 200);
}

TEST_F(OtlpDoorTest, points_are_counted_and_not_their_samples) {
  const auto histogram = [](const std::string& sum, const std::string& count) {
    return R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":2,)"
           R"("dataPoints":[{"timeUnixNano":"1700000000000000000","count":")" +
           count + R"(","sum":)" + sum + R"(,"bucketCounts":["1",")" + count +
           R"("],"explicitBounds":[1]},{"timeUnixNano":"1700000001000000000","count":"9","sum":9,)"
           R"("bucketCounts":["9","0"],"explicitBounds":[1]}]}}]}]}]})";
  };
  EXPECT_EQ(text(send(histogram("1", "2"))), "{}");
  EXPECT_EQ(stored().size(), 8U);
  const auto other = text(send(histogram("5", "3")));
  EXPECT_NE(other.find(R"("rejectedDataPoints":"1")"), std::string::npos) << other;
  EXPECT_NE(other.find("duplicate"), std::string::npos) << other;
  EXPECT_EQ(counted("quarterdeck_otlp_samples_refused_total", "duplicate"), 3) << "the bucket up to 1 is as it was";
}

TEST_F(OtlpDoorTest, a_difference_counts_once_though_its_request_is_sent_again) {
  options_.convert_delta = true;
  const auto delta = [](const std::string& seconds, const std::string& value) {
    return R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"s","sum":{"aggregationTemporality":1,)"
           R"("dataPoints":[{"timeUnixNano":"17000000)" +
           seconds + R"(000000000","asInt":")" + value + R"("}]}}]}]}]})";
  };
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_EQ(send(delta("01", "5")).status, 503);
  EXPECT_EQ(send(delta("01", "5")).status, 503);
  files_.heal();
  EXPECT_EQ(text(send(delta("01", "5"))), "{}");
  EXPECT_EQ(text(send(delta("02", "1"))), "{}");
  EXPECT_EQ(stored(), (Lines{"s 5.00@1000", "s 6.00@2000"}));
  EXPECT_NE(text(send(delta("02", "1"))).find("comes late or twice"), std::string::npos);
}

TEST_F(OtlpDoorTest, exemplars_are_stored_with_their_trace) {
  const std::string body =
      R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"s","sum":{"aggregationTemporality":2,)"
      R"("isMonotonic":true,"dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"1","exemplars":[)"
      R"({"timeUnixNano":"1700000000000000000","asDouble":0.5,"traceId":"0123456789abcdef0123456789abcdef",)"
      R"("spanId":"0123456789abcdef"}]}]}}]}]}]})";
  EXPECT_EQ(text(send(body)), "{}");
  const std::vector<model::Matcher> all = {*model::Matcher::create(model::Matcher::Kind::kNotEqual, "__name__", "")};
  const auto found = store_->exemplars({&all, 1}, 0, model::kMaxTimestampMs, 10);
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].exemplars.at(0).labels.to_string(),
            R"({span_id="0123456789abcdef", trace_id="0123456789abcdef0123456789abcdef"})");
  EXPECT_EQ(counted("quarterdeck_otlp_exemplars_total"), 1);
}

TEST_F(OtlpDoorTest, beyond_loopback_a_token_is_asked_for) {
  auto r = post("/v1/metrics", gauge("1"));
  r.headers.add("Content-Type", "application/json");
  r.peer_address = "203.0.113.9";
  r.peer_is_loopback = false;
  EXPECT_EQ(ask(r).status, 401);
  r.headers.add("Authorization", "Bearer " + *tokens_.add("web-1", store::state::Scope::kSend, 1));
  EXPECT_EQ(ask(r).status, 200);
}

}  // namespace
}  // namespace qd::serve::otlp
