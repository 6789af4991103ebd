#include "connect/docker/answers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace qd::connect::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const std::string kId(64, 'a');

// As Docker 20.10 answers, shortened.
std::string details_of_postgres() {
  return R"({"Id":")" + kId + R"(","Created":"2026-11-25T23:55:31.361107493Z","Path":"docker-entrypoint.sh",
    "Args":["postgres","-c","max_connections=50"],
    "State":{"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":true,"Dead":false,
      "Pid":28937,"ExitCode":3,"Error":"","StartedAt":"2026-11-25T23:55:32Z","FinishedAt":"0001-01-01T00:00:00Z",
      "Health":{"Status":"starting","FailingStreak":0,"Log":[]}},
    "Image":"sha256:a47d","Name":"/shop-db-1","RestartCount":2,
    "HostConfig":{"NetworkMode":"shop_default","PortBindings":{}},
    "Config":{"Env":["POSTGRES_PASSWORD=a=b","EMPTY=","no value","POSTGRES_USER=shop"],"Image":"postgres:16",
      "ExposedPorts":{"5432/tcp":{},"9187/tcp":{},"99999/tcp":{},"x":{}},
      "Labels":{"com.docker.compose.project":"shop","quarterdeck.port":"5432"}},
    "NetworkSettings":{"Ports":{"5432/tcp":[{"HostIp":"0.0.0.0","HostPort":"15432"},{"HostIp":"::","HostPort":"15432"}],
        "8125/udp":null},
      "Networks":{"shop_default":{"IPAddress":"172.18.0.2"},"none":{"IPAddress":""},
        "six":{"IPAddress":"","GlobalIPv6Address":"fd00::2"}}}})";
}

TEST(Details, are_read_as_docker_tells_them) {
  const auto details = parse_details(details_of_postgres());
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->id, kId);
  EXPECT_EQ(details->name, "shop-db-1");
  EXPECT_EQ(details->image, "postgres:16");
  EXPECT_EQ(details->image_id, "sha256:a47d");
  EXPECT_THAT(details->labels,
              ElementsAre(Pair("com.docker.compose.project", "shop"), Pair("quarterdeck.port", "5432")));
  EXPECT_THAT(details->environment,
              ElementsAre(Pair("EMPTY", ""), Pair("POSTGRES_PASSWORD", "a=b"), Pair("POSTGRES_USER", "shop")));
  EXPECT_THAT(details->addresses, ElementsAre(Pair("shop_default", "172.18.0.2"), Pair("six", "fd00::2")));
  EXPECT_THAT(details->command, ElementsAre("docker-entrypoint.sh", "postgres", "-c", "max_connections=50"));
  EXPECT_EQ(details->network_mode, "shop_default");
  EXPECT_EQ(details->state, "running");
  EXPECT_EQ(details->health, "starting");
  EXPECT_EQ(details->pid, 28937);
  EXPECT_EQ(base::format_time(details->created_ms), "2026-11-25T23:55:31.361Z");
  EXPECT_EQ(base::format_time(details->started_ms), "2026-11-25T23:55:32.000Z");
  EXPECT_EQ(details->restart_count, 2);
  EXPECT_EQ(details->exit_code, 3);
  EXPECT_TRUE(details->oom_killed);
  std::vector<std::string> ports;
  for (const Port& port : details->ports)
    ports.push_back(fmt::format("{}:{}->{}/{}", port.host_ip, port.host_port, port.container_port, port.protocol));
  EXPECT_THAT(ports, ElementsAre("0.0.0.0:15432->5432/tcp", ":::15432->5432/tcp", ":0->8125/udp", ":0->9187/tcp"));
}

TEST(Details, that_are_null_absent_or_of_another_type_are_empty) {
  for (const char* body :
       {R"({"Id":"ID"})", R"({"Id":"ID","Name":null,"State":null,"Config":{"Env":null,"Labels":[]}})",
        R"({"Id":"ID","Name":7,"State":"up","Config":[],"NetworkSettings":{"Ports":7,"Networks":7}})",
        R"({"Id":"ID","State":{"Pid":"1","StartedAt":"0001-01-01T00:00:00Z","ExitCode":1e99}})",
        R"({"Id":"ID","State":{"Pid":-5,"StartedAt":"yesterday"},"NetworkSettings":{"Ports":
                              {"80/tcp":[7]}}})"}) {
    std::string text(body);
    text.replace(text.find("\"ID\""), 4, "\"" + kId + "\"");
    const auto details = parse_details(text);
    ASSERT_TRUE(details) << body;
    EXPECT_EQ(details->name, "");
    EXPECT_EQ(details->pid, 0);
    EXPECT_EQ(details->started_ms, 0);
    EXPECT_EQ(details->exit_code, 0);
    EXPECT_THAT(details->environment, IsEmpty());
  }
}

TEST(Details, that_are_no_answer_of_an_engine_are_errors_without_their_text) {
  const std::string deep = std::string(100'000, '[');
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("{\"Id\":\"secret"), deep,
        std::string(R"({"Id":"../../secret"})"), std::string("\0secret", 7), std::string("{\"Id\":\"\xff secret\"}"),
        R"({"Id":")" + std::string(63, 'a') + R"("})", R"({"Id":")" + std::string(64, 'A') + R"("})"}) {
    const auto details = parse_details(body);
    ASSERT_FALSE(details);
    EXPECT_EQ(details.error().code(), base::ErrorCode::kCorrupt);
    EXPECT_EQ(details.error().message().find("secret"), std::string::npos);
    EXPECT_FALSE(parse_list(body.empty() || body == "[]" ? "{}" : body));
  }
}

TEST(Details, beyond_the_bounds_are_left_out) {
  std::string environment, ports;
  for (int i = 0; i < 300; ++i) environment += fmt::format(R"("NAME{}={}",)", i, std::string(1000, 'x'));
  for (int i = 1; i < 5000; ++i) ports += fmt::format(R"("{}/udp":null,)", i);
  const auto details = parse_details(R"({"Id":")" + kId + R"(","Config":{"Env":[)" + environment +
                                     R"("LAST=1"]},"NetworkSettings":{"Ports":{)" + ports + R"("1/tcp":null}}})");
  ASSERT_TRUE(details);
  EXPECT_EQ(details->ports.size(), kPortsMax);
  EXPECT_GT(details->environment.size(), 100);
  EXPECT_LT(details->environment.size(), 140);
}

TEST(List, gives_ids_and_says_by_a_fingerprint_what_has_changed) {
  const auto list_with = [](std::string_view state, std::string_view status, std::string_view name) {
    const auto list = parse_list(fmt::format(R"([{{"Id":"{}","Names":["/{}"],"Image":"bb:1","Created":1,"State":"{}",
      "Status":"{}","Labels":{{}}}},{{"Id":"{}","State":"exited"}}])",
                                             kId, name, state, status, std::string(64, 'b')));
    EXPECT_TRUE(list);
    return list->front();
  };
  const auto first = list_with("running", "Up 4 minutes (healthy)", "one");
  EXPECT_EQ(first.id, kId);
  EXPECT_TRUE(first.running);
  EXPECT_EQ(list_with("running", "Up 5 hours (healthy)", "one").fingerprint, first.fingerprint);
  EXPECT_NE(list_with("running", "Up 5 hours (unhealthy)", "one").fingerprint, first.fingerprint);
  EXPECT_NE(list_with("paused", "Up 4 minutes (healthy)", "one").fingerprint, first.fingerprint);
  EXPECT_NE(list_with("running", "Up 4 minutes (healthy)", "two").fingerprint, first.fingerprint);
  EXPECT_FALSE(list_with("exited", "Exited (1) 2 hours ago", "one").running);
  EXPECT_THAT(*parse_list("[]"), IsEmpty());
}

TEST(Event, names_what_happened_to_which_container) {
  const auto event = [](std::string_view action, std::string_view more) {
    auto parsed =
        parse_event(fmt::format(R"({{"status":"x","id":"{}","Type":"container","Action":"{}"{}}})", kId, action, more));
    EXPECT_TRUE(parsed);
    return parsed ? *parsed : Event{};
  };
  EXPECT_EQ(event("start", "").action, "start");
  EXPECT_EQ(event("start", "").id, kId);
  EXPECT_EQ(event("health_status: healthy", "").action, "health_status");
  EXPECT_EQ(event("exec_create: /bin/sh -c secret", "").action, "exec_create");
  EXPECT_EQ(parse_event(fmt::format(R"({{"status":"die","id":"{}"}})", kId))->action, "die");
  EXPECT_EQ(parse_event(fmt::format(R"({{"Type":"network","Action":"connect","Actor":{{"ID":"{}"}}}})", kId))->id, "");
  EXPECT_EQ(parse_event(R"({"Type":"container","Action":"start","Actor":{"ID":"../x"}})")->id, "");
  EXPECT_FALSE(parse_event("[]"));
  EXPECT_FALSE(parse_event("start"));
}

TEST(Message, of_an_error_is_one_short_line) {
  EXPECT_EQ(parse_message(R"({"message":"No such container: none"})"), "No such container: none");
  EXPECT_EQ(parse_message("{\"message\":\"two\\nlines\\u0000\"}"), "two lines");
  EXPECT_EQ(parse_message("<html>"), "");
  std::string umlauts;
  for (int i = 0; i < 300; ++i) umlauts += "\u00e4";
  const auto cut = parse_message("{\"message\":\"x" + umlauts + "\"}");
  EXPECT_LE(cut.size(), 200);
  EXPECT_TRUE(base::valid_utf8(cut));
}

}  // namespace
}  // namespace qd::connect::docker
