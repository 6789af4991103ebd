#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/build.h"
#include "connect/http/exchange.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;
using connect::http::Exchange;

// grpc.health.v1: what HealthCheckResponse.status says.
constexpr std::array<std::string_view, 4> kStatuses = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
// Status codes of gRPC that are told where no server tells one.
constexpr int kDeadlineExceeded = 4;
constexpr int kInternal = 13;
constexpr int kUnavailable = 14;
constexpr std::size_t kAnswerBytesMax = 64 << 10;
constexpr std::size_t kServiceBytesMax = 4 << 10;

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

// A length-prefixed message (gRPC over HTTP/2) with HealthCheckRequest.service, field 1.
std::string request_body(const std::string& service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';
    put_varint(message, service.size());
    message += service;
  }
  std::string body(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) body += static_cast<char>((message.size() >> shift) & 0xff);
  return body + message;
}

// HealthCheckResponse.status, field 1, a varint; 0 where it is missing. Nothing for what is no such message.
std::optional<std::uint64_t> response_status(std::string_view body) {
  if (body.size() < 5 || body[0] != '\0') return std::nullopt;
  std::size_t size = 0;
  for (int i = 1; i < 5; ++i) size = (size << 8) | static_cast<unsigned char>(body[static_cast<std::size_t>(i)]);
  body.remove_prefix(5);
  if (size > body.size()) return std::nullopt;
  body = body.substr(0, size);
  const auto varint = [&body]() -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !body.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(body.front());
      body.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  };
  std::uint64_t status = 0;
  while (!body.empty()) {
    const auto key = varint();
    if (!key) return std::nullopt;
    std::uint64_t skipped = 0;
    switch (*key & 7U) {
      case 0: {
        const auto value = varint();
        if (!value) return std::nullopt;
        if (*key >> 3U == 1) status = *value;
        break;
      }
      case 1:
        skipped = 8;
        break;
      case 2: {
        const auto length = varint();
        if (!length) return std::nullopt;
        skipped = *length;
        break;
      }
      case 5:
        skipped = 4;
        break;
      default:
        return std::nullopt;
    }
    if (skipped > body.size()) return std::nullopt;
    body.remove_prefix(static_cast<std::size_t>(skipped));
  }
  return status;
}

// What the server says, or what the fault comes to.
int grpc_status(const Exchange& done) {
  if (const auto said = done.headers.get("grpc-status")) {
    int code = 2;
    std::from_chars(said->data(), said->data() + said->size(), code);
    return code;
  }
  if (done.error) return done.error->code() == ErrorCode::kTimeout ? kDeadlineExceeded : kUnavailable;
  return done.status == 200 ? kInternal : kUnavailable;
}

}  // namespace

base::Status probe_grpc(const GrpcModule& module, Job& job) {
  Samples& samples = job.samples;
  samples.set(kGrpcSsl, 0);
  samples.set(kGrpcStatusCode, 0);
  samples.set(kSslEarliestExpiry, 0);

  std::string_view target = job.target;
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) target.remove_prefix(scheme.size());
  target = target.substr(0, target.find('/'));
  QD_ASSIGN(const auto server, split_target(target, module.tls.enabled ? 443 : 80));
  if (module.service.size() > kServiceBytesMax)
    return base::fail(ErrorCode::kInvalid, fmt::format("the service has more than {} bytes", kServiceBytesMax));
  double lookup_s = 0;
  const auto address = choose_address(server.host, server.port, module.ip, job, lookup_s);
  samples.set(kGrpcDuration, lookup_s, {{"phase", "resolve"}});
  if (!address) return base::fail(address.error());
  for (const auto status : kStatuses) samples.set(kGrpcHealth, 0, {{"serving_status", std::string(status)}});

  const bool v6 = server.host.find(':') != std::string::npos;
  connect::http::ExchangeRequest request{
      .url = fmt::format("{}://{}{}{}:{}/grpc.health.v1.Health/Check", module.tls.enabled ? "https" : "http",
                         v6 ? "[" : "", server.host, v6 ? "]" : "", server.port),
      .method = "POST",
      .body = request_body(module.service),
      .connect_to = *address,
      .tls = module.tls,
      .version = connect::http::HttpVersion::kTwo,
      .body_bytes_max = kAnswerBytesMax,
      .body_kept_bytes = kAnswerBytesMax,
      .deadline_ns = job.deadline_ns,
      .cancel = job.cancel,
  };
  if (request.tls.server_name.empty()) request.tls.server_name = job.hostname;
  request.headers.add("Content-Type", "application/grpc");
  request.headers.add("TE", "trailers");
  request.headers.add("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
  for (const auto& [name, value] : module.metadata) request.headers.add(name, value);

  job.journal.info("Checking health", {{"target", job.target}, {"service", module.service}});
  connect::http::Exchanger exchanger(job.clock);
  const std::int64_t from_ns = job.clock.monotonic_ns();
  const Exchange done = exchanger.exchange(request);
  samples.set(kGrpcDuration, job.since(from_ns), {{"phase", "check"}});
  const int code = grpc_status(done);
  samples.set(kGrpcStatusCode, code);
  if (done.tls) {
    samples.set(kGrpcSsl, 1);
    tell_tls(*done.tls, false, samples);
  }
  if (done.error && !done.headers.has("grpc-status")) {
    job.journal.error("Can't reach the gRPC server", {{"err", done.error->message()}});
    return base::fail(*done.error);
  }
  const auto failed = [&](std::string what) -> base::Status {
    job.journal.error(what);
    return base::fail(ErrorCode::kUnavailable, fmt::format("{}: {}", job.target, what));
  };
  if (code != 0) {
    const auto message = done.headers.get("grpc-message").value_or("");
    return failed(!done.headers.has("grpc-status")
                      ? fmt::format("no gRPC server answers there (HTTP status {})", done.status)
                  : code == 12 ? std::string("the server has no service grpc.health.v1.Health")
                               : fmt::format("the health check ended with status {} {:?}", code, message));
  }
  const auto health = response_status(done.body);
  if (!health || *health >= kStatuses.size()) return failed("the answer is no HealthCheckResponse");
  const std::string_view status = kStatuses.at(static_cast<std::size_t>(*health));
  samples.set(kGrpcHealth, 1, {{"serving_status", std::string(status)}});
  job.journal.info("Response", {{"serving_status", std::string(status)}});
  if (status != "SERVING") return failed(fmt::format("the service is {}", status));
  return {};
}

}  // namespace qd::observe::probe
