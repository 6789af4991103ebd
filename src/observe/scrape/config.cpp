#include "observe/scrape/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "base/strings.h"
#include "model/config/node.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using model::config::Node;

namespace {

namespace fs = std::filesystem;

// What Prometheus reads and this release does not.
constexpr std::array kUnsupportedInFile = {
    "alerting", "remote_write", "remote_read", "storage", "tracing", "otlp", "scrape_config_files", "runtime",
};
constexpr std::array kUnsupportedInGlobal = {
    "query_log_file", "scrape_failure_log_file", "rule_query_offset", "runtime", "scrape_protocols",
};
constexpr std::array kUnsupportedInJob = {
    "relabel_configs",
    "metric_relabel_configs",
    "oauth2",
    "proxy_url",
    "proxy_from_environment",
    "no_proxy",
    "proxy_connect_header",
    "http_headers",
    "scrape_protocols",
    "fallback_scrape_protocol",
    "scrape_failure_log_file",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "azure_sd_configs",
    "aws_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "file_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
};
constexpr std::array kUnsupportedInTls = {"ca",       "cert",    "key",         "ca_ref",
                                          "cert_ref", "key_ref", "min_version", "max_version"};
constexpr std::array kUnsupportedInAuth = {"username_ref", "password_ref", "credentials_ref"};
// Allowed where they ask for what is done anyway.
constexpr std::array kOffOnly = {
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "scrape_classic_histograms",
    "scrape_native_histograms",
    "extra_scrape_metrics",
};

// $$, $NAME and ${NAME}, as Prometheus expands external labels; what is not set is empty.
std::string expand_environment(std::string_view text) {
  const auto named = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string out;
  while (true) {
    const std::size_t dollar = text.find('$');
    out.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) return out;
    text.remove_prefix(dollar + 1);
    std::string_view name;
    std::size_t used = 0;
    if (text.starts_with('{')) {
      used = std::min(text.find('}'), text.size());
      name = text.substr(1, used - 1);
      used = std::min(used + 1, text.size());
    } else {
      while (used < text.size() && named(text[used])) ++used;
      name = text.substr(0, used);
    }
    if (text.starts_with('$') || used == 0) {
      // "$$", or a dollar that begins no name.
      out.push_back('$');
      if (text.starts_with('$')) used = 1;
    } else if (const char* const value = std::getenv(std::string(name).c_str())) {
      out.append(value);
    }
    text.remove_prefix(used);
  }
}

class Reader {
 public:
  explicit Reader(const fs::path& file) : dir_(file.parent_path()) {}

  base::Result<PrometheusFile> read(const Node& root) {
    PrometheusFile out;
    const Node* global = nullptr;
    const Node* jobs = nullptr;
    mapping(root, "the Prometheus file",
            {{"global", [&](const Node& n) { global = &n; }},
             {"rule_files", [&](const Node& n) { rule_files(n, out.rule_files); }},
             {"scrape_configs", [&](const Node& n) { jobs = &n; }}},
            kUnsupportedInFile);
    // Jobs take their defaults from global, wherever it stands.
    read_global(global, out.global);
    if (jobs != nullptr) read_jobs(*jobs, out);
    if (errors_.empty()) return out;
    std::string message;
    for (const std::string& error : errors_) message.append(message.empty() ? "" : "\n").append(error);
    return base::fail(ErrorCode::kInvalid, std::move(message));
  }

 private:
  using Take = std::function<void(const Node&)>;
  using Keys = std::map<std::string, Take>;

  void fault(const Node& node, const std::string& what) {
    if (errors_.size() < kErrorsShown) {
      errors_.push_back(node.error(what).message());
    } else if (errors_.size() == kErrorsShown) {
      errors_.push_back("there are more errors");
    }
  }

  template <typename T>
  void put(base::Result<T> value, T& into) {
    if (value) {
      into = std::move(*value);
    } else if (errors_.size() < kErrorsShown) {
      errors_.push_back(value.error().message());
    }
  }
  Take text(std::string& into) {
    return [this, &into](const Node& n) { put(n.as_string(), into); };
  }
  Take flag(bool& into) {
    return [this, &into](const Node& n) { put(n.as_bool(), into); };
  }
  Take duration(std::int64_t& into) {
    return [this, &into](const Node& n) { put(n.as_duration_ms(), into); };
  }
  Take number(std::uint64_t& into) {
    return [this, &into](const Node& n) {
      std::int64_t value = 0;
      put(n.as_int(), value);
      if (value < 0) return fault(n, "a limit is not negative");
      into = static_cast<std::uint64_t>(value);
    };
  }
  Take path(std::string& into) {
    return [this, &into](const Node& n) {
      put(n.as_string(), into);
      into = resolve(into);
    };
  }
  std::string resolve(const std::string& name) const {
    if (name.empty() || fs::path(name).is_absolute()) return name;
    return (dir_ / name).string();
  }

  void mapping(const Node& node, const std::string& what, const Keys& keys, std::span<const char* const> unsupported) {
    if (node.is_null()) return;
    if (!node.is_mapping()) return fault(node, what + " is a mapping, but here stands " + describe(node));
    for (const Node::Entry& entry : node.entries()) {
      const std::string& key = entry.key.text();
      if (const auto known = keys.find(key); known != keys.end()) {
        if (!entry.value.is_null()) known->second(entry.value);
      } else if (std::ranges::find(unsupported, key) != unsupported.end()) {
        if (!is_empty(entry.value)) fault(entry.key, key + " is not supported in this release");
      } else {
        std::vector<std::string> candidates(unsupported.begin(), unsupported.end());
        for (const auto& [name, take] : keys) candidates.push_back(name);
        const auto near = base::nearest(key, candidates);
        fault(entry.key, "unknown key " + key + " in " + what + (near ? "; did you mean " + *near + "?" : ""));
      }
    }
  }
  static bool is_empty(const Node& node) {
    return node.is_null() || (node.is_sequence() && node.items().empty()) ||
           (node.is_mapping() && node.entries().empty());
  }
  void each(const Node& node, const std::string& what, const Take& take) {
    if (!node.is_sequence()) return fault(node, what + " is a list, but here stands " + describe(node));
    for (const Node& item : node.items()) take(item);
  }
  void texts(const Node& node, const std::string& what, std::vector<std::string>& into) {
    each(node, what, [&](const Node& item) { text(into.emplace_back())(item); });
  }
  void labels(const Node& node, const std::string& what, std::map<std::string, std::string>& into, bool expand) {
    if (!node.is_mapping()) return fault(node, what + " is a mapping, but here stands " + describe(node));
    for (const Node::Entry& entry : node.entries()) {
      const std::string& name = entry.key.text();
      if (name.empty() || !base::valid_utf8(name)) {
        fault(entry.key, "\"" + name + "\" is not a label name");
        continue;
      }
      std::string value;
      text(value)(entry.value);
      into[name] = expand ? expand_environment(value) : value;
    }
  }

  void rule_files(const Node& node, std::vector<std::string>& into) {
    each(node, "rule_files", [&](const Node& item) {
      std::string name;
      text(name)(item);
      const std::size_t star = name.find('*');
      if (star != std::string::npos && name.find('/', star) != std::string::npos) {
        return fault(item, "a rule file pattern has * in its last part only");
      }
      if (!name.empty()) into.push_back(resolve(name));
    });
  }

  void add_limits(Keys& keys, ScrapeLimits& limits) {
    keys["sample_limit"] = number(limits.sample_limit);
    keys["target_limit"] = number(limits.target_limit);
    keys["label_limit"] = number(limits.label_limit);
    keys["label_name_length_limit"] = number(limits.label_name_length_limit);
    keys["label_value_length_limit"] = number(limits.label_value_length_limit);
    keys["body_size_limit"] = [this, &limits](const Node& n) { put(n.as_bytes(), limits.body_size_limit_bytes); };
    // Targets are only dropped by relabelling.
    keys["keep_dropped_targets"] = [this](const Node& n) {
      std::uint64_t ignored = 0;
      number(ignored)(n);
    };
    keys["metric_name_validation_scheme"] = only("utf8");
    keys["metric_name_escaping_scheme"] = only("allow-utf-8");
    for (const char* const key : kOffOnly) {
      keys[key] = [this, key](const Node& n) {
        bool on = false;
        flag(on)(n);
        if (on) fault(n, std::string(key) + " is not supported in this release");
      };
    }
  }
  Take only(const std::string& value) {
    return [this, value](const Node& n) {
      std::string given;
      text(given)(n);
      if (given != value && !given.empty()) {
        fault(n, "\"" + given + "\" is not supported in this release; \"" + value + "\" is");
      }
    };
  }

  void read_global(const Node* node, GlobalConfig& global) {
    std::int64_t timeout_ms = 0;
    if (node != nullptr) {
      Keys keys = {
          {"scrape_interval", duration(global.scrape_interval_ms)},
          {"scrape_timeout", duration(timeout_ms)},
          {"evaluation_interval", duration(global.evaluation_interval_ms)},
          {"external_labels", [&](const Node& n) { labels(n, "external_labels", global.external_labels, true); }}};
      add_limits(keys, global.limits);
      mapping(*node, "global", keys, kUnsupportedInGlobal);
    }
    if (global.scrape_interval_ms == 0) global.scrape_interval_ms = GlobalConfig().scrape_interval_ms;
    if (global.evaluation_interval_ms == 0) global.evaluation_interval_ms = GlobalConfig().evaluation_interval_ms;
    if (timeout_ms > global.scrape_interval_ms) {
      fault(*node, "the global scrape_timeout is longer than the global scrape_interval");
    }
    global.scrape_timeout_ms =
        timeout_ms != 0 ? timeout_ms : std::min(GlobalConfig().scrape_timeout_ms, global.scrape_interval_ms);
  }

  void read_jobs(const Node& node, PrometheusFile& out) {
    std::set<std::string> names;
    each(node, "scrape_configs", [&](const Node& item) {
      if (item.is_null()) return fault(item, "a scrape config is empty");
      ScrapeConfig job = read_job(item, out.global);
      if (!job.job_name.empty() && !names.insert(job.job_name).second) {
        fault(item, "there are two scrape configs with the job_name \"" + job.job_name + "\"");
      }
      out.scrape_configs.push_back(std::move(job));
    });
  }

  ScrapeConfig read_job(const Node& node, const GlobalConfig& global) {
    ScrapeConfig job;
    job.interval_ms = 0;
    job.timeout_ms = 0;
    bool http2 = true;
    std::string bearer_token;
    std::string bearer_token_file;
    Keys keys = {
        {"job_name", text(job.job_name)},
        {"scrape_interval", duration(job.interval_ms)},
        {"scrape_timeout", duration(job.timeout_ms)},
        {"metrics_path", text(job.metrics_path)},
        {"scheme", text(job.scheme)},
        {"params", [&](const Node& n) { params(n, job.params); }},
        {"honor_labels", flag(job.honor_labels)},
        {"honor_timestamps", flag(job.honor_timestamps)},
        {"track_timestamps_staleness", flag(job.track_timestamps_staleness)},
        {"follow_redirects", flag(job.follow_redirects)},
        {"enable_compression", flag(job.enable_compression)},
        {"enable_http2", flag(http2)},
        {"basic_auth", [&](const Node& n) { job.basic_auth = basic_auth(n); }},
        {"authorization", [&](const Node& n) { job.authorization = authorization(n); }},
        {"bearer_token", text(bearer_token)},
        {"bearer_token_file", path(bearer_token_file)},
        {"tls_config", [&](const Node& n) { tls(n, job.tls); }},
        {"static_configs",
         [&](const Node& n) {
           each(n, "static_configs", [&](const Node& item) { job.static_configs.push_back(static_group(item)); });
         }},
    };
    add_limits(keys, job.limits);
    mapping(node, "a scrape config", keys, kUnsupportedInJob);

    if (job.job_name.empty()) fault(node, "a scrape config has no job_name");
    if (job.scheme != "http" && job.scheme != "https") fault(node, "scheme is http or https, not " + job.scheme);
    take_intervals(node, global, job);
    take_bearer(node, bearer_token, bearer_token_file, job);
    take_global_limits(global.limits, job.limits);
    return job;
  }

  void take_intervals(const Node& node, const GlobalConfig& global, ScrapeConfig& job) {
    if (job.interval_ms == 0) job.interval_ms = global.scrape_interval_ms;
    if (job.timeout_ms > job.interval_ms) {
      fault(node, "scrape_timeout is longer than scrape_interval in the scrape config \"" + job.job_name + "\"");
    }
    if (job.timeout_ms == 0) job.timeout_ms = std::min(global.scrape_timeout_ms, job.interval_ms);
  }

  void take_bearer(const Node& node, const std::string& token, const std::string& file, ScrapeConfig& job) {
    const bool bearer = !token.empty() || !file.empty();
    if (!token.empty() && !file.empty()) fault(node, "at most one of bearer_token and bearer_token_file is given");
    if (bearer + job.basic_auth.has_value() + job.authorization.has_value() > 1) {
      fault(node, "at most one of basic_auth, authorization and bearer_token is given");
    }
    if (bearer) job.authorization = {.type = "Bearer", .credentials = token, .credentials_file = file};
  }

  static void take_global_limits(const ScrapeLimits& global, ScrapeLimits& job) {
    for (const auto limit : {&ScrapeLimits::sample_limit, &ScrapeLimits::target_limit, &ScrapeLimits::label_limit,
                             &ScrapeLimits::label_name_length_limit, &ScrapeLimits::label_value_length_limit,
                             &ScrapeLimits::body_size_limit_bytes}) {
      if (job.*limit == 0) job.*limit = global.*limit;
    }
  }

  void params(const Node& node, std::map<std::string, std::vector<std::string>>& into) {
    if (!node.is_mapping()) return fault(node, "params is a mapping of names to lists of values");
    for (const Node::Entry& entry : node.entries()) texts(entry.value, "a parameter", into[entry.key.text()]);
  }

  BasicAuthConfig basic_auth(const Node& node) {
    BasicAuthConfig auth;
    mapping(node, "basic_auth",
            {{"username", text(auth.username)},
             {"username_file", path(auth.username_file)},
             {"password", text(auth.password)},
             {"password_file", path(auth.password_file)}},
            kUnsupportedInAuth);
    if (!auth.username.empty() && !auth.username_file.empty()) {
      fault(node, "at most one of username and username_file is given");
    }
    if (!auth.password.empty() && !auth.password_file.empty()) {
      fault(node, "at most one of password and password_file is given");
    }
    return auth;
  }

  AuthorizationConfig authorization(const Node& node) {
    AuthorizationConfig auth;
    mapping(node, "authorization",
            {{"type", text(auth.type)},
             {"credentials", text(auth.credentials)},
             {"credentials_file", path(auth.credentials_file)}},
            kUnsupportedInAuth);
    auth.type = base::trim(auth.type);
    if (auth.type.empty()) auth.type = "Bearer";
    if (auth.type.size() == 5 && (auth.type[0] | 0x20) == 'b' && auth.type.substr(1) == "asic") {
      fault(node, "authorization is not for basic authentication; write basic_auth");
    }
    if (!auth.credentials.empty() && !auth.credentials_file.empty()) {
      fault(node, "at most one of credentials and credentials_file is given");
    }
    return auth;
  }

  void tls(const Node& node, TlsConfig& config) {
    mapping(node, "tls_config",
            {{"ca_file", path(config.ca_file)},
             {"cert_file", path(config.cert_file)},
             {"key_file", path(config.key_file)},
             {"server_name", text(config.server_name)},
             {"insecure_skip_verify", flag(config.insecure_skip_verify)}},
            kUnsupportedInTls);
    if (config.cert_file.empty() != config.key_file.empty()) fault(node, "cert_file and key_file go together");
  }

  StaticGroup static_group(const Node& node) {
    StaticGroup group;
    if (node.is_null()) fault(node, "a static config is empty");
    mapping(node, "a static config",
            {{"targets",
              [&](const Node& n) {
                each(n, "targets", [&](const Node& item) {
                  std::string& target = group.targets.emplace_back();
                  text(target)(item);
                  if (const auto address = check_address(target); !address) fault(item, address.error().message());
                });
              }},
             {"labels", [&](const Node& n) { labels(n, "labels", group.labels, false); }}},
            {});
    return group;
  }

  static constexpr std::size_t kErrorsShown = 50;

  const fs::path dir_;
  std::vector<std::string> errors_;
};

}  // namespace

base::Status check_address(std::string_view address) {
  const auto wrong = [&](std::string_view why) {
    return base::fail(base::ErrorCode::kInvalid,
                      "\"" + std::string(address) + "\" is not a target: " + std::string(why));
  };
  if (address.empty()) return base::fail(base::ErrorCode::kInvalid, "a target is empty; write host:port");
  // What would change the meaning of the URL.
  if (address.find_first_of("/?#@ \t\r\n\\") != std::string_view::npos)
    return wrong("write host:port without scheme and path (there are `scheme` and `metrics_path`)");
  std::string_view host = address;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto bracket = host.find(']');
    if (bracket == std::string_view::npos) return wrong("its ] is missing; write [IPV6]:port");
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
    if (!port.empty() && !port.starts_with(':')) return wrong("write [IPV6]:port");
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    if (host.find(':', colon + 1) != std::string_view::npos) return wrong("write an IPv6 address as [IPV6]:port");
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (host.empty()) return wrong("it has no host; write host:port");
  if (port.empty()) return {};
  std::uint16_t number = 0;
  const char* const end = port.data() + port.size();
  const auto read = std::from_chars(port.data() + 1, end, number);
  if (read.ec != std::errc() || read.ptr != end || number == 0) return wrong("a port is a number from 1 to 65535");
  return {};
}

base::Result<PrometheusFile> parse_prometheus_file(std::string_view text, const fs::path& file) {
  QD_ASSIGN(const Node root, model::config::parse_yaml(text, file.string()));
  return Reader(file).read(root);
}

base::Result<PrometheusFile> load_prometheus_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(model::config::kYamlBytesMax + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  std::error_code ignored;
  if (!in.is_open() || in.bad() || fs::is_directory(file, ignored)) {
    return base::fail(ErrorCode::kNotFound, "reading " + file.string() + " failed; is it there and readable?");
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return parse_prometheus_file(text, file);
}

}  // namespace qd::observe::scrape
