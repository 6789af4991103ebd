#include "observe/containers/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::containers {
namespace {

using testing::ElementsAre;

TEST(ContainersConfig, settings_fill_the_options) {
  Options options;
  model::config::Schema schema;
  declare(schema, options);
  model::config::Sources sources;
  sources.sets = {"observe.containers.enabled=false", "observe.containers.labels=[team, tier]",
                  "observe.containers.environment=STAGE", "observe.containers.limit=5"};
  const auto loaded = schema.load(sources);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_FALSE(options.enabled);
  EXPECT_THAT(options.labels, ElementsAre("team", "tier"));
  EXPECT_THAT(options.environment, ElementsAre("STAGE"));
  EXPECT_EQ(options.limit, 5);
}

TEST(ContainersConfig, a_limit_below_one_is_refused) {
  Options options;
  model::config::Schema schema;
  declare(schema, options);
  model::config::Sources sources;
  sources.sets = {"observe.containers.limit=0"};
  EXPECT_FALSE(schema.load(sources));
}

}  // namespace
}  // namespace qd::observe::containers
