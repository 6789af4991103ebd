// Series as plain maps, to compare segments with. For tests.
#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/files.h"
#include "store/metrics/segment.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {

// The bits of the values, by time, by labels: maps compare, NaNs do not.
using TestSeries = std::map<LabelSet, std::map<TimestampMs, std::uint64_t>>;

// Series of different labels, lengths (1 to samples_max), times and values, stale markers among them.
inline TestSeries random_series(std::uint64_t seed, std::size_t count, std::size_t samples_max) {
  std::mt19937_64 random(seed);
  TestSeries all;
  const std::vector<std::string> names = {"up", "a", "b", "api", "api-1", "requests_total"};
  while (all.size() < count) {
    const std::string name = names[random() % names.size()];
    const std::string job = std::vector<std::string>{"", "a", "b", "api", "api-1"}[random() % 5];
    const std::string instance = "host-" + std::to_string(random() % 40);
    const std::string le = random() % 3 == 0 ? "0." + std::to_string(random() % 10) : "";
    const std::string extra = random() % 20 == 0 ? "only-" + std::to_string(random() % 1000) : "";
    auto& samples = all[LabelSet{{"__name__", name}, {"job", job}, {"instance", instance}, {"le", le}, {extra, extra}}];
    TimestampMs time = 1'700'000'000'000 + static_cast<TimestampMs>(random() % 3'000'000);
    const std::size_t length = 1 + random() % samples_max;
    const auto shape = random() % 4;
    double value = static_cast<double>(random() % 1000);
    samples.clear();
    for (std::size_t i = 0; i < length; ++i) {
      if (shape == 1) value += static_cast<double>(random() % 10);
      if (shape == 2) value += static_cast<double>(random() % 100) / 100;
      if (shape == 3) value = std::bit_cast<double>(random());
      samples[time] = random() % 50 == 0 ? model::kStaleNanBits : std::bit_cast<std::uint64_t>(value);
      time += random() % 30 == 0 ? 60'000 : 1000 + static_cast<TimestampMs>(random() % 3);
    }
  }
  return all;
}

inline std::shared_ptr<const Segment> write_segment(base::Files& files, const std::filesystem::path& path,
                                                    const TestSeries& all, const SegmentOptions& options = {}) {
  auto writer = SegmentWriter::create(files, path, options);
  QD_ASSERT(writer.has_value());
  for (const auto& [labels, samples] : all) {
    std::vector<TimestampMs> times;
    std::vector<double> values;
    for (const auto& [time, bits] : samples) {
      times.push_back(time);
      values.push_back(std::bit_cast<double>(bits));
    }
    const auto added = (*writer)->add(labels, times, values);
    QD_ASSERT(added.has_value(), added.error().message());
  }
  const auto info = (*writer)->finish();
  QD_ASSERT(info.has_value(), info.error().message());
  auto segment = Segment::open(files, path);
  QD_ASSERT(segment.has_value(), segment.error().message());
  return *std::move(segment);
}

inline TestSeries contents(const Segment& segment) {
  TestSeries all;
  Columns columns;
  for (std::uint32_t id = 0; id < segment.info().series; ++id) {
    columns.clear();
    const auto status = segment.read(id, model::kMinTimestampMs, model::kMaxTimestampMs, columns);
    QD_ASSERT(status.has_value(), status.error().message());
    auto& samples = all[segment.labels(id)];
    for (std::size_t i = 0; i < columns.size(); ++i) {
      samples[columns.times[i]] = std::bit_cast<std::uint64_t>(columns.values[i]);
    }
  }
  return all;
}

}  // namespace qd::store::metrics
