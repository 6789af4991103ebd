#include "base/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <tuple>

#include "base/assert.h"
#include "base/strings.h"

namespace qd::base {

void Histogram::observe(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  buckets_[static_cast<std::size_t>(bound - kBounds.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(seconds, std::memory_order_relaxed);
}

Registry::Entry& Registry::entry(std::string_view name, std::string_view help, Kind kind, CounterLabels labels) {
  std::sort(labels.begin(), labels.end());
  for (Entry& known : entries_) {
    if (known.name != name) continue;
    QD_ASSERT(known.kind == kind, fmt::format("metric {} is registered as two kinds", name));
    if (known.labels == labels) return known;
  }
  Entry& made = entries_.emplace_back();
  made.name = name;
  made.help = help;
  made.kind = kind;
  made.labels = std::move(labels);
  return made;
}

Counter& Registry::counter(std::string_view name, std::string_view help, CounterLabels labels) {
  MutexLock lock(mutex_);
  return entry(name, help, Kind::kCounter, std::move(labels)).counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, CounterLabels labels) {
  MutexLock lock(mutex_);
  return entry(name, help, Kind::kGauge, std::move(labels)).gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, CounterLabels labels) {
  MutexLock lock(mutex_);
  return entry(name, help, Kind::kHistogram, std::move(labels)).histogram;
}

void Registry::gauge_function(std::string_view name, std::string_view help, std::function<double()> read,
                              CounterLabels labels) {
  MutexLock lock(mutex_);
  entry(name, help, Kind::kGauge, std::move(labels)).read = std::move(read);
}

void Registry::counter_function(std::string_view name, std::string_view help, std::function<double()> read,
                                CounterLabels labels) {
  MutexLock lock(mutex_);
  entry(name, help, Kind::kCounter, std::move(labels)).read = std::move(read);
}

DurationSummary& Registry::summary(std::string_view name, std::string_view help, const Clock& clock,
                                   Quantiles quantiles, CounterLabels labels) {
  MutexLock lock(mutex_);
  Entry& its = entry(name, help, Kind::kSummary, std::move(labels));
  // Once made it is read without the lock, so that it must not change.
  if (its.summary == nullptr) {
    its.summary = std::make_unique<DurationSummary>(clock);
    its.quantiles = quantiles;
  }
  return *its.summary;
}

namespace {

CounterLabels with(const CounterLabels& labels, std::string name, std::string value) {
  CounterLabels all = labels;
  all.emplace_back(std::move(name), std::move(value));
  std::sort(all.begin(), all.end());
  return all;
}

void show(const Histogram& histogram, const std::string& name, const CounterLabels& labels,
          std::vector<Registry::Sample>& out) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
    count += histogram.bucket(i);
    const bool last = i == Histogram::kBounds.size();
    out.push_back({name + "_bucket", with(labels, "le", last ? "+Inf" : format_float(Histogram::kBounds[i])),
                   static_cast<double>(count)});
  }
  out.push_back({name + "_sum", labels, histogram.sum()});
  // The count is the last bucket's, so that the two agree although others observe meanwhile.
  out.push_back({name + "_count", labels, static_cast<double>(count)});
}

void show(const DurationSummary& summary, Registry::Quantiles quantiles, const std::string& name,
          const CounterLabels& labels, std::vector<Registry::Sample>& out) {
  constexpr std::array kBothEnds = {0.01, 0.05, 0.5, 0.9, 0.99};
  for (const double q : std::span(kBothEnds).subspan(quantiles == Registry::Quantiles::kBothEnds ? 0 : 2))
    out.push_back({name, with(labels, "quantile", format_float(q)), summary.quantile(q)});
  out.push_back({name + "_sum", labels, summary.sum()});
  out.push_back({name + "_count", labels, static_cast<double>(summary.count())});
}

}  // namespace

std::vector<Registry::Family> Registry::collect() const {
  struct Shown {
    const Entry* entry;
    std::function<double()> read;
  };
  std::vector<Shown> shown;
  {
    // Entries never move nor go, and all but the functions is fixed or atomic: the functions are called without the
    // lock, so that they may register.
    MutexLock lock(mutex_);
    shown.reserve(entries_.size());
    for (const Entry& known : entries_) shown.push_back({&known, known.read});
  }
  std::sort(shown.begin(), shown.end(), [](const Shown& a, const Shown& b) {
    return std::tie(a.entry->name, a.entry->labels) < std::tie(b.entry->name, b.entry->labels);
  });
  std::vector<Family> families;
  for (const Shown& item : shown) {
    const Entry& known = *item.entry;
    if (families.empty() || families.back().name != known.name)
      families.push_back({known.name, known.help, known.kind, {}});
    auto& samples = families.back().samples;
    if (known.kind == Kind::kHistogram) {
      show(known.histogram, known.name, known.labels, samples);
    } else if (known.kind == Kind::kSummary) {
      show(*known.summary, known.quantiles, known.name, known.labels, samples);
    } else if (item.read) {
      samples.push_back({known.name, known.labels, item.read()});
    } else if (known.kind == Kind::kCounter) {
      samples.push_back({known.name, known.labels, static_cast<double>(known.counter.value())});
    } else {
      samples.push_back({known.name, known.labels, known.gauge.value()});
    }
  }
  return families;
}

}  // namespace qd::base
