// A store that remembers what it was given, and a network that answers what it was told. For tests of this room.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/sample.h"
#include "observe/scrape/loop.h"
#include "store/metrics/appender.h"

namespace qd::observe::scrape {

class FakeStore final : public store::metrics::Appendable {
 public:
  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(*this); }

  // `up{job="a"} 1 @1000`, a line a sample, in order of commit; stale markers are "stale".
  std::string take() { return std::exchange(log_, {}); }
  std::size_t resolved() const { return resolved_; }

  // From now on references are unknown, as after the head dropped the series.
  void forget_series() {
    refs_.clear();
    first_ref_ += labels_.size();
    labels_.clear();
  }
  base::Status commit_result;
  std::size_t series_limit = 1'000'000;
  bool takes_starts = false;
  std::vector<std::pair<model::TimestampMs, model::Histogram>> histograms;
  std::map<std::string, model::Metadata> metadata;
  std::size_t metadata_calls = 0;

 private:
  struct Batch final : store::metrics::Appender {
    explicit Batch(FakeStore& s) : store(s) {}
    base::Result<store::metrics::SeriesRef> series(const model::LabelSet& labels) override {
      ++store.resolved_;
      const std::string key(labels.bytes());
      if (const auto found = store.refs_.find(key); found != store.refs_.end()) return found->second;
      if (store.refs_.size() >= store.series_limit) return base::fail(base::ErrorCode::kLimit, "store.series_limit");
      store.labels_.push_back(labels);
      return store.refs_[key] = store.first_ref_ + store.labels_.size();
    }
    bool takes_starts() const override { return store.takes_starts; }
    bool is_newest(store::metrics::SeriesRef ref, model::TimestampMs time_ms) override {
      const std::string key = store.labels_[ref - store.first_ref_ - 1].to_string();
      const auto before = [&](const auto& newest) {
        const auto found = newest.find(key);
        return found == newest.end() || found->second.first < time_ms;
      };
      return before(pending_newest) && before(store.newest_);
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                                         double value) override {
      using enum store::metrics::AppendOutcome;
      if (ref <= store.first_ref_ || ref > store.first_ref_ + store.labels_.size()) return kUnknownSeries;
      const model::LabelSet& labels = store.labels_[ref - store.first_ref_ - 1];
      auto newest = pending_newest.find(labels.to_string());
      if (newest == pending_newest.end()) {
        const auto committed = store.newest_.find(labels.to_string());
        if (committed != store.newest_.end()) newest = pending_newest.insert(*committed).first;
      }
      if (newest != pending_newest.end()) {
        if (time_ms < newest->second.first) return kOutOfOrder;
        if (time_ms == newest->second.first) {
          return std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(newest->second.second)
                     ? kOk
                     : kDuplicate;
        }
      }
      pending_newest[labels.to_string()] = {time_ms, value};
      char text[32];
      std::snprintf(text, sizeof(text), "%g", value);
      lines += labels.to_string() + " " + (model::is_stale_nan(value) ? "stale" : text) + " @" +
               std::to_string(time_ms) + "\n";
      ++count;
      return kOk;
    }
    // Shown as the count of its observations.
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                                         const model::Histogram& histogram) override {
      store.histograms.emplace_back(time_ms, histogram);
      return append(ref, time_ms, histogram.count);
    }
    // `a_total # {trace_id="x"} 1 @1000`, where the time came with it `@@`.
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef ref, const model::Exemplar& exemplar) override {
      const model::LabelSet& labels = store.labels_[ref - store.first_ref_ - 1];
      char text[32];
      std::snprintf(text, sizeof(text), "%g", exemplar.value);
      lines += labels.to_string() + " # " + exemplar.labels.to_string() + " " + text +
               (exemplar.has_time ? " @@" : " @") + std::to_string(exemplar.time_ms) + "\n";
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view family, const model::Metadata& md) override {
      ++store.metadata_calls;
      store.metadata[std::string(family)] = md;
    }
    base::Status commit() override {
      if (store.commit_result) {
        store.log_ += lines;
        for (const auto& [key, sample] : pending_newest) store.newest_[key] = sample;
      }
      lines.clear();
      pending_newest.clear();
      return store.commit_result;
    }
    std::size_t pending() const override { return count; }

    FakeStore& store;
    std::string lines;
    std::map<std::string, std::pair<model::TimestampMs, double>> pending_newest;
    std::size_t count = 0;
  };

  std::map<std::string, store::metrics::SeriesRef> refs_;
  std::vector<model::LabelSet> labels_;
  std::map<std::string, std::pair<model::TimestampMs, double>> newest_;
  store::metrics::SeriesRef first_ref_ = 0;
  std::size_t resolved_ = 0;
  std::string log_;
};

// Answers at once, or keeps the question until answer() is called.
class FakeNetwork {
 public:
  Fetch fetch() {
    return [this](const HttpConfig& config, connect::http::ClientRequest request, Then then) -> std::function<void()> {
      if (const auto applied = connect::http::apply(config, request); !applied) {
        then(base::fail(applied.error()));
        return {};
      }
      requests.push_back(std::move(request));
      if (hold) {
        waiting.push_back(std::move(then));
        return [this] { ++cancelled; };
      }
      then(response());
      return {};
    };
  }
  base::Result<connect::http::ClientResponse> response() const {
    if (error) return base::fail(*error);
    connect::http::ClientResponse out;
    out.status = status;
    out.headers.add("content-type", content_type);
    out.body = body;
    return out;
  }
  void answer() {
    const Then then = std::move(waiting.front());
    waiting.pop_front();
    then(response());
  }

  std::string body;
  std::string content_type = "text/plain; version=0.0.4";
  int status = 200;
  std::optional<base::Error> error;
  bool hold = false;
  int cancelled = 0;
  std::vector<connect::http::ClientRequest> requests;
  std::deque<Then> waiting;
};

}  // namespace qd::observe::scrape
