#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>

#include "observe/runner_core.h"
#include "observe/text_sink.h"

namespace qd::observe {
namespace {

using base::ErrorCode;
using model::exposition::Format;

// So many passes in a row that ran into their deadline, and an instance is asked less often.
constexpr int kTimeoutsMax = 3;

// How long an instance is left alone after so many time-outs in a row.
std::int64_t back_off_ms(int timeouts, std::int64_t interval_ms) {
  if (timeouts < kTimeoutsMax) return 0;
  const int doublings = std::min(timeouts - kTimeoutsMax + 1, 10);
  return std::max(interval_ms, std::min(interval_ms << doublings, CollectorRunner::kBackOffMsMax));
}

// Tells one pass to several sinks.
class FanOut final : public Sink {
 public:
  void add(Sink& sink) { sinks_.push_back(&sink); }
  void family(std::string_view name, model::MetricType type, std::string_view help) override {
    for (Sink* sink : sinks_) sink->family(name, type, help);
  }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override {
    for (Sink* sink : sinks_) sink->sample(suffix, labels, value);
  }

 private:
  std::vector<Sink*> sinks_;
};

base::Status collect_safely(Collector& collector, std::int64_t deadline_ns, Sink& sink) {
  try {
    return collector.collect(deadline_ns, sink);
  } catch (const std::exception& e) {
    return base::fail(ErrorCode::kInternal, fmt::format("collecting {}: {}", collector.name(), e.what()));
  }
}

}  // namespace

void CollectorRunner::Core::work(const EntryPtr& entry) {
  std::optional<std::int64_t> due_ns;
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    if (!stopping_) {
      due_ns = std::exchange(entry->due_ns, std::nullopt);
      waiters = std::exchange(entry->waiters, {});
      entry->storing = due_ns.has_value();
    }
  }
  if (due_ns || !waiters.empty()) pass(*entry, due_ns, waiters);

  std::optional<Refused> refused;
  for (bool ended = false;; ended = true) {
    {
      base::MutexLock lock(mutex_);
      if (!entry->removed || stopping_ || ended) {
        entry->running = false;
        entry->storing = false;
        --running_;
        if (!stopping_ && !entry->removed) refused = kick(entry);
        idle_.notify_all();
        break;
      }
    }
    end_series(*entry);
  }
  refuse(refused);
}

void CollectorRunner::Core::end_series(Entry& entry) {
  const std::int64_t now_ms = scheduler_.clock().wall_ms();
  const std::int64_t stamp_ms = entry.last_stamp_ms == INT64_MIN ? now_ms : std::max(now_ms, entry.last_stamp_ms + 1);
  const auto ended = entry.sink.end(stamp_ms);
  if (!ended) {
    log_.warn("the series of a collector that is gone were not ended",
              {{"collector", entry.name}, {"instance", entry.placement.instance}, {"error", ended.error()}});
  }
}

void CollectorRunner::Core::pass(Entry& entry, std::optional<std::int64_t> due_ns, const std::vector<Waiter>& waiters) {
  std::int64_t timeout_ms = 0;
  {
    base::MutexLock lock(mutex_);
    timeout_ms = timeout_of(entry);
  }
  const base::Clock& clock = scheduler_.clock();
  const std::int64_t wall_ms = clock.wall_ms();
  const std::int64_t start_ns = clock.monotonic_ns();
  const auto stamp_ms = due_ns ? stamp(entry, *due_ns) : std::nullopt;
  if (!stamp_ms && waiters.empty()) return;

  struct Rendering {
    Format format;
    std::string text;
    std::optional<TextSink> sink;
    Text shared;
  };
  std::array<Rendering, 2> renderings = {{{Format::kPrometheusText, {}, {}, {}}, {Format::kOpenMetrics, {}, {}, {}}}};
  std::shared_ptr<RecordedPass> recorded;
  FanOut sinks;
  if (stamp_ms) {
    entry.sink.begin(*stamp_ms);
    sinks.add(entry.sink);
  }
  for (Rendering& rendering : renderings) {
    const auto wants = [&](const Waiter& w) { return w.text && w.format == rendering.format; };
    if (std::none_of(waiters.begin(), waiters.end(), wants)) continue;
    sinks.add(rendering.sink.emplace(rendering.text, rendering.format));
  }
  if (std::any_of(waiters.begin(), waiters.end(), [](const Waiter& w) { return bool(w.recording); })) {
    recorded = std::make_shared<RecordedPass>();
    sinks.add(*recorded);
  }

  const base::Status collected = collect_safely(*entry.collector, start_ns + timeout_ms * kNsPerMs, sinks);
  std::optional<base::Error> trouble;
  if (const auto* said = collected ? entry.collector->trouble() : nullptr) trouble = *said;
  const double seconds = static_cast<double>(clock.monotonic_ns() - start_ns) / 1e9;
  entry.counts.seconds.observe(seconds);

  std::optional<base::Error> error;
  if (!collected) error = collected.error();
  const bool timed_out =
      (error && error->code() == ErrorCode::kTimeout) || (trouble && trouble->code() == ErrorCode::kTimeout);
  if (stamp_ms) {
    std::size_t samples = 0;
    error = store_pass(entry, collected, samples);
    tell_failure(entry, error, trouble);
    base::MutexLock lock(mutex_);
    entry.report.last_pass_ms = wall_ms;
    entry.report.seconds = seconds;
    entry.report.samples = samples;
    entry.report.error = error;
    entry.report.trouble = trouble;
    count_timeout(entry, timed_out);
  }
  if (error) entry.counts.failed.add();

  for (Rendering& rendering : renderings) {
    if (!rendering.sink) continue;
    rendering.sink->finish();
    rendering.shared = std::make_shared<const std::string>(std::move(rendering.text));
  }
  for (const Waiter& waiter : waiters) {
    if (!collected) {
      waiter.fail(collected.error());
    } else if (waiter.recording) {
      waiter.recording(Recording(recorded));
    } else {
      waiter.text(renderings[waiter.format == Format::kPrometheusText ? 0 : 1].shared);
    }
  }
}

void CollectorRunner::Core::count_timeout(Entry& entry, bool timed_out) {
  // Fewer probes of what is down would make it weigh less in every average.
  if (entry.placement.work == Work::kProbes) return;
  entry.timeouts = timed_out ? entry.timeouts + 1 : 0;
  const std::int64_t rest_ms = back_off_ms(entry.timeouts, interval_of(entry));
  const std::int64_t now_ms = (scheduler_.clock().monotonic_ns() - entry.start_ns) / kNsPerMs;
  entry.rest_until_ms = rest_ms == 0 ? 0 : now_ms + rest_ms;
}

std::optional<std::int64_t> CollectorRunner::Core::stamp(Entry& entry, std::int64_t due_ns) {
  const base::Clock& clock = scheduler_.clock();
  const std::int64_t now_ns = clock.monotonic_ns();
  const auto stamp = entry.clock.stamp(due_ns, now_ns, clock.wall_ms());
  if (stamp.jumped_ms != 0) {
    const std::int64_t offset = offset_ms();
    std::int64_t told = told_offset_ms_;
    const bool news = std::abs(offset - told) >= PassClock::kJumpMs;
    if (news && told_offset_ms_.compare_exchange_strong(told, offset)) {
      jumps_.add();
      log_.warn("the wall clock was set", {{"by_ms", stamp.jumped_ms},
                                           {"now_ms", stamp.time_ms},
                                           {"cure", "if that was not you, look at the NTP service"}});
    }
  }
  if (stamp.time_ms > entry.last_stamp_ms) {
    if (std::exchange(entry.behind_told, false)) {
      log_.info("the wall clock is past the last samples again: storing goes on", {{"collector", entry.name}});
    }
    entry.last_stamp_ms = stamp.time_ms;
    return stamp.time_ms;
  }
  entry.counts.skipped_clock.add();
  if (!std::exchange(entry.behind_told, true)) {
    log_.warn("the wall clock is behind the last samples: nothing is stored until it has passed them",
              {{"collector", entry.name},
               {"last_ms", entry.last_stamp_ms},
               {"now_ms", stamp.time_ms},
               {"cure", "wait, or set the clock right"}});
  }
  return std::nullopt;
}

std::optional<base::Error> CollectorRunner::Core::store_pass(Entry& entry, const base::Status& collected,
                                                             std::size_t& samples) {
  const auto stored = collected ? entry.sink.commit() : entry.sink.abandon();
  if (!collected) return collected.error();
  if (!stored) return stored.error().within("storing what collector " + entry.name + " gave");
  samples = stored->samples;
  if (stored->rejected == 0) {
    entry.rejection_told = false;
  } else {
    entry.counts.rejected.add(stored->rejected);
    if (!std::exchange(entry.rejection_told, true)) {
      log_.warn("the store did not take all samples of a collector",
                {{"collector", entry.name}, {"rejected", stored->rejected}, {"first", *stored->why_rejected}});
    }
  }
  return std::nullopt;
}

void CollectorRunner::Core::tell_failure(Entry& entry, const std::optional<base::Error>& error,
                                         const std::optional<base::Error>& trouble) {
  const bool before = std::exchange(entry.failure_told, error.has_value());
  if (error && !before) {
    log_.error("a pass of a collector failed",
               {{"collector", entry.name}, {"instance", entry.placement.instance}, {"error", *error}});
  }
  if (!error && before) {
    log_.info("a collector works again", {{"collector", entry.name}, {"instance", entry.placement.instance}});
  }
  if (error) return;
  const bool troubled = std::exchange(entry.trouble_told, trouble.has_value());
  if (trouble && !troubled) {
    log_.warn("a service cannot be read whole",
              {{"collector", entry.name}, {"instance", entry.placement.instance}, {"error", *trouble}});
  }
  if (!trouble && troubled) {
    log_.info("a service is read whole again", {{"collector", entry.name}, {"instance", entry.placement.instance}});
  }
}

}  // namespace qd::observe
