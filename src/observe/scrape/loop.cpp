#include "observe/scrape/loop.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/strings.h"
#include "observe/scrape/failure_log.h"
#include "observe/scrape/protocols.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using connect::http::ClientRequest;
using connect::http::ClientResponse;
using model::TimestampMs;
using store::metrics::Appender;
using store::metrics::AppendOutcome;

namespace {

// How late a timer may be for the sample to have the planned time: regular times are stored in next to no space.
constexpr std::int64_t kToleranceMs = 10;

IngestOptions ingest_options(const Target& target, const ScrapeOptions& options) {
  const ScrapeConfig& config = *target.config;
  return {.honor_labels = config.honor_labels,
          .honor_timestamps = config.honor_timestamps,
          .track_timestamps_staleness = config.track_timestamps_staleness,
          .label_limit = config.limits.label_limit,
          .label_name_length_limit = config.limits.label_name_length_limit,
          .label_value_length_limit = config.limits.label_value_length_limit,
          .metric_rules = target.metric_rules,
          .name_scheme = config.format.name_scheme,
          .histograms = {.native = config.format.scrape_native_histograms,
                         .keep_classic = config.format.always_scrape_classic_histograms,
                         .convert_classic = config.format.convert_classic_histograms_to_nhcb,
                         .buckets_max = config.native_histogram_bucket_limit,
                         .bucket_factor_min = config.native_histogram_min_bucket_factor},
          .check_families = options.openmetrics == "strict"};
}

ClientRequest make_request(const Target& target, const ScrapeOptions& options) {
  const ScrapeConfig& config = *target.config;
  ClientRequest request;
  request.url = target.url;
  request.deadline_ms = target.timeout_ms;
  request.body_bytes_max =
      config.limits.body_size_limit_bytes > 0 ? config.limits.body_size_limit_bytes : options.body_bytes_max;
  request.accept_gzip = config.enable_compression;
  request.headers.add("Accept", accept_header(config.format));
  request.headers.add("User-Agent", options.user_agent);
  request.headers.add("X-Prometheus-Scrape-Timeout-Seconds",
                      base::format_float(static_cast<double>(target.timeout_ms) / 1000));
  return request;
}

std::string_view header_of(const ClientResponse& response, std::string_view name) {
  for (const connect::http::Header& header : response.headers) {
    if (connect::http::equal_ignoring_case(header.name, name)) return header.value;
  }
  return {};
}

}  // namespace

Loop::Loop(std::shared_ptr<const Environment> environment, Target target)
    : environment_(std::move(environment)),
      target_(std::move(target)),
      ingest_(target_.labels, ingest_options(target_, environment_->options)) {}

void Loop::start() {
  base::MutexLock lock(mutex_);
  if (stopped_ || timer_ != 0) return;
  schedule(true);
}

void Loop::update(Target target) {
  base::MutexLock lock(mutex_);
  const bool other_interval = target.interval_ms != target_.interval_ms;
  target_ = std::move(target);
  if (stopped_ || !other_interval || timer_ == 0) return;
  if (environment_->scheduler.cancel(timer_)) schedule(true);
}

// `first`, or after the clock was set: the next time that the target's offset gives. Else one interval further.
void Loop::schedule(bool first) {
  const base::Clock& clock = environment_->scheduler.clock();
  const std::int64_t now_ms = clock.wall_ms();
  const std::int64_t interval_ms = target_.interval_ms;
  const std::int64_t next_ms = planned_ms_ + interval_ms;
  if (!first && next_ms > now_ms && next_ms <= now_ms + 2 * interval_ms) {
    planned_ms_ = next_ms;
  } else {
    const std::string identity = target_.identity();
    const auto offset_ms = static_cast<std::int64_t>(XXH3_64bits(identity.data(), identity.size()) %
                                                     static_cast<std::uint64_t>(interval_ms));
    planned_ms_ = now_ms - now_ms % interval_ms + offset_ms;
    while (planned_ms_ <= now_ms) planned_ms_ += interval_ms;
    while (planned_ms_ > now_ms + interval_ms) planned_ms_ -= interval_ms;
  }
  const std::int64_t at_ns = clock.monotonic_ns() + (planned_ms_ - now_ms) * 1'000'000;
  timer_ = environment_->scheduler.at(at_ns, [self = shared_from_this()] { self->tick(); });
}

void Loop::tick() {
  const base::Clock& clock = environment_->scheduler.clock();
  Scrape scrape;
  std::int64_t before_ns = 0;
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;
    const std::int64_t now_ms = clock.wall_ms();
    const std::int64_t tolerance_ms = std::min(kToleranceMs, target_.interval_ms / 100);
    scrape.time_ms = std::abs(now_ms - planned_ms_) <= tolerance_ms ? planned_ms_ : now_ms;
    schedule(false);
    if (running_) {
      environment_->counters.skipped.add();
      return;
    }
    running_ = true;
    scrape.target = target_;
    scrape.started_ns = clock.monotonic_ns();
    before_ns = std::exchange(begun_ns_, scrape.started_ns);
  }
  environment_->counters.scrapes.add();
  if (before_ns != 0)
    environment_->counters.intervals->observe(scrape.target.interval_ms, scrape.started_ns - before_ns);
  if (!scrape.target.fault.empty()) {
    fetched(scrape, base::fail(ErrorCode::kLimit, scrape.target.fault));
    return;
  }
  auto cancel = environment_->fetch(scrape.target.config->http, make_request(scrape.target, environment_->options),
                                    [self = shared_from_this(), scrape](base::Result<ClientResponse> response) {
                                      self->fetched(scrape, std::move(response));
                                    });
  bool stopped = false;
  {
    base::MutexLock lock(mutex_);
    stopped = stopped_;
    if (running_ && !stopped) cancel_fetch_ = cancel;
  }
  if (stopped && cancel) cancel();
}

void Loop::fetched(const Scrape& scrape, base::Result<ClientResponse> response) {
  {
    base::MutexLock lock(mutex_);
    cancel_fetch_ = nullptr;
  }
  auto shared = std::make_shared<base::Result<ClientResponse>>(std::move(response));
  const auto submitted =
      environment_->submit([self = shared_from_this(), scrape, shared] { self->process(scrape, std::move(*shared)); });
  if (submitted) return;
  environment_->counters.skipped.add();
  const auto& clock = environment_->scheduler.clock();
  finish(scrape, base::fail(submitted.error().within("reading what the target sent")), 0,
         static_cast<double>(clock.monotonic_ns() - scrape.started_ns) / 1e9);
}

void Loop::process(const Scrape& scrape, base::Result<ClientResponse> response) {
  bool stopped = false;
  {
    base::MutexLock lock(mutex_);
    stopped = stopped_;
  }
  const base::Clock& clock = environment_->scheduler.clock();
  base::Status outcome;
  double duration_s = 0;
  IngestCounts counts;
  if (!stopped) {
    newest_ms_ = std::max(newest_ms_, scrape.time_ms);
    auto appender = environment_->store.appender();
    outcome = ingest(scrape, response, *appender, counts);
    duration_s = static_cast<double>(clock.monotonic_ns() - scrape.started_ns) / 1e9;
    if (!outcome) {
      // Nothing of a scrape that failed is kept.
      ingest_.reject();
      appender = environment_->store.appender();
      ingest_.end_series(scrape.time_ms, *appender);
    }
    const Report report = {.up = outcome.has_value(),
                           .duration_s = duration_s,
                           .samples = counts.samples,
                           .kept = counts.samples - counts.dropped,
                           .series_added = counts.series_added,
                           .body_bytes = response ? response->body.size() : 0,
                           .past_series_limit = counts.past_series_limit};
    base::Status stored = append_report(scrape, report, *appender);
    if (stored) stored = appender->commit();
    if (outcome) {
      if (stored) {
        ingest_.accept();
      } else {
        ingest_.reject();
        outcome = base::fail(stored.error().within("storing the samples"));
      }
    }
    reported_ = reported_ || stored.has_value();
    count(scrape, counts);
  }
  std::string limited;
  if (counts.past_series_limit > 0)
    limited = fmt::format(
        "series_limit {} is reached: {} samples of series that were not there before are dropped; mend the labels that "
        "keep changing, or raise the limit",
        scrape.target.config->limits.series_limit, counts.past_series_limit);
  finish(scrape, outcome, outcome ? counts.samples : 0, duration_s, limited);
}

base::Status Loop::ingest(const Scrape& scrape, const base::Result<ClientResponse>& response, Appender& appender,
                          IngestCounts& counts) {
  if (!scrape.target.fault.empty()) return base::fail(ErrorCode::kLimit, scrape.target.fault);
  if (!response) {
    if (response.error().code() == ErrorCode::kLimit) environment_->counters.past_body_size_limit.add();
    if (response.error().code() == ErrorCode::kLimit && scrape.target.config->limits.body_size_limit_bytes > 0) {
      return base::fail(ErrorCode::kLimit, "body_size_limit is exceeded: " + response.error().message());
    }
    const auto& error = response.error();
    if (error.code() == ErrorCode::kLimit) {
      return base::fail(error.code(), error.message() + "; body_size_limit of the job raises the bound");
    }
    if (error.code() == ErrorCode::kTimeout) {
      return base::fail(error.code(), error.message() + "; a target that needs longer needs a longer scrape_timeout");
    }
    return base::fail(error);
  }
  if (response->status != 200) {
    return base::fail(ErrorCode::kUnavailable, "the target answered with HTTP status " +
                                                   std::to_string(response->status) + " " +
                                                   std::string(connect::http::reason_phrase(response->status)));
  }
  QD_ASSIGN(const auto format,
            format_of(header_of(*response, "Content-Type"), scrape.target.config->fallback_protocol));
  ingest_.limit_series(scrape.target.config->limits.series_limit);
  return ingest_.append(response->body, format, scrape.time_ms, scrape.target.config->limits.sample_limit, appender,
                        counts);
}

base::Status Loop::append_report(const Scrape& scrape, const Report& report, Appender& appender) {
  base::Status status;
  const auto put = [&](std::size_t slot, std::string_view name, double value) {
    append_report_value(appender, slot, name, scrape.time_ms, value, status);
  };
  put(0, "up", report.up ? 1 : 0);
  put(1, "scrape_duration_seconds", report.duration_s);
  put(2, "scrape_samples_scraped", static_cast<double>(report.samples));
  put(3, "scrape_samples_post_metric_relabeling", static_cast<double>(report.kept));
  put(4, "scrape_series_added", static_cast<double>(report.series_added));
  if (environment_->options.extra_metrics || scrape.target.config->format.extra_scrape_metrics) {
    put(5, "scrape_timeout_seconds", static_cast<double>(scrape.target.timeout_ms) / 1000);
    put(6, "scrape_sample_limit", static_cast<double>(scrape.target.config->limits.sample_limit));
    put(7, "scrape_body_size_bytes", static_cast<double>(report.body_bytes));
  }
  // Under the names that vmagent gives them, and only where there is a limit.
  if (scrape.target.config->limits.series_limit > 0) {
    put(8, "scrape_series_current", static_cast<double>(ingest_.series_made()));
    put(9, "scrape_series_limit", static_cast<double>(scrape.target.config->limits.series_limit));
    put(10, "scrape_series_limit_samples_dropped", static_cast<double>(report.past_series_limit));
  }
  return status;
}

void Loop::append_report_value(Appender& appender, std::size_t slot, std::string_view name, TimestampMs time_ms,
                               double value, base::Status& status) {
  if (!status) return;
  auto& ref = report_refs_[slot];
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (ref == 0) {
      std::vector<model::Label> labels = {{model::kMetricName, name}};
      for (const model::Label& label : ingest_.target_labels()) labels.push_back(label);
      auto found = appender.series(model::LabelSet::from(std::move(labels)));
      if (!found) {
        status = base::fail(std::move(found).error());
        return;
      }
      ref = *found;
    }
    if (appender.append(ref, time_ms, value) != AppendOutcome::kUnknownSeries) return;
    ref = 0;
  }
}

// The target is gone: nothing of it is current any more, `up` included.
void Loop::end_series() {
  // After the newest sample, whatever the wall clock says by now.
  const TimestampMs time_ms = std::max(environment_->scheduler.clock().wall_ms(), newest_ms_ + 1);
  const auto appender = environment_->store.appender();
  ingest_.end_series(time_ms, *appender);
  if (reported_) {
    for (const auto ref : report_refs_) {
      if (ref != 0) static_cast<void>(appender->append(ref, time_ms, model::stale_nan()));
    }
  }
  if (const auto stored = appender->commit(); !stored) {
    environment_->log.warn("stale markers of a target that is gone were not stored", {{"error", stored.error()}});
  }
}

void Loop::count(const Scrape& scrape, const IngestCounts& counts) {
  const ScrapeCounters& counters = environment_->counters;
  counters.samples.add(counts.samples);
  counters.out_of_order.add(counts.out_of_order);
  counters.duplicate.add(counts.duplicate);
  counters.out_of_bounds.add(counts.too_old + counts.too_far_in_future);
  counters.series_refused.add(counts.series_refused);
  if (counts.past_sample_limit) counters.past_sample_limit.add();
  if (counts.past_label_limits) counters.past_label_limits.add();
  counters.past_series_limit.add(counts.past_series_limit);
  const std::uint64_t refused = counts.out_of_order + counts.duplicate + counts.too_old + counts.too_far_in_future;
  // Said once, until a scrape is clean again: the counters have the rest.
  const bool refused_before = std::exchange(samples_refused_, refused > 0);
  if (samples_refused_ && !refused_before) {
    environment_->log.warn("samples of a scrape are refused", {{"target", scrape.target.url},
                                                               {"out_of_order", counts.out_of_order},
                                                               {"duplicate", counts.duplicate},
                                                               {"too_old", counts.too_old},
                                                               {"too_far_in_future", counts.too_far_in_future}});
  }
  const bool past_limit_before = std::exchange(past_series_limit_, counts.past_series_limit > 0);
  if (past_series_limit_ && !past_limit_before) {
    environment_->log.warn("a target has made as many series as series_limit allows: new ones are dropped",
                           {{"target", scrape.target.url},
                            {"series_limit", scrape.target.config->limits.series_limit},
                            {"samples", counts.past_series_limit}});
  }
  const bool series_refused_before = std::exchange(series_refused_, counts.series_refused > 0);
  if (series_refused_ && !series_refused_before) {
    environment_->log.warn(
        "new series of a scrape are refused",
        {{"target", scrape.target.url}, {"series", counts.series_refused}, {"error", counts.refusal}});
  }
}

void Loop::finish(const Scrape& scrape, const base::Status& outcome, std::size_t samples, double duration_s,
                  const std::string& limited) {
  bool end = false;
  bool was_down = false;
  bool stopped = false;
  {
    base::MutexLock lock(mutex_);
    stopped = stopped_;
    if (!stopped) {
      was_down = status_.health == Health::kDown;
      status_.health = outcome ? Health::kUp : Health::kDown;
      status_.last_error = outcome ? limited : outcome.error().message();
      status_.last_scrape_ms = scrape.time_ms;
      status_.last_scrape_duration_s = duration_s;
      status_.last_scrape_samples = samples;
    }
    end = std::exchange(end_when_done_, false);
    if (!end) running_ = false;
  }
  if (end) {
    end_series();
    base::MutexLock lock(mutex_);
    running_ = false;
  }
  if (stopped) return;
  environment_->counters.duration.observe(duration_s);
  if (outcome) {
    if (was_down) environment_->log.info("target is up again", {{"target", scrape.target.url}});
    return;
  }
  environment_->counters.failures.add();
  log_failure_of(scrape, outcome.error());
  if (!was_down) {
    environment_->log.warn("scrape failed", {{"target", scrape.target.url}, {"error", outcome.error()}});
  }
}

void Loop::log_failure_of(const Scrape& scrape, const base::Error& error) {
  const std::string& file = scrape.target.config->failure_log_file;
  if (file.empty()) return;
  const auto logged = log_failure(
      file,
      {.time_ms = scrape.time_ms, .pool = scrape.target.job, .target = scrape.target.url, .error = error.message()});
  // Said once, until it can be written again.
  const bool failed_before = failure_log_failed_.exchange(!logged);
  if (!logged && !failed_before) environment_->log.warn("a failed scrape was not logged", {{"error", logged.error()}});
}

void Loop::stop(bool end_series) {
  std::function<void()> cancel;
  bool end_now = false;
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    if (timer_ != 0) environment_->scheduler.cancel(timer_);
    timer_ = 0;
    cancel = std::exchange(cancel_fetch_, nullptr);
    if (end_series && running_) end_when_done_ = true;
    if (end_series && !running_) {
      end_now = true;
      running_ = true;
    }
  }
  if (cancel) cancel();
  if (!end_now) return;
  const auto end = [self = shared_from_this()] {
    self->end_series();
    base::MutexLock lock(self->mutex_);
    self->running_ = false;
  };
  if (!environment_->submit(end)) end();
}

TargetStatus Loop::status() const {
  base::MutexLock lock(mutex_);
  TargetStatus status = status_;
  status.discovered_labels = target_.discovered;
  status.labels = target_.labels;
  status.scrape_pool = target_.job;
  status.scrape_url = target_.url;
  status.global_url = global_url(target_, environment_->options.host_name);
  status.interval_ms = target_.interval_ms;
  status.timeout_ms = target_.timeout_ms;
  return status;
}

Target Loop::target() const {
  base::MutexLock lock(mutex_);
  return target_;
}

}  // namespace qd::observe::scrape
