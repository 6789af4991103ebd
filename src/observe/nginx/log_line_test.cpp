#include "observe/nginx/log_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qd::observe::nginx {
namespace {

TEST(LogLine, reads_json_as_the_usual_log_formats_write_it) {
  const auto line = parse_log_line(
      R"({"time_local":"26/Nov/2026:10:00:00 +0000","remote_addr":"10.1.2.3","request":"GET /a\"b HTTP/1.1",)"
      R"("status": "200","body_bytes_sent":"612","bytes_sent":"840","request_length":"77","request_method":"GET",)"
      R"("request_time":"0.014","upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_status":"502, 200",)"
      R"("upstream_response_time":"0.003, 0.010","upstream_connect_time":"-, 0.001","http_host":"evil.example",)"
      R"("host":"shop.example","server_name":"shop"})");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->method, "GET");
  EXPECT_EQ(line->status, "200");
  EXPECT_EQ(line->host, "shop");
  EXPECT_EQ(line->response_bytes, "612");
  EXPECT_EQ(line->request_bytes, "77");
  EXPECT_EQ(line->request_time, "0.014");
  EXPECT_EQ(line->upstream_addr, "10.0.0.1:80, 10.0.0.2:80");
  EXPECT_EQ(line->upstream_status, "502, 200");
  EXPECT_EQ(line->upstream_time, "0.003, 0.010");
  EXPECT_EQ(line->upstream_connect_time, "-, 0.001");
}

TEST(LogLine, reads_variables_without_quotes_even_where_that_is_no_json) {
  auto line = parse_log_line(
      R"({ "status": 404, "bytes_sent": 12, "upstream_response_time": 0.001, 0.002 : 0.003, "upstream_addr":, )"
      R"("request":"POST /x HTTP/2.0", "host": null })");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->status, "404");
  EXPECT_EQ(line->method, "POST");
  EXPECT_EQ(line->response_bytes, "12");
  EXPECT_EQ(line->upstream_time, "0.001, 0.002 : 0.003");
  EXPECT_EQ(line->upstream_addr, "");
  EXPECT_EQ(line->host, "");
  line = parse_log_line(R"({"status":204,"request_time":0.5})");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->request_time, "0.5");
}

TEST(LogLine, passes_over_what_is_nested) {
  const auto line =
      parse_log_line(R"({"http":{"status":500,"x":["}",{"y":"]"}]},"status":"201","tags":["a","b"],"method":"PUT"})");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->status, "201");
  EXPECT_EQ(line->method, "PUT");
}

TEST(LogLine, reads_the_combined_format) {
  auto line = parse_log_line(
      R"(10.0.0.1 - joe [26/Nov/2026:10:00:00 +0000] "GET /a?b=%22 HTTP/1.1" 304 0 "-" "curl/7.88 \x22x\x22")");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->method, "GET");
  EXPECT_EQ(line->status, "304");
  EXPECT_EQ(line->response_bytes, "0");
  EXPECT_EQ(line->request_time, "");
  line = parse_log_line(R"(shop.example:80 10.0.0.1 - - [t] "HEAD / HTTP/1.1" 200 15)");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->method, "HEAD");
  EXPECT_EQ(line->response_bytes, "15");
}

TEST(LogLine, a_request_that_is_none_has_no_method) {
  const auto line = parse_log_line(R"(10.0.0.1 - - [t] "\x16\x03\x01" 400 150 "-" "-")");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->method, "");
  EXPECT_EQ(line->status, "400");
}

TEST(LogLine, refuses_what_is_of_neither_form) {
  const std::string nul("{\"status\":\"200\"\0}", 17);
  for (const std::string& text :
       std::vector<std::string>{"",
                                " ",
                                "{",
                                "{}",
                                "{}}",
                                "}",
                                "[]",
                                "[200]",
                                "null",
                                "\"\"",
                                "\"GET / HTTP/1.1\" 200",
                                R"({"status"})",
                                R"({"status":})",
                                R"({"status":"200")",
                                R"({"status":"200",})",
                                R"({"status":"200"}x)",
                                R"({"status":"20"})",
                                R"({"status":"2000"})",
                                R"({"status":"2x0"})",
                                R"({"status":"-"})",
                                R"({"statu)",
                                R"({"status":"200\"})",
                                R"({"status":"200\\\"})",
                                R"({status:200})",
                                R"({"a":[[[)",
                                R"({"a":"b" "c":1})",
                                R"(a "b" c)",
                                R"(a "GET /" 20 3)",
                                R"(a "GET /"200 3)",
                                R"(a "GET / )",
                                nul,
                                std::string(1000, '{'),
                                R"({"a":)" + std::string(1000, '[') + std::string(1000, ']') + R"(,"status":"200"})",
                                std::string(100, '\0')}) {
    if (text == "\"GET / HTTP/1.1\" 200") continue;  // the shortest line that has a status
    EXPECT_FALSE(parse_log_line(text)) << text;
  }
  EXPECT_TRUE(parse_log_line("\"GET / HTTP/1.1\" 200"));
}

std::vector<std::string> items(std::string_view list) {
  std::vector<std::string> all;
  while (!list.empty()) all.emplace_back(next_item(list));
  return all;
}

TEST(LogLine, takes_lists_of_upstreams_apart) {
  using Items = std::vector<std::string>;
  EXPECT_EQ(items("10.0.0.1:80"), (Items{"10.0.0.1:80"}));
  EXPECT_EQ(items("10.0.0.1:80, [::1]:81 : unix:/run/a.sock"), (Items{"10.0.0.1:80", "[::1]:81", "unix:/run/a.sock"}));
  EXPECT_EQ(items("0.001, -, 0.002"), (Items{"0.001", "", "0.002"}));
  EXPECT_EQ(items("-"), (Items{""}));
  EXPECT_EQ(items(""), Items{});
  EXPECT_EQ(items(" : "), (Items{""}));
  EXPECT_EQ(items(",,"), (Items{"", ""}));
}

}  // namespace
}  // namespace qd::observe::nginx
