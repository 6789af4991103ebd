// Samples for benchmarks, shaped like run B: targets that are scraped every second, jittering by up to 2 ms, all series
// of a target at the same instants. Half of the series are counters (half of those count whole things, half sum up
// amounts of two decimals in a double, as client libraries do), a quarter gauges (random walks of two decimals), a
// quarter histogram buckets. Five labels a series. The same seed gives the same data.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "model/labels.h"
#include "model/sample.h"

namespace qd::store::metrics {

class BenchData {
 public:
  struct Shape {
    std::size_t targets = 4;
    std::size_t series_per_target = 10'000;  // a multiple of 40
    std::size_t samples_per_series = 420;
    model::TimestampMs start_ms = 1'764'000'000'000;
    std::int64_t interval_ms = 1000;
    std::int64_t jitter_ms_max = 2;
    std::uint64_t seed = 1;
  };
  enum class Kind { kCounter, kAmount, kGauge, kBucket };

  explicit BenchData(const Shape& shape) : shape_(shape) {}

  const Shape& shape() const { return shape_; }
  std::size_t series() const { return shape_.targets * shape_.series_per_target; }
  std::size_t target_of(std::size_t series) const { return series / shape_.series_per_target; }
  static Kind kind_of(std::size_t series) { return static_cast<Kind>(series % 4); }

  // Ten metrics of each kind, as many series in each.
  model::LabelSet labels(std::size_t series) const {
    const std::size_t of_target = series % shape_.series_per_target;
    const std::size_t metric = of_target / 4 % 10;
    const std::size_t rest = of_target / 40;
    const std::string instance = "10.0.0." + std::to_string(target_of(series) + 1) + ":8080";
    const std::string number = std::to_string(metric);
    const std::string path = "/api/v1/resource/" + std::to_string(rest / 5);
    static constexpr std::array<const char*, 5> kCodes = {"200", "301", "404", "500", "503"};
    static constexpr std::array<const char*, 5> kBounds = {"0.01", "0.1", "1", "10", "+Inf"};
    const char* const code = kCodes[rest % 5];
    switch (kind_of(series)) {
      case Kind::kCounter: {
        const std::string name = "app_http_requests_total_" + number;
        return {{"__name__", name}, {"code", code}, {"instance", instance}, {"job", "app"}, {"path", path}};
      }
      case Kind::kAmount: {
        const std::string name = "app_http_requests_total_amount_" + number;
        return {{"__name__", name}, {"code", code}, {"instance", instance}, {"job", "app"}, {"path", path}};
      }
      case Kind::kGauge: {
        const std::string name = "app_queue_depth_" + number;
        return {{"__name__", name}, {"instance", instance}, {"job", "app"}, {"path", path}, {"queue", code}};
      }
      default: {
        const std::string name = "app_request_duration_seconds_bucket_" + number;
        return {{"__name__", name}, {"instance", instance}, {"job", "app"}, {"le", kBounds[rest % 5]}, {"path", path}};
      }
    }
  }

  void times(std::size_t target, std::vector<model::TimestampMs>& out) const {
    std::minstd_rand random(static_cast<std::uint32_t>(shape_.seed * 7919 + target + 1));
    out.clear();
    const auto offset = static_cast<std::int64_t>(target) * shape_.interval_ms /
                        static_cast<std::int64_t>(shape_.targets == 0 ? 1 : shape_.targets);
    for (std::size_t i = 0; i < shape_.samples_per_series; ++i) {
      const auto jitter = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(shape_.jitter_ms_max + 1));
      out.push_back(shape_.start_ms + offset + static_cast<std::int64_t>(i) * shape_.interval_ms + jitter);
    }
  }

  void values(std::size_t series, std::vector<double>& out) const {
    std::mt19937_64 random(shape_.seed * 1'000'003 + series);
    std::normal_distribution<double> step(0, 1);
    out.clear();
    double value = 0;
    switch (kind_of(series)) {
      case Kind::kCounter:
        value = static_cast<double>(random() % 1'000'000);
        for (std::size_t i = 0; i < shape_.samples_per_series; ++i) {
          out.push_back(value += static_cast<double>(random() % 21));
        }
        break;
      case Kind::kAmount:
        value = static_cast<double>(random() % 100'000) / 100;
        for (std::size_t i = 0; i < shape_.samples_per_series; ++i) {
          out.push_back(value += static_cast<double>(random() % 101) / 100);
        }
        break;
      case Kind::kGauge:
        value = static_cast<double>(random() % 100);
        for (std::size_t i = 0; i < shape_.samples_per_series; ++i) {
          value += step(random);
          out.push_back(std::round(value * 100) / 100);
        }
        break;
      case Kind::kBucket:
        value = static_cast<double>(random() % 100'000);
        for (std::size_t i = 0; i < shape_.samples_per_series; ++i) {
          out.push_back(value += static_cast<double>(random() % 11));
        }
        break;
    }
  }

 private:
  Shape shape_;
};

}  // namespace qd::store::metrics
