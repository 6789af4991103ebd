#include "cli/prometheus_names.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/files.h"
#include "base/log.h"
#include "base/temp_directory.h"

namespace qd::cli {
namespace {

TEST(PrometheusNames, show_the_store_and_the_configuration) {
  const base::TempDirectory dir;
  base::PosixFiles files;
  base::Registry registry;
  const auto store = *store::metrics::Store::open(files, dir / "metrics", {}, base::Log::silent(), registry);
  ReloadFigures reload{.succeeded = true, .succeeded_ms = 12'500};
  add_prometheus_names(registry, *store, [&] { return reload; });
  const DirectoryReadings readings(registry);
  const auto shown = [&] {
    std::map<std::string, std::pair<base::Registry::Kind, double>> all;
    for (const auto& family : registry.collect()) all[family.name] = {family.kind, family.samples.at(0).value};
    return all;
  };
  constexpr model::TimestampMs kTime = 1'700'000'000'000;
  const auto appender = store->appender();
  for (const char* const name : {"a", "b"}) {
    const auto ref = *appender->series(model::LabelSet{{"__name__", name}});
    for (int i = 0; i < 3; ++i) appender->append(ref, kTime + i * 1'000, i);
  }
  ASSERT_TRUE(appender->commit());
  ASSERT_TRUE(store->maintain(kTime + 5'000));
  readings.failed.add();
  reload.succeeded = false;
  const auto all = shown();
  const auto value = [&](const std::string& name) {
    const auto it = all.find(name);
    return it == all.end() ? -1 : it->second.second;
  };
  EXPECT_EQ(value("prometheus_tsdb_head_samples_appended_total"), 6);
  EXPECT_EQ(all.at("prometheus_tsdb_head_samples_appended_total").first, base::Registry::Kind::kCounter);
  EXPECT_EQ(value("prometheus_tsdb_head_series"), 2);
  EXPECT_EQ(value("prometheus_tsdb_head_min_time"), static_cast<double>(kTime));
  EXPECT_EQ(value("prometheus_tsdb_head_max_time_seconds"), static_cast<double>(kTime) / 1e3 + 2);
  EXPECT_EQ(value("prometheus_tsdb_head_chunks"), static_cast<double>(store->stats().head_chunks));
  EXPECT_EQ(value("prometheus_tsdb_blocks_loaded"), 0);
  EXPECT_EQ(value("prometheus_tsdb_compactions_total"), 0);
  EXPECT_EQ(value("prometheus_tsdb_compactions_failed_total"), 0);
  EXPECT_EQ(value("prometheus_tsdb_reloads_failures_total"), 1);
  EXPECT_GT(value("prometheus_tsdb_wal_storage_size_bytes"), 0);
  EXPECT_EQ(value("prometheus_config_last_reload_successful"), 0);
  EXPECT_EQ(value("prometheus_config_last_reload_success_timestamp_seconds"), 12.5);
  EXPECT_EQ(value("prometheus_build_info"), 1);
}

}  // namespace
}  // namespace qd::cli
