#include "observe/scrape/config_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "connect/http/message.h"
#include "observe/scrape/config_http.h"
#include "observe/scrape/config_sd.h"

namespace qd::observe::scrape {

namespace {

using Node = Reader::Node;
using Keys = Reader::Keys;

void check_headers(Reader& reader, const Node& node, const std::map<std::string, std::string>& headers) {
  for (const auto& [name, value] : headers) {
    if (connect::http::equal_ignoring_case(name, "authorization")) {
      reader.fault(node, "the header authorization is set by basic_auth, authorization or oauth2");
    } else if (reserved_header(name)) {
      reader.fault(node, fmt::format("the header {} cannot be changed", name));
    }
  }
}

void read_queue(Reader& reader, const Node& node, RemoteWriteQueue& queue) {
  std::uint64_t capacity = 10'000;
  std::int64_t ms = 0;
  bool flag = false;
  reader.mapping(node, "queue_config",
                 {{"capacity", reader.number(capacity)},
                  {"max_shards", reader.number(queue.max_shards)},
                  {"min_shards", reader.number(queue.min_shards)},
                  {"max_samples_per_send", reader.number(queue.max_samples_per_send)},
                  {"batch_send_deadline", reader.duration(queue.batch_send_deadline_ms)},
                  {"min_backoff", reader.duration(queue.min_backoff_ms)},
                  {"max_backoff", reader.duration(queue.max_backoff_ms)},
                  {"sample_age_limit", reader.duration(ms)},
                  {"retry_on_http_429", reader.flag(flag)}});
  if (capacity == 0) reader.fault(node, "the capacity of a queue_config is above zero");
  if (queue.max_shards == 0) reader.fault(node, "max_shards is above zero");
  if (queue.min_shards == 0) reader.fault(node, "min_shards is above zero");
  if (queue.max_samples_per_send == 0) reader.fault(node, "max_samples_per_send is above zero");
  if (queue.min_shards > queue.max_shards) reader.fault(node, "min_shards is more than max_shards");
  if (queue.min_backoff_ms > queue.max_backoff_ms) reader.fault(node, "min_backoff is more than max_backoff");
}

void read_metadata(Reader& reader, const Node& node, RemoteWriteQueue& queue) {
  std::uint64_t samples = 0;
  reader.mapping(node, "metadata_config",
                 {{"send", reader.flag(queue.send_metadata)},
                  {"send_interval", reader.duration(queue.metadata_interval_ms)},
                  {"max_samples_per_send", reader.number(samples)}});
}

RemoteWriteConfig remote_write(Reader& reader, const Node& node, const GlobalConfig& global) {
  RemoteWriteConfig config;
  HttpFields http(reader, config.http);
  std::string message;
  bool flag = false;
  Keys keys = {
      {"url", reader.text(config.url)},
      {"name", reader.text(config.name)},
      {"remote_timeout", reader.interval(config.timeout_ms)},
      {"headers", reader.text_map("headers", config.headers)},
      {"protobuf_message", reader.choice(message, {"prometheus.WriteRequest", "io.prometheus.write.v2.Request"})},
      {"send_exemplars", reader.flag(config.send_exemplars)},
      {"send_native_histograms", reader.flag(config.send_native_histograms)},
      {"round_robin_dns", reader.flag(flag)},
      {"write_relabel_configs",
       reader.relabel_configs("write_relabel_configs", config.write_relabel_configs, global.format.name_scheme)},
      {"queue_config", [&](const Node& n) { read_queue(reader, n, config.queue); }},
      {"metadata_config", [&](const Node& n) { read_metadata(reader, n, config.queue); }},
      {"sigv4", reader.any()},
      {"azuread", reader.any()},
      {"google_iam", reader.any()},
  };
  http.add_to(keys);
  reader.mapping(node, "a remote_write config", keys);
  http.finish(node);
  check_headers(reader, node, config.headers);
  if (config.url.empty()) reader.fault(node, "a remote_write config has no url");
  config.version_2 = message.ends_with(".v2.Request");
  if (node.is_mapping()) {
    for (const char* const key : {"sigv4", "azuread", "google_iam"}) {
      if (node.find(key) != nullptr)
        reader.warn(node, fmt::format("{} is not built in this release: requests go without it", key));
    }
  }
  return config;
}

AlertmanagerConfig alertmanager(Reader& reader, const Node& node, const GlobalConfig& global) {
  AlertmanagerConfig config;
  HttpFields http(reader, config.http);
  std::string version = "v2";
  Keys keys = {
      {"scheme", reader.choice(config.scheme, {"http", "https"})},
      {"path_prefix", reader.text(config.path_prefix)},
      {"timeout", reader.interval(config.timeout_ms)},
      {"api_version", reader.choice(version, {"v1", "v2"})},
      {"sigv4", reader.any()},
      {"relabel_configs", reader.relabel_configs("relabel_configs", config.relabel_configs, global.format.name_scheme)},
      {"alert_relabel_configs",
       reader.relabel_configs("alert_relabel_configs", config.alert_relabel_configs, global.format.name_scheme)},
  };
  http.add_to(keys);
  add_sd_keys(reader, keys, config.static_configs, config.sd_configs);
  reader.mapping(node, "an Alertmanager config", keys);
  http.finish(node);
  if (node.is_mapping() && node.find("sigv4") != nullptr)
    reader.warn(node, "sigv4 is not built in this release: alerts go without it");
  if (version == "v1")
    reader.fault(node, "the API v1 of Alertmanager is gone since its release 0.27; write api_version: v2");
  if (config.relabel_configs.empty()) check_static_targets(reader, node);
  return config;
}

void check_read_config(Reader& reader, const Node& node, std::set<std::string>& names) {
  if (node.is_null()) return reader.fault(node, "a remote_read config is empty");
  connect::http::HttpConfig config;
  HttpFields http(reader, config);
  std::string url;
  std::string name;
  std::int64_t timeout_ms = 0;
  bool flag = false;
  std::map<std::string, std::string> headers;
  std::map<std::string, std::string> matchers;
  std::uint64_t chunks = 0;
  Keys keys = {
      {"url", reader.text(url)},
      {"name", reader.text(name)},
      {"remote_timeout", reader.interval(timeout_ms)},
      {"headers", reader.text_map("headers", headers)},
      {"read_recent", reader.flag(flag)},
      {"filter_external_labels", reader.flag(flag)},
      {"chunked_read_limit", reader.number(chunks)},
      {"required_matchers", [&](const Node& n) { reader.labels(n, "required_matchers", matchers, false); }},
  };
  http.add_to(keys);
  reader.mapping(node, "a remote_read config", keys);
  http.finish(node);
  check_headers(reader, node, headers);
  if (url.empty()) reader.fault(node, "a remote_read config has no url");
  if (!name.empty() && !names.insert(name).second)
    reader.fault(node, fmt::format("there are two remote_read configs with the name {}", base::quote(name)));
}

void not_used(Reader& reader, const Node& node, std::string_view section, std::string_view instead) {
  reader.warn(node, fmt::format("{} is read and not used: {}", section, instead));
}

}  // namespace

void read_alerting(Reader& reader, const Node& node, const GlobalConfig& global, AlertingConfig& into) {
  reader.mapping(node, "alerting",
                 {{"alert_relabel_configs", reader.relabel_configs("alert_relabel_configs", into.alert_relabel_configs,
                                                                   global.format.name_scheme)},
                  {"alertmanagers", [&](const Node& n) {
                     reader.each(n, "alertmanagers", [&](const Node& item) {
                       if (item.is_null()) return reader.fault(item, "an Alertmanager config is empty");
                       into.alertmanagers.push_back(alertmanager(reader, item, global));
                     });
                   }}});
}

void read_remote_write(Reader& reader, const Node& node, const GlobalConfig& global,
                       std::vector<RemoteWriteConfig>& into) {
  std::set<std::string> names;
  reader.each(node, "remote_write", [&](const Node& item) {
    if (item.is_null()) return reader.fault(item, "a remote_write config is empty");
    into.push_back(remote_write(reader, item, global));
    const std::string& name = into.back().name;
    if (!name.empty() && !names.insert(name).second)
      reader.fault(item, fmt::format("there are two remote_write configs with the name {}", base::quote(name)));
  });
}

void check_remote_read(Reader& reader, const Node& node) {
  std::set<std::string> names;
  reader.each(node, "remote_read", [&](const Node& item) { check_read_config(reader, item, names); });
  if (node.is_sequence() && !node.items().empty())
    not_used(reader, node, "remote_read", "queries see what is stored here");
}

void check_storage(Reader& reader, const Node& node) {
  std::int64_t ms = 0;
  std::uint64_t bytes = 0;
  double percentage = 0;
  double threshold = 0;
  std::string floats;
  std::uint64_t exemplars = 0;
  const auto real = [&](double& into) -> Reader::Take {
    return [&](const Node& n) { reader.put(n.as_double(), into); };
  };
  const auto retention = [&](const Node& n) {
    reader.mapping(n, "retention",
                   {{"time", reader.duration(ms)},
                    {"size", [&](const Node& size) { reader.put(size.as_bytes(), bytes); }},
                    {"percentage", real(percentage)}});
    if (percentage < 0 || percentage > 100) reader.fault(n, "the percentage of retention is from 0 to 100");
  };
  reader.mapping(
      node, "storage",
      {{"tsdb",
        [&](const Node& n) {
          reader.mapping(n, "tsdb",
                         {{"out_of_order_time_window", reader.duration(ms)},
                          {"stale_series_compaction_threshold", real(threshold)},
                          {"retention", retention},
                          {"chunk_encoding", [&](const Node& e) {
                             reader.mapping(e, "chunk_encoding", {{"floats", reader.choice(floats, {"xor", "xor2"})}});
                           }}});
        }},
       {"exemplars",
        [&](const Node& n) { reader.mapping(n, "exemplars", {{"max_exemplars", reader.number(exemplars)}}); }}});
  if (node.is_mapping() && !node.entries().empty())
    not_used(reader, node, "storage", "store.metrics of quarterdeck.yaml says how samples are kept");
}

void check_tracing(Reader& reader, const Node& node) {
  std::string endpoint;
  std::string type;
  std::string compression;
  double fraction = 0;
  bool insecure = false;
  std::int64_t ms = 0;
  std::map<std::string, std::string> headers;
  connect::http::TlsConfig tls;
  reader.mapping(node, "tracing",
                 {{"endpoint", reader.text(endpoint)},
                  {"client_type", reader.choice(type, {"grpc", "http"})},
                  {"sampling_fraction", [&](const Node& n) { reader.put(n.as_double(), fraction); }},
                  {"insecure", reader.flag(insecure)},
                  {"tls_config", [&](const Node& n) { read_tls(reader, n, tls); }},
                  {"headers", reader.text_map("headers", headers)},
                  {"compression", reader.choice(compression, {"gzip"})},
                  {"timeout", reader.duration(ms)}});
  if (!node.is_mapping()) return;
  if (endpoint.empty()) reader.fault(node, "tracing has no endpoint");
  check_headers(reader, node, headers);
  not_used(reader, node, "tracing", "no traces are sent");
}

void check_otlp(Reader& reader, const Node& node, const GlobalConfig& global) {
  std::vector<std::string> promoted;
  std::vector<std::string> ignored;
  std::string strategy;
  bool all = false;
  bool flag = false;
  reader.mapping(node, "otlp",
                 {{"promote_resource_attributes", reader.texts("promote_resource_attributes", promoted)},
                  {"promote_all_resource_attributes", reader.flag(all)},
                  {"ignore_resource_attributes", reader.texts("ignore_resource_attributes", ignored)},
                  {"translation_strategy",
                   reader.choice(strategy, {"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
                                            "NoUTF8EscapingWithSuffixes", "NoTranslation"})},
                  {"keep_identifying_resource_attributes", reader.flag(flag)},
                  {"convert_histograms_to_nhcb", reader.flag(flag)},
                  {"promote_scope_metadata", reader.flag(flag)},
                  {"label_name_underscore_sanitization", reader.flag(flag)},
                  {"label_name_preserve_multiple_underscores", reader.flag(flag)}});
  for (const auto& [name, list] :
       {std::pair("promote_resource_attributes", &promoted), std::pair("ignore_resource_attributes", &ignored)}) {
    std::set<std::string> seen;
    for (const std::string& attribute : *list) {
      const std::string trimmed(base::trim(attribute));
      if (trimmed.empty()) reader.fault(node, fmt::format("there is an empty attribute in {}", name));
      if (!seen.insert(trimmed).second) reader.fault(node, fmt::format("{} stands twice in {}", trimmed, name));
    }
  }
  if (all && !promoted.empty())
    reader.fault(node, "at most one of promote_all_resource_attributes and promote_resource_attributes is given");
  if (!all && !ignored.empty())
    reader.fault(node, "ignore_resource_attributes goes with promote_all_resource_attributes");
  if (global.format.name_scheme == model::NameScheme::kLegacy &&
      (strategy == "NoUTF8EscapingWithSuffixes" || strategy == "NoTranslation")) {
    reader.fault(node,
                 fmt::format("the translation_strategy {} needs the metric_name_validation_scheme utf8", strategy));
  }
  if (node.is_mapping() && !node.entries().empty())
    not_used(reader, node, "otlp", "OTLP metrics are taken with the defaults");
}

void check_runtime(Reader& reader, const Node& node) {
  std::uint64_t percent = 0;
  reader.mapping(node, "runtime", {{"gogc", reader.number(percent)}});
}

}  // namespace qd::observe::scrape
