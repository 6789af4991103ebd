#include "ship/remote_write/destination.h"

#include <gtest/gtest.h>

namespace qd::ship::remote_write {
namespace {

std::string error_of(std::vector<Destination> destinations, DestinationSource source = DestinationSource::kOwnFile) {
  const auto done = complete(destinations, source);
  return done ? "" : done.error().message();
}

TEST(Destination, gets_a_name_of_its_url_that_stays_the_same) {
  std::vector<Destination> two = {{.url = "https://a.example/write"}, {.url = "https://b.example/write"}};
  ASSERT_TRUE(complete(two, DestinationSource::kOwnFile));
  EXPECT_EQ(two[0].name.size(), 8U);
  EXPECT_NE(two[0].name, two[1].name);
  std::vector<Destination> again = {{.url = "https://a.example/write", .headers = {{"X-Tenant", "1"}}}};
  ASSERT_TRUE(complete(again, DestinationSource::kOwnFile));
  EXPECT_EQ(again[0].name, two[0].name) << "its queue is found again, whatever else changes";
}

TEST(Destination, what_cannot_be_is_refused_with_the_cure) {
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(error_of({{}}), "has no url"));
  EXPECT_TRUE(has(error_of({{.url = "deck:9090"}}), "no URL of a receiver"));
  EXPECT_TRUE(has(error_of({{.url = "https://me:pw@deck/"}}), "use basic_auth"));
  EXPECT_FALSE(has(error_of({{.url = "https://me:pw@deck/"}}), "pw@"));
  EXPECT_TRUE(has(error_of({{.url = "https://a", .name = "../up"}}), "a name has letters"));
  EXPECT_TRUE(
      has(error_of({{.url = "https://a", .name = "x"}, {.url = "https://b", .name = "x"}}), "two destinations"));
  EXPECT_TRUE(has(error_of({{.url = "https://a", .protobuf_message = "v2"}}), "protobuf_message is"));
  EXPECT_TRUE(has(error_of({{.url = "https://a", .headers = {{"Content-type", "x"}}}}), "set by the protocol"));
  EXPECT_TRUE(has(error_of({{.url = "https://a", .declared = {.user = "u", .credentials = "c"}}}), "gets one"));
  EXPECT_TRUE(has(error_of({{.url = "https://a", .queue = {.min_shards = 60}}}), "min_shards"));
}

TEST(Destination, what_our_file_declares_becomes_requests_and_rules) {
  std::vector<Destination> one = {{.url = "https://a/w",
                                   .declared = {.user = "u", .password = "p", .proxy_url = "http://proxy:3128"},
                                   .declared_relabel = {{.source_labels = {"job"}, .regex = "x", .action = "drop"}}}};
  ASSERT_TRUE(complete(one, DestinationSource::kOwnFile));
  EXPECT_EQ(one[0].http.basic_auth->username, "u");
  EXPECT_EQ(one[0].http.proxy.url, "http://proxy:3128");
  model::LabelBuilder dropped(model::LabelSet{{"__name__", "a"}, {"job", "x"}});
  model::LabelBuilder kept(model::LabelSet{{"__name__", "a"}, {"job", "y"}});
  EXPECT_FALSE(one[0].relabel.apply(dropped));
  EXPECT_TRUE(one[0].relabel.apply(kept));
  EXPECT_NE(error_of({{.url = "https://a", .declared_relabel = {{.action = "burn"}}}}).find("no action burn"),
            std::string::npos);
  EXPECT_NE(error_of({{.url = "https://a", .declared_relabel = {{.regex = "("}}}}).find("write_relabel_configs"),
            std::string::npos);
  EXPECT_NE(error_of({{.url = "https://a", .declared = {.oauth2_client_id = "x"}}}).find("token_url"),
            std::string::npos);
}

TEST(Destination, credentials_go_in_the_clear_only_where_prometheus_has_it_so) {
  const std::vector<Destination> one = {{.url = "http://10.0.0.1/w", .declared = {.user = "u", .password = "p"}}};
  EXPECT_NE(error_of(one).find("use https"), std::string::npos);
  std::vector<Destination> theirs = {{.url = "http://10.0.0.1/w"}};
  theirs[0].http.basic_auth = connect::http::BasicAuthConfig{.username = "u", .password = "p"};
  EXPECT_EQ(error_of(theirs, DestinationSource::kPrometheusFile), "");
  EXPECT_EQ(error_of({{.url = "http://127.0.0.1:1/w", .declared = {.user = "u", .password = "p"}}}), "");
}

}  // namespace
}  // namespace qd::ship::remote_write
