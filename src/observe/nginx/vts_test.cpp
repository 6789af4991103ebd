#include "observe/nginx/vts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "observe/nginx/families.h"
#include "observe/nginx/nginx.h"
#include "observe/recording_sink.h"

namespace qd::observe::nginx {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string page_text() {
  std::stringstream text;
  text << std::ifstream(QD_SOURCE_DIR "/src/observe/nginx/testdata/vts.json").rdbuf();
  return text.str();
}

TEST(Vts, tells_zones_as_the_modules_own_page_does) {
  const auto page = VtsPage::parse(page_text());
  ASSERT_TRUE(page) << page.error().message();
  RecordingSink sink;
  page->tell(sink, false);
  EXPECT_THAT(sink.faults(), IsEmpty());
  EXPECT_EQ(sink.value(R"(nginx_vts_info{hostname="web1",module_version="v0.2.4",version="1.26.2"})"), 1);
  EXPECT_DOUBLE_EQ(*sink.value("nginx_vts_start_time_seconds"), 1700000000.123);
  EXPECT_EQ(sink.value(R"(nginx_vts_main_connections{status="accepted"})"), 26);
  EXPECT_EQ(sink.value(R"(nginx_vts_main_shm_usage_bytes{shared="used_node"})"), 5);
  EXPECT_EQ(sink.value(R"(nginx_vts_server_bytes_total{direction="in",host="shop.example"})"), 10'000);
  EXPECT_EQ(sink.value(R"(nginx_vts_server_requests_total{code="2xx",host="*"})"), 20);
  EXPECT_EQ(sink.value(R"(nginx_vts_server_cache_total{host="shop.example",status="hit"})"), 10);
  EXPECT_DOUBLE_EQ(*sink.value(R"(nginx_vts_server_request_seconds_total{host="shop.example"})"), 1.5);
  EXPECT_DOUBLE_EQ(*sink.value(R"(nginx_vts_server_request_seconds{host="shop.example"})"), 0.012);
  const std::string duration = "nginx_vts_server_request_duration_seconds";
  EXPECT_EQ(sink.value(duration + R"(_bucket{host="shop.example",le="0.010"})"), 2);
  EXPECT_EQ(sink.value(duration + R"(_bucket{host="shop.example",le="+Inf"})"), 16);
  EXPECT_EQ(sink.value(duration + R"(_count{host="shop.example"})"), 16);
  EXPECT_DOUBLE_EQ(*sink.value(duration + R"(_sum{host="shop.example"})"), 1.5);
  EXPECT_FALSE(sink.value(duration + R"(_count{host="*"})"));
  EXPECT_EQ(
      sink.value(R"(nginx_vts_filter_requests_total{code="2xx",filter="country::shop.example",filter_name="KR"})"), 5);
  EXPECT_EQ(sink.value(R"(nginx_vts_upstream_requests_total{backend="10.0.0.2:80",code="2xx",upstream="backend"})"), 8);
  EXPECT_DOUBLE_EQ(
      *sink.value(R"(nginx_vts_upstream_response_seconds_total{backend="10.0.0.3:80",upstream="::nogroups"})"), 0.9);
  EXPECT_EQ(
      sink.value(
          R"(nginx_vts_upstream_response_duration_seconds_bucket{backend="10.0.0.1:80",le="0.100",upstream="backend"})"),
      3);
  EXPECT_EQ(sink.value(R"(nginx_vts_cache_usage_bytes{cache_size="used",cache_zone="static"})"), 4096);
  EXPECT_EQ(sink.value(R"(nginx_vts_cache_requests_total{cache_zone="static",status="scarce"})"), 8);
  EXPECT_FALSE(sink.types().contains("nginx_server_requests"));

  // All that the table has of the module.
  for (const auto& info : families()) {
    if (info.name.starts_with("nginx_vts_")) EXPECT_TRUE(sink.types().contains(info.name)) << info.name;
  }
}

TEST(Vts, tells_the_older_exporters_names_where_they_are_wanted) {
  const auto page = VtsPage::parse(page_text());
  ASSERT_TRUE(page);
  RecordingSink sink;
  page->tell(sink, true);
  EXPECT_THAT(sink.faults(), IsEmpty());
  for (const auto& info : legacy_families()) {
    const auto type = sink.types().find(info.name);
    ASSERT_NE(type, sink.types().end()) << info.name;
    EXPECT_EQ(type->second, info.type);
    EXPECT_EQ(sink.helps().find(info.name)->second, info.help);
  }
  EXPECT_EQ(sink.value(R"(nginx_server_info{hostName="web1",nginxVersion="1.26.2"})"), 100);
  EXPECT_EQ(sink.value(R"(nginx_server_requests{code="total",host="shop.example"})"), 16);
  EXPECT_EQ(sink.value(R"(nginx_server_cache{host="shop.example",status="hit"})"), 10);
  EXPECT_FALSE(sink.value(R"(nginx_server_cache{host="shop.example",status="total"})"));
  EXPECT_EQ(sink.value(R"(nginx_upstream_responseMsec{backend="10.0.0.1:80",upstream="backend"})"), 7);
  EXPECT_EQ(sink.value(R"(nginx_filter_requests{code="total",filter="country::shop.example",filterName="US"})"), 12);
  EXPECT_EQ(sink.value(R"(nginx_cache_bytes{direction="out",zone="static"})"), 200);
}

TEST(Vts, refuses_or_survives_what_is_not_of_the_module) {
  for (const std::string& text : std::vector<std::string>{
           "", "{", "[]", "null", "{}", R"({"connections":{}})", R"({"connections":1,"serverZones":{}})",
           std::string(100'000, '['), R"({"connections":{},"serverZones":{}} x)", std::string(1000, '\0')}) {
    const auto page = VtsPage::parse(text);
    ASSERT_FALSE(page) << text.substr(0, 50);
    EXPECT_EQ(page.error().code(), base::ErrorCode::kCorrupt);
  }
  const auto page = VtsPage::parse(
      "{\"connections\":{\"active\":\"x\",\"reading\":-5,\"writing\":1e300},\"hostName\":7,\"serverZones\":{"
      "\"a\xff\":{\"inBytes\":18446744073709551615,\"responses\":[],\"requestBuckets\":{\"msecs\":[5,5,\"x\",1],"
      "\"counters\":[1,2,3]}},\"a\xfe\":{\"inBytes\":1},\"b\":null},"
      "\"upstreamZones\":{\"u\":{},\"v\":[1,{\"server\":null,\"inBytes\":2}]},\"filterZones\":{\"f\":[]},"
      "\"cacheZones\":[]}");
  ASSERT_TRUE(page);
  RecordingSink sink;
  page->tell(sink, true);
  EXPECT_THAT(sink.faults(), IsEmpty());
  EXPECT_EQ(sink.value("nginx_vts_server_bytes_total{direction=\"in\",host=\"a\xef\xbf\xbd\"}"),
            18446744073709551616.0);
  EXPECT_EQ(page->connections().reading, 0);
}

TEST(Vts, a_collector_with_this_page_alone_tells_connections_and_up) {
  base::ManualClock clock;
  int status = 200;
  std::string body = page_text();
  NginxCollector collector(
      {.vts_url = "http://127.0.0.1/status/format/json"},
      [&](const connect::http::ClientRequest&) -> base::Result<connect::http::ClientResponse> {
        return connect::http::ClientResponse{.status = status, .body = body};
      },
      clock);
  RecordingSink sink;
  ASSERT_TRUE(collector.collect(1'000'000'000, sink));
  EXPECT_THAT(sink.faults(), IsEmpty());
  EXPECT_EQ(sink.value("nginx_up"), 1);
  EXPECT_EQ(sink.value("nginx_connections_accepted"), 26);
  EXPECT_EQ(sink.value("nginx_http_requests_total"), 24);
  EXPECT_EQ(collector.trouble(), nullptr);

  body = R"({"connections":{},"serverZones":{)";
  for (int i = 0; i < 3000; ++i) body += fmt::format("{}\"h{}\":{{\"inBytes\":1}}", i == 0 ? "" : ",", i);
  body += "}}";
  RecordingSink cut;
  ASSERT_TRUE(collector.collect(1'000'000'000, cut));
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("more than 2000 zones"));
  EXPECT_EQ(cut.values().size(), 2000 + 1 + 1 + 7);

  status = 404;
  RecordingSink missing;
  ASSERT_TRUE(collector.collect(1'000'000'000, missing));
  EXPECT_EQ(missing.value("nginx_up"), 0);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_THAT(collector.trouble()->message(),
              HasSubstr("location /status { vhost_traffic_status_display; vhost_traffic_status_display_format json; "
                        "allow 127.0.0.1; deny all; }"));
}

}  // namespace
}  // namespace qd::observe::nginx
