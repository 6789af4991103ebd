// Native histograms as they come from clients, and as nobody would send them. For tests and benchmarks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "model/histogram.h"
#include "model/sample.h"

namespace qd::store::metrics {

// A client that observes latencies: counts rise, buckets are added as observations fall into new ones.
class ObservedHistogram {
 public:
  explicit ObservedHistogram(std::uint64_t seed, std::int32_t schema = 3) : random_(seed), schema_(schema) {}

  // `n` more observations around a hundredth of a second.
  void observe(std::size_t n) {
    std::lognormal_distribution<double> latency(-4.6, 0.6);
    for (std::size_t i = 0; i < n; ++i) {
      const double value = latency(random_);
      sum_ += value;
      const auto index = static_cast<std::int32_t>(std::ceil(std::log2(value) * std::exp2(schema_)));
      const auto at = std::lower_bound(counts_.begin(), counts_.end(), std::pair(index, std::uint64_t{0}));
      if (at != counts_.end() && at->first == index) {
        ++at->second;
      } else {
        counts_.insert(at, {index, 1});
      }
    }
  }

  model::Histogram histogram() const {
    model::Histogram h;
    h.schema = schema_;
    h.is_integer = true;
    h.zero_threshold = 0x1p-128;
    h.sum = sum_;
    std::int32_t end = 0;
    for (const auto& [index, count] : counts_) {
      if (h.positive_spans.empty() || index != end) {
        h.positive_spans.push_back({h.positive_spans.empty() ? index : index - end, 0});
      }
      ++h.positive_spans.back().length;
      end = index + 1;
      h.positive.push_back(static_cast<double>(count));
      h.count += static_cast<double>(count);
    }
    return h;
  }

 private:
  std::mt19937_64 random_;
  std::int32_t schema_;
  double sum_ = 0;
  std::vector<std::pair<std::int32_t, std::uint64_t>> counts_;  // by index
};

// Anything that the specification allows.
inline model::Histogram random_histogram(std::mt19937_64& random) {
  model::Histogram h;
  const bool custom = random() % 5 == 0;
  h.is_integer = random() % 2 == 0;
  h.reset = static_cast<model::CounterReset>(random() % 4);
  h.schema = custom ? model::kCustomBounds : static_cast<std::int32_t>(random() % 13) + model::kSchemaMin;
  const bool fractions = !h.is_integer && random() % 2 == 0;
  const auto count = [&] {
    const auto n = static_cast<double>(random() % 4 == 0 ? 0 : random() % (random() % 8 == 0 ? 1'000'000'000 : 50));
    return fractions ? n / 3 : n;
  };
  double inside = 0;
  const auto side = [&](std::vector<model::BucketSpan>& spans, std::vector<double>& counts, std::uint32_t most) {
    std::uint32_t used = 0;
    for (std::uint64_t i = random() % 4; i > 0; --i) {
      const auto gap = static_cast<std::uint32_t>(random() % 4);
      const auto length = static_cast<std::uint32_t>(random() % 4);
      if (used + gap + length > most) break;
      used += gap + length;
      const bool below = spans.empty() && !custom && random() % 2 == 0;
      spans.push_back({below ? -static_cast<std::int32_t>(gap) - 5 : static_cast<std::int32_t>(gap), length});
      for (std::uint32_t k = 0; k < length; ++k) inside += counts.emplace_back(count());
    }
  };
  if (custom) {
    double bound = -2;
    for (std::uint64_t i = random() % 8; i > 0; --i) {
      bound += static_cast<double>(random() % 20 + 1) / 8;
      h.custom_bounds.push_back(bound);
    }
    side(h.positive_spans, h.positive, static_cast<std::uint32_t>(h.custom_bounds.size()) + 1);
  } else {
    h.zero_threshold = random() % 3 == 0 ? 0 : random() % 2 == 0 ? 0x1p-128 : 0.001;
    h.zero_count = count();
    inside += h.zero_count;
    side(h.positive_spans, h.positive, 1000);
    side(h.negative_spans, h.negative, 1000);
  }
  h.count = inside;
  h.sum = random() % 3 == 0 ? static_cast<double>(random() % 10'000) - 5000 : inside / 7;
  if (random() % 20 == 0) {
    h.sum = std::nan("");
    h.count += 3;
  }
  return h;
}

// Histograms of one series: some like those before, some not.
inline std::vector<model::HistogramPtr> random_histograms(std::mt19937_64& random, std::size_t n) {
  std::vector<model::HistogramPtr> all;
  model::Histogram h = random_histogram(random);
  for (std::size_t i = 0; i < n; ++i) {
    if (random() % 30 == 0) {
      h = random_histogram(random);
    } else if (random() % 3 != 0) {
      const auto grow = [&](double& count) {
        const auto by = static_cast<double>(random() % (random() % 10 == 0 ? 100'000 : 6));
        count += by;
        h.count += by;
      };
      for (double& count : h.positive) {
        if (random() % 3 == 0) grow(count);
      }
      for (double& count : h.negative) {
        if (random() % 3 == 0) grow(count);
      }
      if (random() % 8 == 0 && h.schema != model::kCustomBounds) grow(h.zero_count);
      h.sum += static_cast<double>(random() % 1000) / 16;
      h.reset = static_cast<model::CounterReset>(random() % 4);
    }
    all.push_back(std::make_shared<const model::Histogram>(h));
  }
  return all;
}

// The reset as well, which == leaves aside.
inline bool same_histogram(const model::Histogram& a, const model::Histogram& b) {
  return a == b && a.reset == b.reset;
}

}  // namespace qd::store::metrics
