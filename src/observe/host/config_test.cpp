#include "observe/host/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/config.h"

namespace qd::observe::host {
namespace {

TEST(HostConfig, settings_fill_the_options) {
  HostOptions host;
  RunnerOptions runner;
  model::config::Schema schema;
  declare(schema, runner);
  declare(schema, host);
  model::config::Sources sources;
  sources.sets = {"observe.interval=15s", "observe.instance=db1", "observe.host.procfs=/host/proc",
                  "observe.host.enabled=false"};
  const auto loaded = schema.load(sources);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(runner.interval_ms, 15'000);
  EXPECT_EQ(runner.instance, "db1");
  EXPECT_EQ(host.procfs, "/host/proc");
  EXPECT_EQ(host.sysfs, "/sys");
  EXPECT_FALSE(host.enabled);
}

TEST(HostConfig, paths_are_absolute_and_the_interval_is_bounded) {
  for (const char* set : {"observe.host.procfs=proc", "observe.host.rootfs=", "observe.interval=1ms"}) {
    HostOptions host;
    RunnerOptions runner;
    model::config::Schema schema;
    declare(schema, runner);
    declare(schema, host);
    model::config::Sources sources;
    sources.sets = {set};
    const auto loaded = schema.load(sources);
    ASSERT_FALSE(loaded) << set;
    const std::string key = std::string(set).substr(0, std::string(set).find('='));
    EXPECT_THAT(loaded.error().message(), testing::HasSubstr(key));
  }
}

TEST(HostConfig, parts_are_switched_by_name_and_an_unknown_one_is_told_its_neighbour) {
  const auto load = [](const std::string& set, HostOptions& host) {
    model::config::Schema schema;
    declare(schema, host);
    model::config::Sources sources;
    sources.sets = {set};
    return schema.load(sources);
  };
  HostOptions off;
  ASSERT_TRUE(load("observe.host.collectors.loadavg=false", off));
  EXPECT_FALSE(off.collectors.at("loadavg"));
  EXPECT_TRUE(off.collectors.at("meminfo"));
  HostOptions wrong;
  const auto refused = load("observe.host.collectors.loadvag=false", wrong);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("did you mean observe.host.collectors.loadavg?"));
}

}  // namespace
}  // namespace qd::observe::host
