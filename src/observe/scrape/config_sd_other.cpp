// Discoveries that Prometheus has and this release does not: their files are accepted where Prometheus accepts them,
// and what is missing is told.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/strings.h"
#include "observe/scrape/config_http.h"
#include "observe/scrape/config_sd.h"

namespace qd::observe::scrape {

namespace {

using Node = Reader::Node;
using Keys = Reader::Keys;

struct OtherSd {
  const char* name;
  const char* keys;  // separated by blanks
  const char* required;
  const char* choice = "";  // "key value value…": the values that it may have
  bool http = true;
};

// Source: prometheus.io/docs/prometheus/latest/configuration/configuration.
constexpr OtherSd kOthers[] = {
    {.name = "aws",
     .keys = "role region access_key secret_key profile role_arn external_id port refresh_interval filters clusters "
             "endpoint request_concurrency",
     .required = "role",
     .choice = "role ec2 ecs lightsail msk elasticache rds"},
    {.name = "azure",
     .keys = "environment port subscription_id tenant_id client_id client_secret refresh_interval "
             "authentication_method resource_group",
     .required = "subscription_id",
     .choice = "authentication_method OAuth ManagedIdentity SDK WorkloadIdentity"},
    {.name = "consul",
     .keys = "server path_prefix token datacenter namespace partition tag_separator scheme username password "
             "allow_stale refresh_interval services tags node_meta filter health_filter",
     .required = ""},
    {.name = "digitalocean", .keys = "port refresh_interval", .required = ""},
    {.name = "ec2",
     .keys = "endpoint region access_key secret_key profile role_arn external_id port refresh_interval filters",
     .required = ""},
    {.name = "eureka", .keys = "server refresh_interval", .required = "server"},
    {.name = "gce",
     .keys = "project zone filter refresh_interval port tag_separator",
     .required = "project zone",
     .http = false},
    {.name = "hetzner",
     .keys = "role refresh_interval port label_selector",
     .required = "role",
     .choice = "role hcloud robot"},
    {.name = "ionos", .keys = "datacenter_id port refresh_interval", .required = "datacenter_id"},
    {.name = "kuma", .keys = "server refresh_interval client_id fetch_timeout", .required = "server"},
    {.name = "lightsail",
     .keys = "endpoint region access_key secret_key profile role_arn external_id port refresh_interval",
     .required = ""},
    {.name = "linode", .keys = "refresh_interval port tag_separator region", .required = ""},
    {.name = "marathon", .keys = "servers refresh_interval auth_token auth_token_file", .required = "servers"},
    {.name = "nerve", .keys = "servers paths timeout", .required = "servers paths", .http = false},
    {.name = "nomad",
     .keys = "allow_stale namespace refresh_interval region server tag_separator",
     .required = "server"},
    {.name = "oci",
     .keys = "region tenancy user fingerprint key_file key_passphrase compartments port refresh_interval "
             "authentication_method role",
     .required = ""},
    {.name = "openstack",
     .keys = "identity_endpoint username userid password project_name project_id domain_name domain_id "
             "application_credential_name application_credential_id application_credential_secret role region "
             "refresh_interval port all_tenants tls_config availability",
     .required = "role region",
     .choice = "role hypervisor instance loadbalancer",
     .http = false},
    {.name = "outscale", .keys = "region endpoint access_key secret_key port refresh_interval", .required = ""},
    {.name = "ovhcloud",
     .keys = "endpoint application_key application_secret consumer_key refresh_interval service",
     .required = "application_key application_secret consumer_key service",
     .choice = "service vps dedicated_server",
     .http = false},
    {.name = "puppetdb", .keys = "url query include_parameters refresh_interval port", .required = "url query"},
    {.name = "scaleway",
     .keys = "project_id api_url zone access_key secret_key secret_key_file name_filter tags_filter refresh_interval "
             "port role",
     .required = "role project_id access_key",
     .choice = "role instance baremetal"},
    {.name = "serverset", .keys = "servers paths timeout", .required = "servers paths", .http = false},
    {.name = "stackit",
     .keys = "project endpoint region service_account_key service_account_key_path private_key private_key_path "
             "credentials_file_path port refresh_interval",
     .required = "project"},
    {.name = "triton",
     .keys = "account role dns_suffix endpoint groups port refresh_interval tls_config version",
     .required = "account dns_suffix endpoint",
     .choice = "role container cn",
     .http = false},
    {.name = "uyuni",
     .keys = "server username password entitlement separator refresh_interval",
     .required = "server username password"},
    {.name = "vultr", .keys = "port refresh_interval", .required = ""},
};

bool is_empty(const Node* node) {
  return node == nullptr || node->is_null() || (node->is_scalar() && node->text().empty()) ||
         (node->is_sequence() && node->items().empty());
}

bool has(const Node& node, std::string_view key) {
  return !is_empty(node.find(key));
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (const std::string_view word : base::split(text, ' ')) {
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

// What no table says.
void check_special(Reader& reader, const Node& node, std::string_view name) {
  if (name == "azure") {
    const Node* const method = node.find("authentication_method");
    if (is_empty(method) || method->text() == "OAuth") {
      for (const char* const key : {"tenant_id", "client_id", "client_secret"}) {
        if (!has(node, key)) reader.fault(node, fmt::format("an azure_sd config has no {}", key));
      }
    }
  }
  if (name == "marathon") {
    if (has(node, "auth_token") && has(node, "auth_token_file"))
      reader.fault(node, "at most one of auth_token and auth_token_file is given");
    const bool token = has(node, "auth_token") || has(node, "auth_token_file");
    for (const char* const key : {"bearer_token", "bearer_token_file", "authorization", "basic_auth", "oauth2"}) {
      if (token && has(node, key)) reader.fault(node, fmt::format("at most one of auth_token and {} is given", key));
    }
  }
  if (name == "puppetdb" && has(node, "url")) {
    if (const auto valid = check_http_url(node.find("url")->text()); !valid)
      reader.fault(node, valid.error().message());
  }
  if (name == "stackit" && has(node, "endpoint")) {
    if (const auto valid = check_http_url(node.find("endpoint")->text()); !valid)
      reader.fault(node, valid.error().message());
  }
  if (name == "scaleway" && has(node, "secret_key") == has(node, "secret_key_file"))
    reader.fault(node, "a scaleway_sd config has one of secret_key and secret_key_file");
  if (const Node* const filters = node.find("filters"); filters != nullptr && filters->is_sequence()) {
    for (const Node& filter : filters->items()) {
      if (filter.is_mapping() && !has(filter, "values")) reader.fault(filter, "a filter has no values");
    }
  }
}

void check_other(Reader& reader, const Node& node, const OtherSd& sd) {
  const std::string what = fmt::format("a {}_sd config", sd.name);
  if (node.is_null()) return reader.fault(node, what + " is empty");
  connect::http::HttpConfig config;
  HttpFields http(reader, config);
  Keys keys;
  if (sd.http) http.add_to(keys);
  for (const std::string_view key : words(sd.keys)) keys[std::string(key)] = reader.any();
  std::int64_t refresh_ms = 0;
  std::uint16_t port = 0;
  if (keys.contains("refresh_interval")) keys["refresh_interval"] = reader.duration(refresh_ms);
  if (keys.contains("port")) keys["port"] = reader.port(port);
  connect::http::TlsConfig tls;
  if (!sd.http && keys.contains("tls_config")) keys["tls_config"] = [&](const Node& n) { read_tls(reader, n, tls); };
  reader.mapping(node, what, keys);
  http.finish(node);
  if (!node.is_mapping()) return;
  for (const std::string_view key : words(sd.required)) {
    if (!has(node, key)) reader.fault(node, fmt::format("{} has no {}", what, key));
  }
  if (const auto choice = words(sd.choice); !choice.empty() && has(node, choice.front())) {
    const std::string& given = node.find(choice.front())->text();
    if (std::ranges::find(choice.begin() + 1, choice.end(), given) == choice.end())
      reader.fault(node, fmt::format("{} has no {} \"{}\"", what, choice.front(), given));
  }
  check_special(reader, node, sd.name);
}

}  // namespace

void add_other_sd_keys(Reader& reader, Keys& keys) {
  for (const OtherSd& sd : kOthers) {
    const std::string key = fmt::format("{}_sd_configs", sd.name);
    keys[key] = [&reader, &sd, key](const Node& n) {
      reader.each(n, key, [&](const Node& item) { check_other(reader, item, sd); });
      if (!is_empty(&n))
        reader.warn(n, key + " is not built in this release: the targets that it would find are not there");
    };
  }
}

}  // namespace qd::observe::scrape
