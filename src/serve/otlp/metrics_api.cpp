#include "serve/otlp/metrics_api.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <utility>

#include "base/json_text.h"
#include "base/strings.h"
#include "connect/http/encoding.h"
#include "serve/intake.h"
#include "serve/otlp/convert.h"

namespace qd::serve::otlp {

namespace {

using base::ErrorCode;
using connect::http::equal_ignoring_case;
using connect::http::Request;
using connect::http::Response;

constexpr std::int64_t kLogEveryNs = 60LL * 1'000'000'000;
constexpr std::size_t kShownBytes = 300;

struct Door {
  explicit Door(base::Registry& registry)
      : counters(registry, "otlp", "OTLP metrics"),
        exemplars(registry, "otlp", "OTLP metrics"),
        rejected(registry.counter("quarterdeck_otlp_points_rejected_total",
                                  "Points of OTLP metrics that make no samples here, such as those of delta "
                                  "temporality.")) {}

  IntakeCounters counters;
  ExemplarCounters exemplars;
  base::Counter& rejected;
  DeltaSums deltas;
  std::atomic<std::int64_t> logged_ns{-kLogEveryNs};
};

// google.rpc.Status, which errors are answered with, holds its message in field 2.
Response error(int status, bool json, std::string_view message) {
  if (json) {
    std::string out = R"({"message":)";
    base::append_json_text(out, message);
    return Response::json(status, out + "}");
  }
  return {.status = status, .content_type = "application/x-protobuf", .body = model::otlp::write_status(message)};
}

struct Form {
  bool json = false;
  bool packed = false;
};

base::Result<Form> form_of(const Request& request) {
  Form form;
  const auto parts = base::split(request.headers.get("Content-Type").value_or(""), ';');
  const auto type = base::trim(parts.front());
  form.json = equal_ignoring_case(type, "application/json");
  if (!form.json && !equal_ignoring_case(type, "application/x-protobuf"))
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("OTLP comes as application/x-protobuf or application/json, not as {}",
                                  type.empty() ? "nothing" : type.substr(0, kShownBytes)));
  const auto encoding = base::trim(request.headers.get("Content-Encoding").value_or(""));
  form.packed = equal_ignoring_case(encoding, "gzip");
  if (!form.packed && !encoding.empty() && !equal_ignoring_case(encoding, "identity"))
    return base::fail(ErrorCode::kInvalid, fmt::format("a body is taken plain or packed by gzip, not by {}",
                                                       encoding.substr(0, kShownBytes)));
  return form;
}

std::string reason_of(const Converter& converter, const IntakeOutcome& outcome) {
  return converter.first_reason().empty() ? outcome.first : converter.first_reason();
}

}  // namespace

void declare(model::config::Schema& schema, OtlpSettings& settings) {
  schema.section("serve.otlp", "Metrics that come by OTLP.");
  schema.choice("serve.otlp.translation_strategy", settings.translation_strategy,
                {"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes",
                 "NoTranslation"},
                "What becomes of names: whether characters that older Prometheus servers do not know become "
                "underscores, and whether unit and type are told at the end.");
  schema
      .strings("serve.otlp.promote_resource_attributes", settings.promote_resource_attributes,
               "Attributes of the resource that stand on each of its series, not only on target_info.")
      .example("[deployment.environment, k8s.namespace.name]");
  schema.flag(
      "serve.otlp.convert_delta", settings.convert_delta,
      "Whether sums and histograms of delta temporality are added up here; they are refused otherwise. The sums "
      "begin anew with each start.");
}

void add_metrics_routes(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                        base::Registry& registry, std::function<OtlpSettings()> settings) {
  const auto door = std::make_shared<Door>(registry);
  const auto answer = [&store, &clock, &log, door, settings = std::move(settings)](const Call& call) -> Response {
    door->counters.requests.add();
    const auto form = form_of(call.request);
    const bool json = form && form->json;
    const auto failed = [&](int status, std::string_view message) {
      door->counters.failed.add();
      return error(status, json, message);
    };
    if (!form) return failed(415, form.error().message());
    std::string unpacked;
    const std::size_t bytes_max = json ? kJsonBytesMax : kBodyBytesMax;
    if (form->packed) {
      auto whole = connect::http::gunzip(call.request.body, bytes_max);
      if (!whole) return failed(whole.error().code() == ErrorCode::kLimit ? 413 : 400, whole.error().message());
      unpacked = std::move(*whole);
    }
    const std::string_view body = form->packed ? std::string_view(unpacked) : std::string_view(call.request.body);
    if (body.size() > bytes_max) return failed(413, fmt::format("the body is larger than {} bytes", bytes_max));
    const OtlpSettings now = settings();
    const ConvertOptions options{.translation = model::otlp::parse_translation(now.translation_strategy)
                                                    .value_or(model::otlp::Translation::kUnderscoresWithSuffixes),
                                 .promote_resource_attributes = now.promote_resource_attributes,
                                 .convert_delta = now.convert_delta,
                                 .now_ns = static_cast<std::uint64_t>(clock.wall_ms()) * 1'000'000};
    Converter converter(options, door->deltas);
    const auto read =
        json ? model::otlp::read_metrics_json(body, converter) : model::otlp::read_metrics(body, converter);
    if (!read) return failed(read.error().code() == base::ErrorCode::kLimit ? 413 : 400, read.error().message());
    const auto outcome = take(converter.batch(), store);
    if (!outcome) return failed(503, outcome.error().message());
    converter.stored(*outcome);
    door->counters.count(*outcome);
    door->exemplars.count(*outcome);
    door->rejected.add(converter.rejected_points());
    const std::uint64_t refused = converter.rejected_points() + outcome->points_refused;
    const std::string reason = reason_of(converter, *outcome);
    if (!reason.empty()) {
      auto logged_ns = door->logged_ns.load();
      const auto now_ns = clock.monotonic_ns();
      if (now_ns - logged_ns >= kLogEveryNs && door->logged_ns.compare_exchange_strong(logged_ns, now_ns))
        log.warn("points of OTLP are not stored", {{"principal", call.principal.to_string()},
                                                   {"peer", call.request.peer_address},
                                                   {"points", refused},
                                                   {"error", reason}});
    }
    if (json) return Response::json(200, model::otlp::write_response_json(refused, reason));
    return {
        .status = 200, .content_type = "application/x-protobuf", .body = model::otlp::write_response(refused, reason)};
  };
  for (const char* const path : {"/v1/metrics", "/api/v1/otlp/v1/metrics"})
    router.add({.methods = {"POST"},
                .path = path,
                .access = Access::kIngest,
                .computes = true,
                .takes_encoded_body = true,
                .handler = [answer](Call call) {
                  auto response = answer(call);
                  call.reply.send(std::move(response));
                }});
}

}  // namespace qd::serve::otlp
