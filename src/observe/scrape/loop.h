// Scrapes one target, again and again, until it is stopped.
//
// Times are multiples of the interval on the wall clock plus an offset that depends on the target, so that many targets
// spread over the interval and a restart changes nothing; a sample's time is the planned one when the timer was on
// time. A scrape that is still running when the next is due lets that one pass. Waiting and fetching happen on the
// scheduler and the HTTP client; reading and appending on the thread pool.
//
// Thread-safe. A loop keeps itself alive while something of it runs; what the Environment refers to outlives that: stop
// the loops, then destroy the client, the pool and the scheduler before the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "observe/scrape/fetch.h"
#include "observe/scrape/ingest.h"
#include "observe/scrape/scrape_counters.h"
#include "observe/scrape/target.h"
#include "store/metrics/appender.h"

namespace qd::observe::scrape {

// Runs work that computes, somewhere else; a refusal is an error.
using Submit = std::function<base::Status(std::function<void()>)>;

struct ScrapeOptions {
  std::uint64_t body_bytes_max = 128ULL << 20;  // of a target without body_size_limit
  bool extra_metrics = false;          // also scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes
  std::string openmetrics = "strict";  // or "lenient": lines alone are judged, as Prometheus does
  std::string user_agent = "Quarterdeck";
  std::string host_name;  // stands for loopback addresses in TargetStatus::global_url; empty leaves them
};

struct Environment {
  base::Scheduler& scheduler;
  Submit submit;
  Fetch fetch;
  store::metrics::Appendable& store;
  base::Log& log;
  ScrapeCounters counters;
  ScrapeOptions options;
};

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  Loop(std::shared_ptr<const Environment> environment, Target target);

  void start() QD_EXCLUDES(mutex_);
  // Goes on with another target of the same identity.
  void update(Target target) QD_EXCLUDES(mutex_);
  // No scrape begins any more, and one that is on the way is dropped unless it is being stored already. With
  // `end_series` the series get stale markers, as those of a target that is gone; without, as at a shutdown, they do
  // not.
  void stop(bool end_series) QD_EXCLUDES(mutex_);

  TargetStatus status() const QD_EXCLUDES(mutex_);
  Target target() const QD_EXCLUDES(mutex_);

 private:
  struct Scrape {
    Target target;
    model::TimestampMs time_ms = 0;
    std::int64_t started_ns = 0;
  };
  struct Report {
    bool up = false;
    double duration_s = 0;
    std::uint64_t samples = 0;
    std::uint64_t kept = 0;  // after metric_relabel_configs
    std::uint64_t series_added = 0;
    std::uint64_t body_bytes = 0;
    std::uint64_t past_series_limit = 0;
  };

  void schedule(bool first) QD_REQUIRES(mutex_);
  void tick() QD_EXCLUDES(mutex_);
  void fetched(const Scrape& scrape, base::Result<connect::http::ClientResponse> response) QD_EXCLUDES(mutex_);
  // The rest runs by one thread at a time: whoever has `running_`.
  void process(const Scrape& scrape, base::Result<connect::http::ClientResponse> response) QD_EXCLUDES(mutex_);
  base::Status ingest(const Scrape& scrape, const base::Result<connect::http::ClientResponse>& response,
                      store::metrics::Appender& appender, IngestCounts& counts);
  base::Status append_report(const Scrape& scrape, const Report& report, store::metrics::Appender& appender);
  void append_report_value(store::metrics::Appender& appender, std::size_t slot, std::string_view name,
                           model::TimestampMs time_ms, double value, base::Status& status);
  void end_series();
  // `limited`: what a scrape that went well had to leave out, for the targets' page; else empty.
  void finish(const Scrape& scrape, const base::Status& outcome, std::size_t samples, double duration_s,
              const std::string& limited = {}) QD_EXCLUDES(mutex_);
  void count(const Scrape& scrape, const IngestCounts& counts);
  void log_failure_of(const Scrape& scrape, const base::Error& error);

  static constexpr std::size_t kReportSeries = 11;

  const std::shared_ptr<const Environment> environment_;

  mutable base::Mutex mutex_;
  Target target_ QD_GUARDED_BY(mutex_);
  TargetStatus status_ QD_GUARDED_BY(mutex_);
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  bool running_ QD_GUARDED_BY(mutex_) = false;
  bool end_when_done_ QD_GUARDED_BY(mutex_) = false;
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t planned_ms_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t begun_ns_ QD_GUARDED_BY(mutex_) = 0;  // the last scrape; 0 before the first
  std::function<void()> cancel_fetch_ QD_GUARDED_BY(mutex_);

  // Of whoever has `running_`.
  Ingest ingest_;
  store::metrics::SeriesRef report_refs_[kReportSeries] = {};
  bool reported_ = false;
  bool samples_refused_ = false;  // by the last scrape
  bool series_refused_ = false;
  bool past_series_limit_ = false;
  std::atomic<bool> failure_log_failed_ = false;
  model::TimestampMs newest_ms_ = 0;
};

}  // namespace qd::observe::scrape
