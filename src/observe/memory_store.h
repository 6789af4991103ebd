// A store for tests: keeps what was committed by series, and fails when told to. Appenders of several threads may
// write at once; the public members are for a test to read when they have ended.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "model/sample.h"
#include "store/metrics/appender.h"

namespace qd::observe {

class MemoryStore final : public store::metrics::Appendable {
 public:
  // How a staleness marker is shown.
  static constexpr double kStale = -1e300;

  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(*this); }

  // Of the series that prints as `labels`: times and values in the order of commits.
  std::vector<std::pair<std::int64_t, double>> samples(const std::string& labels) const {
    base::MutexLock lock(mutex_);
    const auto found = committed_.find(labels);
    return found == committed_.end() ? std::vector<std::pair<std::int64_t, double>>{} : found->second;
  }
  std::size_t count() const {
    base::MutexLock lock(mutex_);
    return names_.size();
  }
  void forget_references() {
    base::MutexLock lock(mutex_);
    refs_.clear();
  }

  bool failing = false;
  int series_asked = 0;
  std::size_t series_limit = std::numeric_limits<std::size_t>::max();
  std::map<std::string, model::Metadata, std::less<>> metadata_told;
  // By labels, in the order in which they were appended, committed or not.
  std::vector<std::pair<std::string, std::pair<std::int64_t, model::Histogram>>> histograms_told;
  std::vector<std::pair<std::string, model::Exemplar>> exemplars_told;

 private:
  using Ref = store::metrics::SeriesRef;

  class Batch final : public store::metrics::Appender {
   public:
    explicit Batch(MemoryStore& store) : store_(store) {}
    base::Result<Ref> series(const model::LabelSet& labels) override {
      base::MutexLock lock(store_.mutex_);
      ++store_.series_asked;
      const std::string name = labels.to_string();
      if (!store_.names_.contains(name) && store_.names_.size() >= store_.series_limit) {
        return base::fail(base::ErrorCode::kLimit, "the store is full");
      }
      store_.names_.insert(name);
      store_.refs_[++store_.last_ref_] = name;
      return store_.last_ref_;
    }
    store::metrics::AppendOutcome append(Ref ref, model::TimestampMs time_ms, double value) override {
      base::MutexLock lock(store_.mutex_);
      const auto found = store_.refs_.find(ref);
      if (found == store_.refs_.end()) return store::metrics::AppendOutcome::kUnknownSeries;
      pending_.push_back({found->second, {time_ms, model::is_stale_nan(value) ? kStale : value}});
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(Ref ref, model::TimestampMs time_ms,
                                         const model::Histogram& histogram) override {
      base::MutexLock lock(store_.mutex_);
      const auto found = store_.refs_.find(ref);
      if (found == store_.refs_.end()) return store::metrics::AppendOutcome::kUnknownSeries;
      store_.histograms_told.emplace_back(found->second, std::pair(time_ms, histogram));
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(Ref ref, const model::Exemplar& exemplar) override {
      base::MutexLock lock(store_.mutex_);
      const auto found = store_.refs_.find(ref);
      if (found == store_.refs_.end()) return store::metrics::AppendOutcome::kUnknownSeries;
      store_.exemplars_told.emplace_back(found->second, exemplar);
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view family, const model::Metadata& metadata) override {
      base::MutexLock lock(store_.mutex_);
      store_.metadata_told[std::string(family)] = metadata;
    }
    base::Status commit() override {
      auto pending = std::exchange(pending_, {});
      if (store_.failing) return base::fail(base::ErrorCode::kUnavailable, "writing the log: disk full");
      base::MutexLock lock(store_.mutex_);
      for (auto& [name, sample] : pending) store_.committed_[name].push_back(sample);
      return {};
    }
    std::size_t pending() const override { return pending_.size(); }

   private:
    MemoryStore& store_;
    std::vector<std::pair<std::string, std::pair<std::int64_t, double>>> pending_;
  };

  mutable base::Mutex mutex_;
  std::set<std::string> names_ QD_GUARDED_BY(mutex_);
  std::map<Ref, std::string> refs_ QD_GUARDED_BY(mutex_);
  Ref last_ref_ QD_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::vector<std::pair<std::int64_t, double>>> committed_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::observe
