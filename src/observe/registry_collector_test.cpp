#include "observe/registry_collector.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "observe/recording_sink.h"
#include "observe/text_sink.h"

namespace qd::observe {
namespace {

using testing::HasSubstr;

class RegistryCollectorTest : public testing::Test {
 protected:
  RecordingSink collect() {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(INT64_MAX, sink));
    EXPECT_THAT(sink.faults(), testing::IsEmpty());
    return sink;
  }

  base::Registry registry;
  RegistryCollector collector{registry, {"1.2.3", "abc", "release"}};
};

TEST_F(RegistryCollectorTest, what_rooms_count_is_told_with_its_type) {
  registry.counter("quarterdeck_things_total", "Things.", {{"kind", "a"}}).add(3);
  registry.gauge("quarterdeck_level", "Level.").set(0.5);
  const auto sink = collect();
  EXPECT_EQ(sink.value(R"(quarterdeck_things_total{kind="a"})"), 3);
  EXPECT_EQ(sink.value("quarterdeck_level"), 0.5);
  EXPECT_EQ(sink.types().at("quarterdeck_things_total"), model::MetricType::kCounter);
  EXPECT_EQ(sink.value(R"(quarterdeck_build_info{build="release",revision="abc",version="1.2.3"})"), 1);
}

TEST_F(RegistryCollectorTest, a_histogram_is_one_family_in_text) {
  registry.histogram("quarterdeck_took_seconds", "Time.").observe(0.002);
  std::string text;
  TextSink sink(text, model::exposition::Format::kPrometheusText);
  ASSERT_TRUE(collector.collect(INT64_MAX, sink));
  EXPECT_THAT(text, HasSubstr("# TYPE quarterdeck_took_seconds histogram\n"
                              "quarterdeck_took_seconds_bucket{le=\"0.0005\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("quarterdeck_took_seconds_bucket{le=\"+Inf\"} 1\n"
                              "quarterdeck_took_seconds_sum 0.002\n"
                              "quarterdeck_took_seconds_count 1\n"));
}

TEST_F(RegistryCollectorTest, the_process_is_measured) {
  const auto before = collect();
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto after = collect();
  ::close(fd);
  EXPECT_EQ(*after.value("process_open_fds"), *before.value("process_open_fds") + 1);
  EXPECT_GE(*before.value("process_max_fds"), *after.value("process_open_fds"));
  EXPECT_GT(*before.value("process_cpu_seconds_total"), 0);
  EXPECT_GT(*before.value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(*before.value("process_virtual_memory_bytes"), *before.value("process_resident_memory_bytes"));
  const double now_s = static_cast<double>(std::time(nullptr));
  EXPECT_NEAR(*before.value("process_start_time_seconds"), now_s, 3600);
  EXPECT_LE(*before.value("process_start_time_seconds"), now_s + 2);
}

}  // namespace
}  // namespace qd::observe
