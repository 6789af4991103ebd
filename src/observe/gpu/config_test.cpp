#include "observe/gpu/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

base::Status load(Options& options, std::vector<std::string> sets) {
  model::config::Schema schema;
  declare(schema, options);
  model::config::Sources sources;
  sources.sets = std::move(sets);
  return schema.load(sources);
}

TEST(GpuConfig, settings_fill_the_options) {
  Options options;
  const auto loaded = load(options, {"observe.gpu.enabled=on", "observe.gpu.library=/opt/libnvidia-ml.so.1",
                                     "observe.gpu.labels=[DCGM_FI_DEV_SERIAL]", "observe.gpu.profiling=false",
                                     "observe.gpu.container_samples=true", "observe.gpu.processes_limit=7"});
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(options.enabled, "on");
  EXPECT_EQ(options.library, "/opt/libnvidia-ml.so.1");
  EXPECT_THAT(options.labels, ElementsAre("DCGM_FI_DEV_SERIAL"));
  EXPECT_FALSE(options.profiling);
  EXPECT_TRUE(options.container_samples);
  EXPECT_EQ(options.processes_limit, 7);
}

TEST(GpuConfig, what_cannot_be_is_refused) {
  for (const char* set : {"observe.gpu.enabled=yes please", "observe.gpu.library=", "observe.gpu.processes_limit=-1"}) {
    Options options;
    EXPECT_FALSE(load(options, {set})) << set;
  }
  Options options;
  const auto loaded = load(options, {"observe.gpu.labels=[DCGM_FI_DEV_SERIAL, DCGM_FI_DEV_NAME]"});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message(), HasSubstr("DCGM_FI_DEV_NAME"));
}

}  // namespace
}  // namespace qd::observe::gpu
