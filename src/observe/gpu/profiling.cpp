#include "observe/gpu/profiling.h"

#include <array>
#include <cmath>
#include <utility>

namespace qd::observe::gpu {
namespace {

constexpr double kPercent = 0.01;
constexpr double kMib = 1024.0 * 1024.0;

struct Metric {
  nvml::GpmMetricId id;
  Figure figure;
  double factor;
};
constexpr std::array<Metric, 10> kMetrics = {{{nvml::kGpmGraphics, Figure::kGraphicsActive, kPercent},
                                              {nvml::kGpmSm, Figure::kSmActive, kPercent},
                                              {nvml::kGpmSmOccupancy, Figure::kSmOccupancy, kPercent},
                                              {nvml::kGpmAnyTensor, Figure::kTensorActive, kPercent},
                                              {nvml::kGpmDram, Figure::kDramActive, kPercent},
                                              {nvml::kGpmFp64, Figure::kFp64Active, kPercent},
                                              {nvml::kGpmFp32, Figure::kFp32Active, kPercent},
                                              {nvml::kGpmFp16, Figure::kFp16Active, kPercent},
                                              {nvml::kGpmPcieTx, Figure::kPcieTxBytes, kMib},
                                              {nvml::kGpmPcieRx, Figure::kPcieRxBytes, kMib}}};

}  // namespace

bool Profiling::begin(const Library& library, nvml::Device device) {
  if (library_ != &library) forget();
  library_ = &library;
  if (!std::exchange(is_asked_, true)) {
    nvml::GpmSupport support{nvml::kGpmSupportVersion, 0};
    is_supported_ = library.gpm_support(device, &support) == nvml::kSuccess && support.is_supported != 0;
  }
  for (auto& [instance, pair] : pairs_) pair.seen = false;
  return is_supported_;
}

void Profiling::read(nvml::Device device, std::uint32_t instance, std::int64_t now_ns, Figures& figures) {
  Pair& pair = pairs_[instance];
  pair.seen = true;
  if (!pair.before_ns || now_ns - *pair.before_ns >= kSpanNsMin) {
    if (!sample(device, instance, pair)) {
      // An old sample beside the next one that succeeds would be a mean over who knows how long.
      pair.before_ns.reset();
      pair.last = Figures();
      return;
    }
    if (pair.before_ns) evaluate(pair);
    std::swap(pair.before, pair.after);
    pair.before_ns = now_ns;
  }
  for (const Metric& metric : kMetrics) figures[metric.figure] = pair.last[metric.figure];
}

bool Profiling::sample(nvml::Device device, std::uint32_t instance, Pair& pair) {
  for (nvml::GpmSample* one : {&pair.before, &pair.after})
    if (*one == nullptr && library_->gpm_alloc(one) != nvml::kSuccess) return false;
  const nvml::Return status = instance == nvml::kNoInstance ? library_->gpm_sample(device, pair.after)
                                                            : library_->gpm_mig_sample(device, instance, pair.after);
  return status == nvml::kSuccess;
}

void Profiling::evaluate(Pair& pair) {
  if (request_ == nullptr) request_ = std::make_unique<nvml::GpmMetricsGet>();
  *request_ = {};
  request_->version = nvml::kGpmMetricsGetVersion;
  request_->count = kMetrics.size();
  request_->before = pair.before;
  request_->after = pair.after;
  for (std::size_t i = 0; i < kMetrics.size(); ++i) request_->metrics[i].id = kMetrics[i].id;
  pair.last = Figures();
  if (library_->gpm_metrics(request_.get()) != nvml::kSuccess) return;
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    const nvml::GpmMetric& got = request_->metrics[i];
    if (got.status == nvml::kSuccess && std::isfinite(got.value) && got.value >= 0)
      pair.last[kMetrics[i].figure] = got.value * kMetrics[i].factor;
  }
}

void Profiling::end() {
  for (auto it = pairs_.begin(); it != pairs_.end();) {
    if (it->second.seen) {
      ++it;
      continue;
    }
    free(it->second);
    it = pairs_.erase(it);
  }
}

void Profiling::forget() {
  for (auto& [instance, pair] : pairs_) free(pair);
  pairs_.clear();
  library_ = nullptr;
  is_asked_ = false;
  is_supported_ = false;
}

void Profiling::free(Pair& pair) const {
  if (pair.before != nullptr) library_->gpm_free(pair.before);
  if (pair.after != nullptr) library_->gpm_free(pair.after);
  pair.before = pair.after = nullptr;
}

}  // namespace qd::observe::gpu
