#include "serve/influx/write_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/build.h"
#include "base/strings.h"
#include "connect/http/encoding.h"
#include "model/influx/line_protocol.h"
#include "serve/intake.h"
#include "serve/json.h"

namespace qd::serve::influx {

namespace {

using base::ErrorCode;
using connect::http::equal_ignoring_case;
using connect::http::Request;
using connect::http::Response;
using model::influx::Line;

constexpr std::int64_t kLogEveryNs = 60LL * 1'000'000'000;
constexpr std::size_t kShownBytes = 300;

struct Door {
  explicit Door(base::Registry& registry)
      : counters(registry, "influx", "InfluxDB line protocol"),
        lines(registry.counter("quarterdeck_influx_lines_failed_total",
                               "Lines of InfluxDB line protocol that are none.")),
        texts(registry.counter("quarterdeck_influx_texts_passed_over_total",
                               "Fields of InfluxDB line protocol that are texts: they are not stored.")) {}

  IntakeCounters counters;
  base::Counter& lines;
  base::Counter& texts;
  std::atomic<std::int64_t> logged_ns{-kLogEveryNs};
};

// What a request came to, before the store.
struct Reading {
  IntakeBatch batch;
  std::size_t bad = 0;
  std::size_t texts = 0;
  std::string told;  // of what is bad, a line each

  void wrong(std::size_t number, std::string_view what) {
    if (bad++ < kToldLinesMax) told += fmt::format("{}line {}: {}", told.empty() ? "" : "; ", number, what);
  }
};

base::Status add_line(const Line& line, std::string_view db, model::TimestampMs time_ms, IntakeBatch& batch) {
  model::LabelBuilder labels;
  if (!db.empty()) labels.set("db", db);
  for (const auto& [name, value] : line.tags) {
    if (name == model::kMetricName) return base::fail(ErrorCode::kInvalid, "a tag is called __name__");
    labels.set(name, value);
  }
  for (const auto& [name, value] : line.fields) {
    if (batch.full()) break;
    model::LabelBuilder own = labels;
    own.set(model::kMetricName, fmt::format("{}_{}", line.measurement, name));
    if (!batch.add(own.build(), {time_ms, value})) break;
  }
  if (batch.full())
    return base::fail(ErrorCode::kLimit,
                      "its tags and those before it are more than a request may have: send less at "
                      "once");
  return {};
}

Reading read(std::string_view body, std::string_view db, std::int64_t unit_ns, model::TimestampMs now_ms) {
  Reading reading;
  for (std::size_t number = 1; !body.empty(); ++number) {
    const std::string_view text = model::influx::next_line(body);
    // A line break in a text counts as one of the sender's lines too.
    const auto first = number;
    number += static_cast<std::size_t>(std::ranges::count(text, '\n'));
    if (!base::valid_utf8(text)) {
      reading.wrong(first, "it is not UTF-8");
      continue;
    }
    const auto line = model::influx::parse_line(text);
    if (!line) {
      reading.wrong(first, line.error().message());
      continue;
    }
    if (!*line) continue;
    reading.texts += (*line)->texts;
    const auto time_ms = (*line)->time ? model::influx::to_ms(*(*line)->time, unit_ns) : now_ms;
    if (!time_ms) {
      reading.wrong(first, "its time is beyond any date");
    } else if (const auto added = add_line(**line, db, *time_ms, reading.batch); !added) {
      reading.wrong(first, added.error().message());
    }
  }
  return reading;
}

// Both versions read what they know of it.
Response error(int status, std::string_view code, std::string_view message) {
  std::string out;
  JsonWriter(out).begin_object().field("code", code).field("message", message).field("error", message).end_object();
  Response response = Response::json(status, std::move(out));
  response.headers.add("X-Influxdb-Error", std::string(message.substr(0, kShownBytes)));
  return response;
}

Response alive() {
  Response response{.status = 204};
  response.headers.add("X-Influxdb-Version", fmt::format("quarterdeck-{}", base::build_version()));
  response.headers.add("X-Influxdb-Build", "OSS");
  return response;
}

Response health() {
  std::string out;
  JsonWriter(out)
      .begin_object()
      .field("name", "influxdb")
      .field("message", "ready for queries and writes")
      .field("status", "pass")
      .key("checks")
      .begin_array()
      .end_array()
      .field("version", fmt::format("quarterdeck-{}", base::build_version()))
      .end_object();
  return Response::json(200, std::move(out));
}

// Any database is there.
Response query(const Request& request) {
  const std::string_view q = base::trim(request.param("q").value_or(""));
  if (equal_ignoring_case(q.substr(0, 14), "SHOW DATABASES"))
    return Response::json(200, R"({"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],)"
                               R"("values":[["_internal"]]}]}]})");
  if (equal_ignoring_case(q.substr(0, 15), "CREATE DATABASE"))
    return Response::json(200, R"({"results":[{"statement_id":0}]})");
  return error(400, "invalid", "queries of InfluxDB are not answered: ask by PromQL at /api/v1/query");
}

class Writing {
 public:
  Writing(store::metrics::Appendable& store, const base::Clock& clock, base::Log& log, base::Registry& registry)
      : store_(store), clock_(clock), log_(log), door_(std::make_shared<Door>(registry)) {}

  Response operator()(const Call& call) const {
    door_->counters.requests.add();
    const auto failed = [&](Response response) {
      door_->counters.failed.add();
      return response;
    };
    const Request& request = call.request;
    const auto precision = request.param("precision").value_or("ns");
    const auto unit_ns = model::influx::precision_ns(precision.empty() ? "ns" : precision);
    if (!unit_ns)
      return failed(error(400, "invalid",
                          fmt::format("precision is ns, us, ms, s, m or h, not {}", precision.substr(0, kShownBytes))));
    const auto encoding = base::trim(request.headers.get("Content-Encoding").value_or(""));
    const bool packed = equal_ignoring_case(encoding, "gzip");
    if (!packed && !encoding.empty() && !equal_ignoring_case(encoding, "identity"))
      return failed(
          error(415, "invalid",
                fmt::format("a body is taken plain or packed by gzip, not by {}", encoding.substr(0, kShownBytes))));
    if (request.body.size() > kBodyBytesMax)
      return failed(error(413, "request too large", fmt::format("the body is larger than {} bytes", kBodyBytesMax)));
    std::string unpacked;
    if (packed) {
      auto whole = connect::http::gunzip(request.body, kBodyBytesMax);
      if (!whole && whole.error().code() == ErrorCode::kLimit)
        return failed(error(413, "request too large", whole.error().message()));
      if (!whole) return failed(error(400, "invalid", whole.error().message()));
      unpacked = std::move(*whole);
    }
    const Reading reading =
        read(packed ? unpacked : request.body, request.param("db").value_or(""), *unit_ns, clock_.wall_ms());
    const auto outcome = take(reading.batch, store_);
    if (!outcome) return failed(error(503, "unavailable", outcome.error().message()));
    door_->counters.count(*outcome);
    door_->lines.add(reading.bad);
    door_->texts.add(reading.texts);
    if (reading.bad == 0 && outcome->all_refused() == 0) return {.status = 204};
    return tell(call, reading, *outcome);
  }

 private:
  Response tell(const Call& call, const Reading& reading, const IntakeOutcome& outcome) const {
    std::string text = "partial write: ";
    if (reading.bad > 0)
      text += fmt::format("{} lines are not stored: {}{}", reading.bad, reading.told,
                          reading.bad > kToldLinesMax ? "; …" : "");
    if (const auto refused = outcome.all_refused(); refused > 0)
      text += fmt::format("{}{} of {} values are not stored; the first: {}", reading.bad > 0 ? "; " : "", refused,
                          refused + outcome.stored + outcome.repeated, outcome.first);
    auto logged_ns = door_->logged_ns.load();
    const auto now_ns = clock_.monotonic_ns();
    if (now_ns - logged_ns >= kLogEveryNs && door_->logged_ns.compare_exchange_strong(logged_ns, now_ns))
      log_.warn("lines of InfluxDB's protocol are not stored", {{"principal", call.principal.to_string()},
                                                                {"peer", call.request.peer_address},
                                                                {"error", text.substr(0, kShownBytes)}});
    return error(400, "invalid", text);
  }

  store::metrics::Appendable& store_;
  const base::Clock& clock_;
  base::Log& log_;
  const std::shared_ptr<Door> door_;
};

}  // namespace

void add_routes(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                base::Registry& registry) {
  const Writing writing(store, clock, log, registry);
  for (const char* const path : {"/write", "/influx/write", "/api/v2/write", "/influx/api/v2/write"})
    router.add({.methods = {"POST"},
                .path = path,
                .access = Access::kIngest,
                .computes = true,
                .takes_encoded_body = true,
                .handler = [writing](Call call) {
                  auto response = writing(call);
                  call.reply.send(std::move(response));
                }});
  for (const char* const path : {"/ping", "/influx/ping"})
    router.add({.methods = {"GET", "POST"}, .path = path, .access = Access::kOpen, .handler = [](Call call) {
                  call.reply.send(alive());
                }});
  for (const char* const path : {"/health", "/influx/health"})
    router.add({.methods = {"GET"}, .path = path, .access = Access::kOpen, .handler = [](Call call) {
                  call.reply.send(health());
                }});
  router.add({.methods = {"GET", "POST"}, .path = "/influx/query", .access = Access::kIngest, .handler = [](Call call) {
                call.reply.send(query(call.request));
              }});
}

}  // namespace qd::serve::influx
