#include "observe/nginx/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qd::observe::nginx {
namespace {

using ::testing::HasSubstr;

base::Result<std::vector<Options>> load(const std::string& list) {
  std::vector<Options> instances;
  model::config::Schema schema;
  declare_instances(schema, instances);
  model::config::Sources sources;
  sources.environment = {{"NGINX_PASSWORD", "secret"}};
  sources.sets = {"observe.nginx=" + list};
  if (auto status = schema.load(sources); !status) return base::fail(status.error());
  return instances;
}

TEST(NginxConfig, one_of_the_sources_is_enough) {
  const auto instances =
      load(R"([{status_url: "http://127.0.0.1/stub_status"}, {access_log: /var/log/nginx/access.log},)"
           R"( {vts_url: "http://127.0.0.1/status/format/json", user: joe, password: "env:NGINX_PASSWORD"}])");
  ASSERT_TRUE(instances) << instances.error().message();
  ASSERT_EQ(instances->size(), 3);
  EXPECT_EQ((*instances)[0], (Options{.status_url = "http://127.0.0.1/stub_status"}));
  EXPECT_EQ((*instances)[1], (Options{.access_log = "/var/log/nginx/access.log"}));
  EXPECT_EQ((*instances)[2],
            (Options{.vts_url = "http://127.0.0.1/status/format/json", .user = "joe", .password = "secret"}));
  EXPECT_TRUE(load("[]")->empty());
}

TEST(NginxConfig, says_what_cannot_be) {
  const auto error = [](const std::string& list) {
    const auto instances = load(list);
    return instances ? std::string("taken") : instances.error().message();
  };
  EXPECT_THAT(error("[{}]"), HasSubstr("needs one of status_url, access_log and vts_url"));
  EXPECT_THAT(error("[{status_url: stub_status}]"), HasSubstr("observe.nginx[0].status_url"));
  EXPECT_THAT(error("[{access_log: access.log}]"), HasSubstr("not an absolute path"));
  EXPECT_THAT(error(R"([{vts_url: "http://u:geheim@a/"}])"),
              ::testing::AllOf(HasSubstr("`password`"), ::testing::Not(HasSubstr("geheim"))));
  EXPECT_THAT(error("[{status: x}]"), HasSubstr("status"));
}

}  // namespace
}  // namespace qd::observe::nginx
