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
#include "model/remote_write/write_request_v2.h"
#include "serve/prometheus/write_form.h"

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
  kBadHistogram,
  kReasons,
};
constexpr std::array<std::string_view, kReasons> kReasonLabels = {
    "out_of_order", "duplicate", "too_old", "too_far_ahead", "bad_series", "series_limit", "bad_histogram"};
constexpr std::array<std::string_view, kReasons> kReasonWords = {
    "out of order: there is a newer sample of the series",
    "duplicate: there is another value at that time",
    "too old: it is past the retention",
    "too far ahead of this server's clock",
    "bad series",
    "past the limit of series",
    "no histogram by the specification",
};

struct Counters {
  explicit Counters(base::Registry& registry)
      : requests(registry.counter("quarterdeck_write_requests_total", "Requests of remote write.")),
        failed(registry.counter("quarterdeck_write_requests_failed_total",
                                "Requests of remote write of which nothing was stored.")),
        stored(registry.counter("quarterdeck_write_samples_total", "Samples of remote write that were stored.")),
        repeated(registry.counter("quarterdeck_write_samples_repeated_total",
                                  "Samples of remote write that were there already.")),
        exemplars(registry.counter("quarterdeck_write_exemplars_total", "Exemplars of remote write that were taken.")),
        exemplars_refused(registry.counter("quarterdeck_write_exemplars_refused_total",
                                           "Exemplars of remote write that were not stored: old ones, or broken.")) {
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
  base::Counter& exemplars_refused;
  std::array<base::Counter*, kReasons> refused{};
  std::atomic<std::int64_t> logged_ns{-kLogEveryNs};
};

// What became of one request.
struct Outcome {
  std::size_t stored = 0;
  std::size_t repeated = 0;
  std::size_t histograms = 0;  // of both
  std::size_t exemplars = 0;   // that are taken
  std::size_t exemplars_refused = 0;
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

std::string shown(const LabelSet& labels, model::TimestampMs time_ms) {
  return fmt::format("{} at {}", labels.to_string().substr(0, kShownBytes), base::format_time(time_ms));
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

  bool wants_starts() const override { return appender_.takes_starts(); }
  void start(model::TimestampMs start_ms) override { start_ms_ = start_ms; }
  void sample(const Sample& sample) override { append(sample.time_ms, sample.value); }

  void histogram(model::TimestampMs time_ms, base::Result<model::Histogram> histogram) override {
    if (!ref_ || !histogram) start_ms_ = 0;
    if (!ref_) return refuse_sample();
    if (!histogram) return outcome_.refuse(kBadHistogram, 1, histogram.error().message());
    if (append(time_ms, *histogram)) ++outcome_.histograms;
  }

  // What is refused of them is no reason to refuse the samples.
  void exemplar(base::Result<LabelSet> labels, const Sample& sample) override {
    const bool taken =
        ref_ && labels &&
        appender_.exemplar(*ref_, {.labels = std::move(*labels), .value = sample.value, .time_ms = sample.time_ms}) ==
            AppendOutcome::kOk;
    ++(taken ? outcome_.exemplars : outcome_.exemplars_refused);
  }
  void metadata(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view unit) override {
    appender_.metadata(family, {.type = type, .help = std::string(help), .unit = std::string(unit)});
  }

 private:
  // Whether the store has it now. A number or a histogram.
  bool append(model::TimestampMs time_ms, const auto& value) {
    append_start(std::exchange(start_ms_, 0), time_ms, value);
    const std::size_t before = appender_.pending();
    auto appended = ref_ ? appender_.append(*ref_, time_ms, value) : AppendOutcome::kUnknownSeries;
    if (ref_ && appended == AppendOutcome::kUnknownSeries) {
      find();
      if (ref_) appended = appender_.append(*ref_, time_ms, value);
    }
    if (!ref_) {
      refuse_sample();
      return false;
    }
    if (appended != AppendOutcome::kOk) {
      refuse(appended, shown(labels_, time_ms));
      return false;
    }
    ++(appender_.pending() > before ? outcome_.stored : outcome_.repeated);
    return true;
  }

  // A zero where counting began. It is not counted: the sender knows nothing of it.
  void append_start(model::TimestampMs start_ms, model::TimestampMs time_ms, const auto& value) {
    if (start_ms == 0 || !ref_) return;
    const model::Histogram* like = nullptr;
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, model::Histogram>) {
      like = &value;
    } else if (model::is_stale_nan(value)) {
      return;
    }
    store::metrics::append_start(appender_, *ref_, start_ms, time_ms, like);
  }

  void refuse(AppendOutcome why, const std::string& what) {
    switch (why) {
      case AppendOutcome::kOk:
        return;
      case AppendOutcome::kOutOfOrder:
        return outcome_.refuse(kOutOfOrder, 1, what);
      case AppendOutcome::kTooOld:
        return outcome_.refuse(kTooOld, 1, what);
      case AppendOutcome::kDuplicate:
        return outcome_.refuse(kDuplicate, 1, what);
      case AppendOutcome::kTooFarInFuture:
        return outcome_.refuse(kTooFarAhead, 1, what);
      case AppendOutcome::kInvalid:
        return outcome_.refuse(kBadHistogram, 1, what);
      case AppendOutcome::kUnknownSeries:
        return outcome_.refuse(kBadSeries, 1, what);
    }
  }

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

  Appender& appender_;
  Outcome& outcome_;
  LabelSet labels_;
  std::optional<SeriesRef> ref_;
  model::TimestampMs start_ms_ = 0;  // of the sample that comes next
  Reason why_ = kBadSeries;
  std::string what_;
};

base::Result<Outcome> take(std::string_view message, WriteForm form, store::metrics::Appendable& store) {
  for (int attempt = 1;; ++attempt) {
    Outcome outcome;
    const auto appender = store.appender();
    appender->take_late();
    Intake intake(*appender, outcome);
    QD_TRY(form == WriteForm::kV2 ? model::remote_write::read_write_request_v2(message, intake)
                                  : model::remote_write::read_write_request(message, intake));
    const base::Status committed = appender->commit();
    if (committed) return outcome;
    if (committed.error().code() != ErrorCode::kConflict)
      return base::fail(ErrorCode::kUnavailable, committed.error().message());
    if (attempt == kCommitTriesMax) return base::fail(ErrorCode::kUnavailable, committed.error().message());
  }
}

Response plain(int status, std::string text) {
  return Response::text(status, std::move(text) + "\n");
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

void add_write_route(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                     base::Registry& registry) {
  const auto counters = std::make_shared<Counters>(registry);
  const auto answer = [&store, &clock, &log, counters](const Call& call) -> Response {
    counters->requests.add();
    const auto failed = [&](Response response) {
      counters->failed.add();
      return response;
    };
    const auto form = write_form(call.request);
    if (!form) return failed(plain(415, form.error().message()));
    const auto message = model::remote_write::unpack(call.request.body, kUnpackedBytesMax);
    if (!message)
      return failed(plain(message.error().code() == ErrorCode::kLimit ? 413 : 400, message.error().message()));
    const auto outcome = take(*message, *form, store);
    if (!outcome) {
      const auto code = outcome.error().code();
      const int status = code == ErrorCode::kInvalid ? 400 : code == ErrorCode::kLimit ? 413 : 503;
      return failed(plain(status, outcome.error().message()));
    }
    counters->stored.add(outcome->stored);
    counters->repeated.add(outcome->repeated);
    counters->exemplars.add(outcome->exemplars);
    counters->exemplars_refused.add(outcome->exemplars_refused);
    for (std::size_t i = 0; i < kReasons; ++i) counters->refused[i]->add(outcome->refused[i]);
    const auto tell_written = [&](Response response) {
      response.headers.add(std::string(model::remote_write::kWrittenHeader),
                           fmt::to_string(outcome->stored + outcome->repeated - outcome->histograms));
      response.headers.add(std::string(model::remote_write::kHistogramsWrittenHeader),
                           fmt::to_string(outcome->histograms));
      response.headers.add(std::string(model::remote_write::kExemplarsWrittenHeader),
                           fmt::to_string(outcome->exemplars));
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
