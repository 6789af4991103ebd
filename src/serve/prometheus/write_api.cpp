#include "serve/prometheus/write_api.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <utility>

#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"
#include "serve/intake.h"
#include "serve/prometheus/write_form.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using connect::http::Response;
using model::LabelSet;
using model::Sample;

constexpr std::int64_t kLogEveryNs = 60LL * 1'000'000'000;

struct Door {
  explicit Door(base::Registry& registry)
      : counters(registry, "write", "remote write"), exemplars(registry, "write", "remote write") {}

  IntakeCounters counters;
  ExemplarCounters exemplars;
  std::atomic<std::int64_t> logged_ns{-kLogEveryNs};
};

// Appends a request to the store as it is read.
class Intake final : public model::remote_write::WriteSink {
 public:
  Intake(store::metrics::Appender& appender, Filling& filling) : appender_(appender), filling_(filling) {}

  void series(base::Result<LabelSet> labels) override {
    if (!labels) return filling_.bad_series(labels.error().message());
    labels_ = std::move(*labels);
    filling_.series(labels_);
  }
  bool wants_starts() const override { return appender_.takes_starts(); }
  void start(model::TimestampMs start_ms) override { filling_.start(start_ms); }
  void sample(const Sample& sample) override { filling_.sample(sample); }
  void histogram(model::TimestampMs time_ms, base::Result<model::Histogram> histogram) override {
    if (histogram) {
      filling_.histogram(time_ms, *histogram);
    } else {
      filling_.bad_histogram(histogram.error().message());
    }
  }
  void exemplar(base::Result<LabelSet> labels, const Sample& sample) override {
    if (!labels) return filling_.bad_exemplar();
    filling_.exemplar({.labels = std::move(*labels), .value = sample.value, .time_ms = sample.time_ms});
  }
  void metadata(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view unit) override {
    appender_.metadata(family, {.type = type, .help = std::string(help), .unit = std::string(unit)});
  }

 private:
  store::metrics::Appender& appender_;
  Filling& filling_;
  LabelSet labels_;
};

base::Result<IntakeOutcome> read_and_take(std::string_view message, WriteForm form, store::metrics::Appendable& store) {
  return take(store, [&](store::metrics::Appender& appender, Filling& filling, IntakeOutcome&) {
    Intake intake(appender, filling);
    return form == WriteForm::kV2 ? model::remote_write::read_write_request_v2(message, intake)
                                  : model::remote_write::read_write_request(message, intake);
  });
}

Response line_of_text(int status, std::string text) {
  return Response::text(status, std::move(text) + "\n");
}

std::string says(const IntakeOutcome& outcome) {
  std::string by_reason;
  for (std::size_t i = 0; i < kRefusals; ++i) {
    if (outcome.refused[i] > 0)
      by_reason +=
          fmt::format("{}{} {}", by_reason.empty() ? "" : ", ", outcome.refused[i], to_string(static_cast<Refusal>(i)));
  }
  const auto refused = outcome.all_refused();
  return fmt::format("{} of {} samples were not stored: {}; the first: {}", refused,
                     refused + outcome.stored + outcome.repeated, by_reason, outcome.first);
}

}  // namespace

void add_write_route(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                     base::Registry& registry) {
  const auto door = std::make_shared<Door>(registry);
  const auto answer = [&store, &clock, &log, door](const Call& call) -> Response {
    door->counters.requests.add();
    const auto failed = [&](Response response) {
      door->counters.failed.add();
      return response;
    };
    const auto form = write_form(call.request);
    if (!form) return failed(line_of_text(415, form.error().message()));
    const auto message = model::remote_write::unpack(call.request.body, kUnpackedBytesMax);
    if (!message)
      return failed(line_of_text(message.error().code() == ErrorCode::kLimit ? 413 : 400, message.error().message()));
    const auto outcome = read_and_take(*message, *form, store);
    if (!outcome) {
      const auto code = outcome.error().code();
      const int status = code == ErrorCode::kInvalid ? 400 : code == ErrorCode::kLimit ? 413 : 503;
      return failed(line_of_text(status, outcome.error().message()));
    }
    door->counters.count(*outcome);
    door->exemplars.count(*outcome);
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
    auto logged_ns = door->logged_ns.load();
    const auto now_ns = clock.monotonic_ns();
    if (now_ns - logged_ns >= kLogEveryNs && door->logged_ns.compare_exchange_strong(logged_ns, now_ns))
      log.warn("samples of a remote write are refused",
               {{"principal", call.principal.to_string()}, {"peer", call.request.peer_address}, {"error", text}});
    return tell_written(line_of_text(400, std::move(text)));
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
