#include "ship/objects/settings.h"

#include <fmt/format.h>

#include <algorithm>

namespace qd::ship::objects {

namespace {

using base::ErrorCode;

// What S3 allows of a part that is not the last; a part is held in memory.
constexpr std::uint64_t kPartBytesMin = 5ULL << 20;
constexpr std::uint64_t kPartBytesMax = 512ULL << 20;
constexpr std::int64_t kTimeoutMsMin = 1'000;
constexpr std::int64_t kTimeoutMsMax = 60LL * 60 * 1000;

std::unexpected<base::Error> wrong(std::string message) {
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

bool plain(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.contains(c);
  });
}

}  // namespace

void declare(model::config::Schema& schema, ObjectSettings& settings) {
  schema.section(
      "ship.objects",
      "Uploading what is stored, as blocks of Prometheus, to an S3-compatible store where Thanos finds them. "
      "`observe.external_labels` tell this Quarterdeck from others there.");
  schema.text("ship.objects.endpoint", settings.endpoint, "Where the store is. Nothing is uploaded when empty.")
      .only_at_start()
      .example("https://s3.eu-central-1.amazonaws.com");
  schema.text("ship.objects.bucket", settings.bucket, "The bucket, which must exist.").only_at_start();
  schema.text("ship.objects.region", settings.region, "The region that requests are signed for.").only_at_start();
  schema.text("ship.objects.access_key", settings.access_key, "The access key.").only_at_start();
  schema.secret("ship.objects.secret_key", settings.secret_key, "Its secret.").only_at_start();
  schema.text("ship.objects.prefix", settings.prefix, "What stands before the names of blocks in the bucket.")
      .only_at_start();
  schema
      .text("ship.objects.tls.ca_file", settings.ca_file,
            "Authorities that may have signed the store's certificate, as PEM; the system's when empty.")
      .only_at_start();
  schema
      .duration_ms("ship.objects.timeout", settings.timeout_ms, "How long one request may take.", kTimeoutMsMin,
                   kTimeoutMsMax)
      .only_at_start();
  schema
      .bytes("ship.objects.part_bytes", settings.part_bytes,
             "Larger files are uploaded in parts of this size; one part is held in memory.", kPartBytesMin,
             kPartBytesMax)
      .only_at_start();
  schema.check("ship.objects.endpoint", [&settings] { return check(settings); });
}

base::Status check(const ObjectSettings& settings) {
  if (!settings.enabled()) return {};
  const std::string_view endpoint = settings.endpoint;
  const bool https = endpoint.starts_with("https://");
  if (!https && !endpoint.starts_with("http://"))
    return wrong(fmt::format("\"{}\" is no URL of a store: write https://HOST or https://HOST:PORT", endpoint));
  const std::string_view authority = endpoint.substr(https ? 8 : 7);
  if (authority.empty() || !plain(authority, ".-:[]"))
    return wrong(
        fmt::format("\"{}\" is more or less than https://HOST:PORT: the bucket is a setting of its own", endpoint));
  const bool loopback =
      authority.starts_with("127.") || authority.starts_with("localhost") || authority.starts_with("[::1]");
  if (!https && !loopback)
    return wrong(fmt::format("what is stored would go to {} in the clear: use https", authority));
  if (settings.bucket.empty() || !plain(settings.bucket, ".-_")) return wrong("ship.objects.bucket must name a bucket");
  if (settings.access_key.empty() || settings.secret_key.empty())
    return wrong("ship.objects.access_key and ship.objects.secret_key must be set");
  if (settings.region.empty()) return wrong("ship.objects.region is empty: stores without regions take us-east-1");
  if (settings.prefix.starts_with('/') || settings.prefix.ends_with('/'))
    return wrong("ship.objects.prefix must neither begin nor end with a slash");
  return {};
}

}  // namespace qd::ship::objects
