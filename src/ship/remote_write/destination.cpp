#include "ship/remote_write/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "model/remote_write/write_request_v2.h"
#include "ship/remote_write/settings.h"

namespace qd::ship::remote_write {

namespace {

using base::ErrorCode;

constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;
constexpr std::int64_t kShardsMax = 1'000;
constexpr std::int64_t kSamplesPerSendMax = 100'000;
constexpr std::size_t kNameBytesMax = 100;

// What the protocol says of itself.
constexpr std::array<std::string_view, 6> kOwnHeaders = {"content-encoding", "content-type", "content-length",
                                                         "authorization",    "host",         "user-agent"};

std::unexpected<base::Error> wrong(const Destination& destination, std::string_view message) {
  return base::fail(ErrorCode::kInvalid, fmt::format("ship.remote_write: {}: {}", shown_url(destination.url), message));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// FNV-1a: the same in every release and on every machine, since a directory is named by it.
std::uint32_t hash(std::string_view text) {
  std::uint32_t value = 2'166'136'261U;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16'777'619U;
  return value;
}

bool names_a_directory(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

base::Status check(const Destination& destination, DestinationSource source) {
  if (destination.url.empty()) return wrong(destination, "it has no url");
  const auto authority = destination.url.find("//");
  if (authority != std::string::npos &&
      destination.url.find('@', authority) < destination.url.find_first_of("/?#", authority + 2))
    return wrong(destination, "a user and password do not belong into the URL: use basic_auth");
  // The same that holds for forward; Prometheus lets credentials go in the clear.
  const bool own = source == DestinationSource::kOwnFile;
  const DeclaredHttp& said = destination.declared;
  const ForwardSettings as_forward{
      .url = destination.url,
      .token = own && said.credentials.empty() ? said.oauth2_client_secret : said.credentials,
      .user = said.user,
      .password = said.password,
      .cert_file = said.tls.cert_file,
      .key_file = said.tls.key_file};
  const int ways = static_cast<int>(!said.credentials.empty()) + static_cast<int>(!said.user.empty()) +
                   static_cast<int>(!said.oauth2_client_id.empty());
  if (ways > 1)
    return wrong(destination, "of basic_auth, authorization and oauth2 the receiver gets one: more are set");
  if (!said.oauth2_client_id.empty() && said.oauth2_token_url.empty())
    return wrong(destination, "oauth2 has no token_url");
  if (const auto good = check(as_forward); !good) return wrong(destination, good.error().message());
  if (destination.protobuf_message != model::remote_write::kProtoV1 && !destination.sends_v2())
    return wrong(destination, fmt::format("protobuf_message is {} or {}, not {}", model::remote_write::kProtoV1,
                                          model::remote_write::kProtoV2, destination.protobuf_message));
  if (destination.queue.min_shards > destination.queue.max_shards)
    return wrong(destination, "queue_config.min_shards is more than max_shards");
  if (destination.queue.min_backoff_ms > destination.queue.max_backoff_ms)
    return wrong(destination, "queue_config.min_backoff is more than max_backoff");
  for (const auto& [name, value] : destination.headers) {
    const std::string plain = lower(name);
    if (std::ranges::find(kOwnHeaders, plain) != kOwnHeaders.end() || plain.starts_with("x-prometheus-remote-write-"))
      return wrong(destination, fmt::format("the header {} is set by the protocol, not by headers", name));
  }
  return {};
}

base::Status make_http(Destination& one) {
  const DeclaredHttp& said = one.declared;
  one.http.tls = said.tls;
  one.http.proxy.url = said.proxy_url;
  one.http.follow_redirects = false;
  if (!said.user.empty())
    one.http.basic_auth = connect::http::BasicAuthConfig{.username = said.user, .password = said.password};
  if (!said.credentials.empty())
    one.http.authorization =
        connect::http::AuthorizationConfig{.type = said.authorization_type, .credentials = said.credentials};
  if (!said.oauth2_client_id.empty())
    one.http.oauth2 = connect::http::OAuth2Config{.client_id = said.oauth2_client_id,
                                                  .client_secret = said.oauth2_client_secret,
                                                  .token_url = said.oauth2_token_url,
                                                  .scopes = said.oauth2_scopes};
  std::vector<model::RelabelConfig> rules;
  for (const DeclaredRelabel& rule : one.declared_relabel) {
    const auto action = model::parse_relabel_action(rule.action);
    if (!action) return wrong(one, fmt::format("write_relabel_configs: there is no action {}", rule.action));
    rules.push_back({.source_labels = rule.source_labels,
                     .separator = rule.separator,
                     .regex = rule.regex,
                     .modulus = static_cast<std::uint64_t>(rule.modulus),
                     .target_label = rule.target_label,
                     .replacement = rule.replacement,
                     .action = *action});
  }
  auto compiled = model::Relabeller::compile(rules, model::NameScheme::kUtf8);
  if (!compiled) return wrong(one, fmt::format("write_relabel_configs: {}", compiled.error().message()));
  one.relabel = std::move(*compiled);
  return {};
}

}  // namespace

bool Destination::sends_v2() const {
  return protobuf_message == model::remote_write::kProtoV2;
}

void declare(model::config::Schema& schema, ShipSettings& settings) {
  schema.section("ship", "What leaves this host by itself.");
  schema.list(
      "ship.remote_write", settings.remote_write,
      "Receivers of Prometheus remote write. Each gets every sample that the store takes: collected, scraped, "
      "received, "
      "and those of rules. What waits for one is on disk.",
      [](model::config::Schema& item, Destination& one) {
        item.text("url", one.url, "Where to: the full URL of the receiver.")
            .shown_by(shown_url)
            .example("https://metrics.example.org/api/v1/write");
        item.text("name", one.name,
                  "Names the destination in metrics and its queue in ship/ of the data directory; made of the URL when "
                  "empty.");
        item.duration_ms("remote_timeout", one.timeout_ms, "How long the receiver may take to answer.", 1'000, kDayMs);
        item.text("protobuf_message", one.protobuf_message,
                  "prometheus.WriteRequest (remote write 1.0) or io.prometheus.write.v2.Request (2.0).");
        item.flag("send_exemplars", one.send_exemplars, "Whether exemplars are sent.");
        item.flag("send_native_histograms", one.send_native_histograms, "Whether native histograms are sent.");
        item.text_map("headers", one.headers, "Further headers of each request, such as a tenant's.");
        item.text("basic_auth.username", one.declared.user, "A user of the receiver.");
        item.secret("basic_auth.password", one.declared.password, "That user's password.");
        item.text("authorization.type", one.declared.authorization_type, "What stands before the credentials.");
        item.secret("authorization.credentials", one.declared.credentials, "A token of the receiver.");
        item.text("tls_config.ca_file", one.declared.tls.ca_file,
                  "Authorities that may have signed the receiver's certificate, as PEM; the system's when empty.");
        item.text("tls_config.cert_file", one.declared.tls.cert_file,
                  "A certificate of this host, for receivers that ask for one.");
        item.text("tls_config.key_file", one.declared.tls.key_file, "That certificate's private key, as PEM.");
        item.text("tls_config.server_name", one.declared.tls.server_name,
                  "What the receiver's certificate must name, where that is not the host of the URL.");
        item.flag("tls_config.insecure_skip_verify", one.declared.tls.insecure_skip_verify,
                  "Take any certificate of the receiver: whoever is on the way can read along.");
        item.text("oauth2.client_id", one.declared.oauth2_client_id,
                  "Who asks the authority of OAuth 2.0 for a token.");
        item.secret("oauth2.client_secret", one.declared.oauth2_client_secret, "What proves it.");
        item.text("oauth2.token_url", one.declared.oauth2_token_url, "Where the token is asked for.")
            .shown_by(shown_url);
        item.strings("oauth2.scopes", one.declared.oauth2_scopes, "What the token is to be good for.");
        item.text("proxy_url", one.declared.proxy_url, "A proxy on the way.").shown_by(shown_url);
        item.list("write_relabel_configs", one.declared_relabel,
                  "Rules that rewrite or drop series on their way to this destination, as Prometheus has them.",
                  [](model::config::Schema& rule, DeclaredRelabel& made) {
                    rule.strings("source_labels", made.source_labels, "Labels whose values are looked at.");
                    rule.text("separator", made.separator, "What stands between those values.");
                    rule.text("regex", made.regex, "What they are to match.");
                    rule.integer("modulus", made.modulus, "Of hashmod.", 0, std::numeric_limits<std::int64_t>::max());
                    rule.text("target_label", made.target_label, "The label that is written.");
                    rule.text("replacement", made.replacement, "What is written.");
                    rule.text("action", made.action, "replace, keep, drop, labeldrop and the others of Prometheus.");
                  });
        item.bytes("queue_bytes", one.queue_bytes,
                   "How much may wait on disk while the receiver is away; what comes when it is full is not sent.",
                   kQueueBytesMin);
        item.integer("queue_config.min_shards", one.queue.min_shards, "Requests at once, at least.", 1, kShardsMax);
        item.integer("queue_config.max_shards", one.queue.max_shards,
                     "Requests at once, at most. Each series is always in one of them, in order.", 1, kShardsMax);
        item.integer("queue_config.max_samples_per_send", one.queue.max_samples_per_send, "Samples of one request.", 1,
                     kSamplesPerSendMax);
        item.duration_ms("queue_config.batch_send_deadline", one.queue.batch_send_deadline_ms,
                         "How long samples are gathered for a full request.", 0, kDayMs);
        item.duration_ms("queue_config.min_backoff", one.queue.min_backoff_ms,
                         "The first wait after a request that failed; each further one is twice as long.", 1, kDayMs);
        item.duration_ms("queue_config.max_backoff", one.queue.max_backoff_ms, "The longest such wait.", 1, kDayMs);
        item.flag("metadata_config.send", one.metadata.send, "Whether the receiver is told what metric families are.");
        item.duration_ms("metadata_config.send_interval", one.metadata.send_interval_ms, "How often it is told.", 1'000,
                         kDayMs);
      });
  schema.check("ship.remote_write",
               [&settings] { return complete(settings.remote_write, DestinationSource::kOwnFile); });
}

base::Status complete(std::vector<Destination>& destinations, DestinationSource source) {
  std::set<std::string> names;
  for (Destination& one : destinations) {
    QD_TRY(check(one, source));
    if (source == DestinationSource::kOwnFile) QD_TRY(make_http(one));
    if (one.name.empty()) one.name = fmt::format("{:08x}", hash(one.url));
    // Prometheus takes any name.
    if (source == DestinationSource::kPrometheusFile && !names_a_directory(one.name))
      one.name = fmt::format("{:08x}", hash(one.name));
    if (!names_a_directory(one.name))
      return wrong(one, fmt::format("a name has letters, digits, '-', '_' and '.', up to {}: \"{}\" has others",
                                    kNameBytesMax, one.name));
    if (!names.insert(one.name).second)
      return wrong(one, fmt::format("there are two destinations of the name {}: give each its own", one.name));
  }
  return {};
}

}  // namespace qd::ship::remote_write
