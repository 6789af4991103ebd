#include "serve/prometheus/write_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using connect::http::equal_ignoring_case;
using connect::http::Request;
using connect::http::Response;
using model::LabelSet;
using model::Sample;
using store::metrics::Appender;
using store::metrics::AppendOutcome;
using store::metrics::SeriesRef;

// Of one request, that are looked up once more: whether they are there already.
constexpr std::size_t kLateSamplesMax = 20'000;
// Series compared for that, over all of one request: series with further labels match as well, and a sender may send
// label sets that many have. What comes beyond is told as refused, even where it is there.
constexpr std::size_t kLateSeriesMax = 10'000;
constexpr std::size_t kLateComparedMax = 200'000;
// A batch that another one overtook is tried again so often.
constexpr int kCommitTriesMax = 3;
constexpr std::int64_t kLogEveryNs = 60LL * 1'000'000'000;
constexpr std::size_t kShownBytes = 300;

enum Reason : std::uint8_t {
  kOutOfOrder,
  kDuplicate,
  kTooOld,
  kTooFarAhead,
  kBadSeries,
  kSeriesLimit,
  kHistogram,
  kReasons,
};
constexpr std::array<std::string_view, kReasons> kReasonLabels = {
    "out_of_order", "duplicate", "too_old", "too_far_ahead", "bad_series", "series_limit", "native_histogram"};
constexpr std::array<std::string_view, kReasons> kReasonWords = {
    "out of order: there is a newer sample of the series",
    "duplicate: there is another value at that time",
    "too old: its time is sealed already",
    "too far ahead of this server's clock",
    "bad series",
    "past the limit of series",
    "native histogram: they are not stored in this release",
};

struct Counters {
  explicit Counters(base::Registry& registry)
      : requests(registry.counter("quarterdeck_write_requests_total", "Requests of remote write.")),
        failed(registry.counter("quarterdeck_write_requests_failed_total",
                                "Requests of remote write of which nothing was stored.")),
        stored(registry.counter("quarterdeck_write_samples_total", "Samples of remote write that were stored.")),
        repeated(registry.counter("quarterdeck_write_samples_repeated_total",
                                  "Samples of remote write that were there already.")),
        exemplars(registry.counter("quarterdeck_write_exemplars_passed_over_total",
                                   "Exemplars of remote write: they are not stored.")) {
    for (std::size_t i = 0; i < kReasons; ++i)
      refused[i] =
          &registry.counter("quarterdeck_write_samples_refused_total", "Samples of remote write that were not stored.",
                            {{"reason", std::string(kReasonLabels[i])}});
  }

  base::Counter& requests;
  base::Counter& failed;
  base::Counter& stored;
  base::Counter& repeated;
  base::Counter& exemplars;
  std::array<base::Counter*, kReasons> refused{};
  std::atomic<std::int64_t> logged_ns{-kLogEveryNs};
};

// What became of one request.
struct Outcome {
  std::size_t stored = 0;
  std::size_t repeated = 0;
  std::size_t exemplars = 0;
  std::array<std::size_t, kReasons> refused{};
  std::string first;  // of what was refused

  void refuse(Reason reason, std::size_t count, const std::string& what) {
    if (first.empty()) first = fmt::format("{} ({})", what, kReasonWords[reason]);
    refused[reason] += count;
  }
  std::size_t all_refused() const {
    std::size_t sum = 0;
    for (const auto count : refused) sum += count;
    return sum;
  }
};

// Samples of one series that the store found late. A sender that had no answer sends again what is stored already.
struct Late {
  LabelSet labels;
  std::vector<std::pair<Sample, Reason>> samples;
};

std::string shown(const LabelSet& labels, const Sample& sample) {
  return fmt::format("{} at {}", labels.to_string().substr(0, kShownBytes), base::format_time(sample.time_ms));
}

// Appends a request to the store as it is read.
class Intake final : public model::remote_write::WriteSink {
 public:
  Intake(Appender& appender, Outcome& outcome) : appender_(appender), outcome_(outcome) {}

  void series(base::Result<LabelSet> labels) override {
    ref_.reset();
    labels_ = {};
    if (!labels) return refuse_series(kBadSeries, labels.error().message());
    labels_ = std::move(*labels);
    find();
  }

  void sample(const Sample& sample) override {
    if (!ref_) return refuse_sample();
    const std::size_t before = appender_.pending();
    auto appended = appender_.append(*ref_, sample.time_ms, sample.value);
    if (appended == AppendOutcome::kUnknownSeries) {
      find();
      if (!ref_) return refuse_sample();
      appended = appender_.append(*ref_, sample.time_ms, sample.value);
    }
    switch (appended) {
      case AppendOutcome::kOk:
        ++(appender_.pending() > before ? outcome_.stored : outcome_.repeated);
        return;
      case AppendOutcome::kOutOfOrder:
        return late(sample, kOutOfOrder);
      case AppendOutcome::kTooOld:
        return late(sample, kTooOld);
      case AppendOutcome::kDuplicate:
        return outcome_.refuse(kDuplicate, 1, shown(labels_, sample));
      case AppendOutcome::kTooFarInFuture:
        return outcome_.refuse(kTooFarAhead, 1, shown(labels_, sample));
      case AppendOutcome::kUnknownSeries:
      case AppendOutcome::kInvalid:  // no number is
        return outcome_.refuse(kBadSeries, 1, shown(labels_, sample));
    }
  }

  void native_histograms(std::size_t count) override {
    outcome_.refuse(kHistogram, count, fmt::format("{} of a series", count));
  }
  void exemplars(std::size_t count) override { outcome_.exemplars += count; }
  void metadata(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view unit) override {
    appender_.metadata(family, {.type = type, .help = std::string(help), .unit = std::string(unit)});
  }

  std::vector<Late>& found_late() { return late_; }

 private:
  void find() {
    auto ref = appender_.series(labels_);
    if (ref) {
      ref_ = *ref;
      return;
    }
    ref_.reset();
    refuse_series(ref.error().code() == ErrorCode::kLimit ? kSeriesLimit : kBadSeries, ref.error().message());
  }

  // Its samples, which follow, are counted one by one.
  void refuse_series(Reason reason, std::string why) {
    why_ = reason;
    what_ = std::move(why);
  }
  void refuse_sample() { outcome_.refuse(why_, 1, what_); }

  void late(const Sample& sample, Reason reason) {
    if (late_samples_ == kLateSamplesMax) return outcome_.refuse(reason, 1, shown(labels_, sample));
    ++late_samples_;
    if (late_.empty() || late_.back().labels != labels_) late_.push_back({labels_, {}});
    late_.back().samples.emplace_back(sample, reason);
  }

  Appender& appender_;
  Outcome& outcome_;
  LabelSet labels_;
  std::optional<SeriesRef> ref_;
  Reason why_ = kBadSeries;
  std::string what_;
  std::vector<Late> late_;
  std::size_t late_samples_ = 0;
};

// The samples that the store has of exactly this series between two times. Takes what it compares off `left`.
store::metrics::Columns stored_between(const store::metrics::Querier& querier, const LabelSet& labels,
                                       model::TimestampMs from_ms, model::TimestampMs to_ms, std::size_t& left) {
  store::metrics::Columns columns;
  if (left == 0) return columns;
  std::vector<model::Matcher> matchers;
  for (const auto& label : labels)
    matchers.push_back(model::Matcher::equal(std::string(label.name), std::string(label.value)));
  const std::size_t limit = std::min(left, kLateSeriesMax);
  const auto set = querier.select(matchers, from_ms, to_ms, limit);
  left -= set ? std::min((*set)->size(), limit) : limit;
  if (!set) return columns;
  for (std::size_t i = 0; i < (*set)->size(); ++i) {
    if ((*set)->labels(i) != labels) continue;
    if (!(*set)->read(i, from_ms, to_ms, columns)) columns.clear();
    break;
  }
  return columns;
}

void settle_late(const std::vector<Late>& all, const store::metrics::Querier& querier, Outcome& outcome) {
  std::size_t left = kLateComparedMax;
  for (const Late& late : all) {
    const auto [first, last] = std::ranges::minmax(late.samples, {}, [](const auto& one) { return one.first.time_ms; });
    const auto columns = stored_between(querier, late.labels, first.first.time_ms, last.first.time_ms, left);
    for (const auto& [sample, reason] : late.samples) {
      const auto at = std::ranges::lower_bound(columns.times, sample.time_ms);
      const auto i = static_cast<std::size_t>(at - columns.times.begin());
      const bool there = at != columns.times.end() && *at == sample.time_ms &&
                         std::bit_cast<std::uint64_t>(columns.values[i]) == std::bit_cast<std::uint64_t>(sample.value);
      if (there) {
        ++outcome.repeated;
      } else {
        outcome.refuse(reason, 1, shown(late.labels, sample));
      }
    }
  }
}

base::Result<Outcome> take(std::string_view message, store::metrics::Appendable& store,
                           const store::metrics::Querier& querier) {
  for (int attempt = 1;; ++attempt) {
    Outcome outcome;
    const auto appender = store.appender();
    Intake intake(*appender, outcome);
    QD_TRY(model::remote_write::read_write_request(message, intake));
    const base::Status committed = appender->commit();
    if (committed) {
      settle_late(intake.found_late(), querier, outcome);
      return outcome;
    }
    if (committed.error().code() != ErrorCode::kConflict) return base::fail(committed.error());
    if (attempt == kCommitTriesMax) return base::fail(ErrorCode::kUnavailable, committed.error().message());
  }
}

Response plain(int status, std::string text) {
  return Response::text(status, std::move(text) + "\n");
}

// Why this is no request of remote write 1.0; nothing when it is.
std::optional<Response> refuse_form(const Request& request) {
  const auto encoding = base::trim(request.headers.get("Content-Encoding").value_or("snappy"));
  if (!encoding.empty() && !equal_ignoring_case(encoding, "snappy"))
    return plain(415, fmt::format("remote write takes a body with Content-Encoding snappy, not {}",
                                  encoding.substr(0, kShownBytes)));
  const auto parts = base::split(request.headers.get("Content-Type").value_or(""), ';');
  const auto type = base::trim(parts.front());
  if (!type.empty() && !equal_ignoring_case(type, model::remote_write::kContentType))
    return plain(415, fmt::format("remote write takes {}, not {}", model::remote_write::kContentType,
                                  type.substr(0, kShownBytes)));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto part = base::trim(parts[i]);
    if (part.size() < 6 || !equal_ignoring_case(part.substr(0, 6), "proto=")) continue;
    const auto proto = base::trim(part.substr(6));
    if (proto != "prometheus.WriteRequest" && proto != "\"prometheus.WriteRequest\"")
      return plain(415, fmt::format("only prometheus.WriteRequest (remote write 1.0) is taken, not {}: set "
                                    "protobuf_message: prometheus.WriteRequest at the sender",
                                    proto.substr(0, kShownBytes)));
  }
  return std::nullopt;
}

std::string says(const Outcome& outcome) {
  std::string by_reason;
  for (std::size_t i = 0; i < kReasons; ++i) {
    if (outcome.refused[i] > 0)
      by_reason += fmt::format("{}{} {}", by_reason.empty() ? "" : ", ", outcome.refused[i], kReasonLabels[i]);
  }
  const auto refused = outcome.all_refused();
  return fmt::format("{} of {} samples were not stored: {}; the first: {}", refused,
                     refused + outcome.stored + outcome.repeated, by_reason, outcome.first);
}

}  // namespace

void add_write_route(Router& router, store::metrics::Appendable& store, const store::metrics::Querier& querier,
                     const base::Clock& clock, base::Log& log, base::Registry& registry) {
  const auto counters = std::make_shared<Counters>(registry);
  const auto answer = [&store, &querier, &clock, &log, counters](const Call& call) -> Response {
    counters->requests.add();
    const auto failed = [&](Response response) {
      counters->failed.add();
      return response;
    };
    if (auto refusal = refuse_form(call.request)) return failed(std::move(*refusal));
    const auto message = model::remote_write::unpack(call.request.body, kUnpackedBytesMax);
    if (!message)
      return failed(plain(message.error().code() == ErrorCode::kLimit ? 413 : 400, message.error().message()));
    const auto outcome = take(*message, store, querier);
    if (!outcome) {
      const bool bad = outcome.error().code() == ErrorCode::kInvalid;
      return failed(plain(bad ? 400 : 503, outcome.error().message()));
    }
    counters->stored.add(outcome->stored);
    counters->repeated.add(outcome->repeated);
    counters->exemplars.add(outcome->exemplars);
    for (std::size_t i = 0; i < kReasons; ++i) counters->refused[i]->add(outcome->refused[i]);
    const auto tell_written = [&](Response response) {
      response.headers.add(std::string(model::remote_write::kWrittenHeader),
                           fmt::to_string(outcome->stored + outcome->repeated));
      return response;
    };
    if (outcome->all_refused() == 0) return tell_written({.status = 204});
    auto text = says(*outcome);
    auto logged_ns = counters->logged_ns.load();
    const auto now_ns = clock.monotonic_ns();
    if (now_ns - logged_ns >= kLogEveryNs && counters->logged_ns.compare_exchange_strong(logged_ns, now_ns))
      log.warn("samples of a remote write are refused",
               {{"principal", call.principal.to_string()}, {"peer", call.request.peer_address}, {"error", text}});
    return tell_written(plain(400, std::move(text)));
  };
  router.add({.methods = {"POST"},
              .path = "/api/v1/write",
              .access = Access::kIngest,
              .computes = true,
              .takes_encoded_body = true,
              .handler = [answer](Call call) {
                auto response = answer(call);
                call.reply.send(std::move(response));
              }});
}

}  // namespace qd::serve::prometheus
