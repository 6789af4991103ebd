#include "serve/influx/write_api.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "connect/http/encoding.h"
#include "serve/door_fixture_for_test.h"

namespace qd::serve::influx {
namespace {

using connect::http::Response;
using Lines = std::vector<std::string>;

class InfluxDoorTest : public DoorTest {
 protected:
  InfluxDoorTest() { add_routes(router_, *store_, clock_, base::Log::silent(), registry_); }

  Response write(std::string body, std::vector<connect::http::Parameter> query = {},
                 const std::string& path = "/write") {
    auto r = post(path, std::move(body));
    r.query = std::move(query);
    return ask(std::move(r));
  }
};

TEST_F(InfluxDoorTest, a_field_is_a_series_with_the_tags_as_labels) {
  EXPECT_EQ(write("cpu,host=a usage=1.5,idle=2i 1700000000000000000\nmem,host=a used=3 1700000000001000000\n").status,
            204);
  EXPECT_EQ(stored(),
            (Lines{R"(cpu_idle{host="a"} 2.00@0)", R"(cpu_usage{host="a"} 1.50@0)", R"(mem_used{host="a"} 3.00@1)"}));
  EXPECT_EQ(counted("quarterdeck_influx_samples_total"), 3);
}

TEST_F(InfluxDoorTest, every_path_takes_a_precision_and_a_database) {
  EXPECT_EQ(write("a v=1 1700000000", {{"precision", "s"}, {"db", "telegraf"}}).status, 204);
  EXPECT_EQ(write("b,db=own v=1 1700000000000", {{"precision", "ms"}, {"db", "telegraf"}}, "/influx/write").status,
            204);
  EXPECT_EQ(write("c v=1 1700000000000000", {{"precision", "us"}, {"bucket", "x"}}, "/api/v2/write").status, 204);
  EXPECT_EQ(write("d v=1").status, 204) << "its time is now";
  EXPECT_EQ(stored(), (Lines{R"(a_v{db="telegraf"} 1.00@0)", R"(b_v{db="own"} 1.00@0)", "c_v 1.00@0", "d_v 1.00@0"}));
  EXPECT_EQ(write("a v=1", {{"precision", "days"}}).status, 400);
}

TEST_F(InfluxDoorTest, lines_that_are_wrong_are_told_by_number_and_the_others_are_stored) {
  const auto response = write("a v=1 1700000000000000000\n\n# comment\nb\nc v=x\nd t=\"text\",v=2 1700000000000000000");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(text(response).find("partial write: 2 lines are not stored: line 4: column 2: there are no fields: a space "
                                "was expected; line 5: column 6: \\\"x\\\" is no number"),
            std::string::npos)
      << text(response);
  EXPECT_EQ(stored(), (Lines{"a_v 1.00@0", "d_v 2.00@0"}));
  EXPECT_EQ(counted("quarterdeck_influx_lines_failed_total"), 2);
  EXPECT_EQ(counted("quarterdeck_influx_texts_passed_over_total"), 1);
  const auto duplicate = write("a v=9 1700000000000000000");
  EXPECT_EQ(duplicate.status, 400);
  EXPECT_NE(text(duplicate).find("1 of 1 values are not stored"), std::string::npos) << text(duplicate);
  EXPECT_EQ(write("a v=1 1700000000000000000").status, 204) << "the same again is no error";
}

TEST_F(InfluxDoorTest, bodies_may_be_packed_and_have_bounds) {
  auto packed = post("/write", connect::http::gzip("a v=1 1700000000000000000"));
  packed.headers.add("Content-Encoding", "gzip");
  EXPECT_EQ(ask(packed).status, 204);
  packed.body = connect::http::gzip(std::string(kBodyBytesMax + 1, '\n'));
  EXPECT_EQ(ask(packed).status, 413) << "a bomb";
  packed.body = "a v=1";
  EXPECT_EQ(ask(packed).status, 400) << "no gzip";
  packed.headers.set("Content-Encoding", "br");
  EXPECT_EQ(ask(packed).status, 415);
  EXPECT_EQ(write("m,a=" + std::string(10 << 20, 'x') + " v=1").status, 400) << "a long label";
  EXPECT_EQ(write("m,a=\xff v=1").status, 400);
  EXPECT_EQ(write("m,__name__=x v=1").status, 400);
  EXPECT_EQ(write("m v=1 9223372036854775807", {{"precision", "h"}}).status, 400);
  EXPECT_EQ(stored(), Lines{"a_v 1.00@0"});
}

TEST_F(InfluxDoorTest, long_tags_spelled_out_for_many_fields_meet_a_bound) {
  std::string line = "m,a=" + std::string(10 << 20, 'x') + " f=1";
  for (int i = 0; i < 1'000; ++i) line += ",f" + std::to_string(i) + "=1";
  const auto response = write(line);
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(text(response).find("send less at once"), std::string::npos) << text(response).substr(0, 300);
}

TEST_F(InfluxDoorTest, a_log_that_cannot_be_written_is_503) {
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_EQ(write("a v=1").status, 503);
  files_.heal();
  EXPECT_EQ(write("a v=1").status, 204);
}

TEST_F(InfluxDoorTest, whoever_asks_whether_somebody_is_there_is_told) {
  const auto get = [&](const std::string& path) {
    auto r = post(path, "");
    r.method = "GET";
    return ask(std::move(r));
  };
  EXPECT_EQ(get("/ping").status, 204);
  EXPECT_TRUE(get("/influx/ping").headers.has("X-Influxdb-Version"));
  EXPECT_NE(text(get("/health")).find("\"status\":\"pass\""), std::string::npos);
  auto create = post("/influx/query", "");
  create.query = {{"q", "CREATE DATABASE \"telegraf\""}};
  EXPECT_EQ(ask(create).status, 200);
  create.query = {{"q", "SELECT * FROM cpu"}};
  EXPECT_EQ(ask(create).status, 400);
}

TEST_F(InfluxDoorTest, beyond_loopback_a_token_is_asked_for) {
  auto r = post("/write", "a v=1");
  r.peer_address = "203.0.113.9";
  r.peer_is_loopback = false;
  EXPECT_EQ(ask(r).status, 401);
  r.headers.add("Authorization", "Bearer " + *tokens_.add("web-1", store::state::Scope::kSend, 1));
  EXPECT_EQ(ask(r).status, 204);
}

}  // namespace
}  // namespace qd::serve::influx
