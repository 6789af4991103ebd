#include "model/otlp/translate.h"

#include <gtest/gtest.h>

namespace qd::model::otlp {
namespace {

std::string name(std::string text, std::string unit, Kind kind = Kind::kGauge, bool monotonic = false,
                 Translation translation = Translation::kUnderscoresWithSuffixes) {
  return metric_name({.name = std::move(text), .unit = std::move(unit), .kind = kind, .monotonic = monotonic},
                     translation);
}

TEST(OtlpTranslate, units_and_types_are_told_at_the_end_and_not_twice) {
  EXPECT_EQ(name("system.filesystem.usage", "By"), "system_filesystem_usage_bytes");
  EXPECT_EQ(name("system.network.dropped", "{packets}", Kind::kSum, true), "system_network_dropped_total");
  EXPECT_EQ(name("system.network.io", "By", Kind::kSum, true), "system_network_io_bytes_total");
  EXPECT_EQ(name("http.server.duration", "ms", Kind::kHistogram), "http_server_duration_milliseconds");
  EXPECT_EQ(name("system.cpu.utilization", "1"), "system_cpu_utilization_ratio");
  EXPECT_EQ(name("queue.size", "1", Kind::kSum), "queue_size") << "a ratio is a gauge";
  EXPECT_EQ(name("speed", "m/s"), "speed_meters_per_second");
  EXPECT_EQ(name("requests", "{request}/s"), "requests_per_second");
  EXPECT_EQ(name("process.runtime.total.seconds", "s", Kind::kSum, true), "process_runtime_seconds_total");
  EXPECT_EQ(name("a.bytes.read", "By"), "a_bytes_read");
  EXPECT_EQ(name("disk", "%"), "disk_percent");
  EXPECT_EQ(name("x", "foo_bar"), "x_foo_bar") << "what is not known stays";
}

TEST(OtlpTranslate, what_is_no_letter_parts_words) {
  EXPECT_EQ(name("a..b--c", ""), "a_b_c");
  EXPECT_EQ(name("1xx", ""), "_1xx");
  EXPECT_EQ(name("job:rate", ""), "job:rate");
  EXPECT_EQ(name("größe", ""), "gr_e");
  EXPECT_EQ(name("...", ""), "");
}

TEST(OtlpTranslate, the_other_strategies_leave_more_as_it_is) {
  const auto with = [](Translation translation) {
    return name("http.requests-x", "By", Kind::kSum, true, translation);
  };
  EXPECT_EQ(with(Translation::kUnderscoresWithoutSuffixes), "http_requests_x");
  EXPECT_EQ(with(Translation::kUtf8WithSuffixes), "http.requests-x_bytes_total");
  EXPECT_EQ(with(Translation::kNone), "http.requests-x");
  EXPECT_EQ(parse_translation("NoTranslation"), Translation::kNone);
  EXPECT_EQ(parse_translation("none"), std::nullopt);
}

TEST(OtlpTranslate, attributes_become_labels) {
  const auto label = [](std::string_view text) { return label_name(text, Translation::kUnderscoresWithSuffixes); };
  EXPECT_EQ(label("http.status_code"), "http_status_code");
  EXPECT_EQ(label("1st"), "key_1st");
  EXPECT_EQ(label("_private"), "key_private");
  EXPECT_EQ(label("__meta"), "__meta");
  EXPECT_EQ(label("ä"), "key_");
  EXPECT_EQ(label_name("a.b", Translation::kNone), "a.b");
}

}  // namespace
}  // namespace qd::model::otlp
