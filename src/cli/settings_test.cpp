#include "cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "model/config/render.h"

namespace qd::cli {
namespace {

using testing::ElementsAre;

std::shared_ptr<Settings> load(std::vector<std::string> sets) {
  base::PosixFiles files;
  Invocation invocation;
  invocation.sets = std::move(sets);
  auto settings = load_settings(invocation, files);
  EXPECT_TRUE(settings) << settings.error().message();
  return std::move(*settings);
}

TEST(Settings, a_reload_gives_nothing_that_is_meant_for_another_receiver_to_the_one_in_force) {
  const auto running = load({"forward.url=http://10.0.0.1", "forward.timeout=20s"});
  const auto next = load({"forward.url=https://new", "forward.token=hush", "forward.timeout=9s",
                          "forward.tls.insecure_skip_verify=true", "observe.interval=7s"});
  EXPECT_THAT(keep_start_only(*next, *running),
              ElementsAre("forward.url", "forward.token", "forward.tls.insecure_skip_verify", "forward.timeout"));
  EXPECT_EQ(next->forward.url, "http://10.0.0.1");
  EXPECT_EQ(next->forward.token, "");
  EXPECT_EQ(next->forward.timeout_ms, 20'000);
  EXPECT_FALSE(next->forward.insecure_skip_verify);
  EXPECT_TRUE(ship::remote_write::check(next->forward));
  EXPECT_EQ(next->observe.interval_ms, 7'000) << "everything else is taken over";
  EXPECT_EQ(next->schema.effective().find("forward")->find("token")->text(), "") << "what runs is what is shown";
  EXPECT_EQ(next->schema.effective().find("forward")->find("timeout")->text(), "20s");
}

TEST(Settings, a_key_in_the_url_of_a_receiver_is_not_shown_and_its_change_is_told) {
  const auto running = load({"forward.url=https://metrics/write?key=one"});
  const auto next = load({"forward.url=https://metrics/write?key=two"});
  EXPECT_THAT(keep_start_only(*next, *running), ElementsAre("forward.url"));
  EXPECT_EQ(next->forward.url, "https://metrics/write?key=one");
  EXPECT_EQ(model::config::render_effective(next->schema).find("key="), std::string::npos);
}

TEST(Settings, a_reload_takes_over_the_credentials_of_the_same_receiver) {
  const auto running = load({"forward.url=https://deck", "forward.token=old", "forward.host=a"});
  const auto next = load({"forward.url=https://deck", "forward.token=new", "forward.host=b"});
  EXPECT_THAT(keep_start_only(*next, *running), ElementsAre("forward.host"));
  EXPECT_EQ(next->forward.token, "new");
  EXPECT_EQ(next->forward.host, "a");
}

}  // namespace
}  // namespace qd::cli
