#include "observe/scrape/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/temp_directory.h"

namespace qd::observe::scrape {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

base::Result<PrometheusFile> parse(std::string_view text) {
  return parse_prometheus_file(text, "/etc/prometheus/prometheus.yml");
}

std::string error_of(std::string_view text) {
  const auto file = parse(text);
  return file ? "accepted" : file.error().message();
}

TEST(PrometheusFileTest, reads_a_whole_file) {
  const auto file = parse(R"(
global:
  scrape_interval: 15s
  evaluation_interval: 30s
  sample_limit: 1000
  series_limit: 5000
  external_labels:
    site: here
rule_files:
  - rules/*.yml
  - /abs/first.rules
alerting:
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ['localhost:9100', "other:9100"]
        labels: {env: prod}
  - job_name: app
    scrape_interval: 1m
    scrape_timeout: 20s
    metrics_path: /probe
    scheme: https
    params: {module: [a, b]}
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    follow_redirects: false
    enable_http2: true
    basic_auth: {username: u, password_file: secret}
    sample_limit: 5
    series_limit: 70
    body_size_limit: 10MB
    tls_config: {ca_file: ca.pem, insecure_skip_verify: true}
    relabel_configs: []
  - job_name: token
    bearer_token: t
    scrape_interval: 5s
)");
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->global.scrape_interval_ms, 15'000);
  EXPECT_EQ(file->global.scrape_timeout_ms, 10'000);
  EXPECT_EQ(file->global.evaluation_interval_ms, 30'000);
  EXPECT_EQ(file->global.external_labels.at("site"), "here");
  EXPECT_THAT(file->rule_files, ElementsAre("/etc/prometheus/rules/*.yml", "/abs/first.rules"));
  ASSERT_EQ(file->scrape_configs.size(), 3U);

  const ScrapeConfig& node = file->scrape_configs[0];
  EXPECT_EQ(node.interval_ms, 15'000);
  EXPECT_EQ(node.timeout_ms, 10'000);
  EXPECT_EQ(node.metrics_path, "/metrics");
  EXPECT_TRUE(node.honor_timestamps);
  EXPECT_EQ(node.limits.sample_limit, 1000U);
  EXPECT_EQ(node.limits.series_limit, 5000U);
  EXPECT_THAT(node.static_configs.at(0).targets, ElementsAre("localhost:9100", "other:9100"));
  EXPECT_EQ(node.static_configs.at(0).labels.at("env"), "prod");

  const ScrapeConfig& app = file->scrape_configs[1];
  EXPECT_EQ(app.timeout_ms, 20'000);
  EXPECT_EQ(app.scheme, "https");
  EXPECT_THAT(app.params.at("module"), ElementsAre("a", "b"));
  EXPECT_TRUE(app.honor_labels && app.track_timestamps_staleness && !app.honor_timestamps);
  EXPECT_FALSE(app.http.follow_redirects);
  EXPECT_EQ(app.http.basic_auth->password_file, "/etc/prometheus/secret");
  EXPECT_EQ(app.limits.sample_limit, 5U);
  EXPECT_EQ(app.limits.series_limit, 70U);
  EXPECT_EQ(app.limits.body_size_limit_bytes, 10U << 20);
  EXPECT_EQ(app.http.tls.ca_file, "/etc/prometheus/ca.pem");

  const ScrapeConfig& token = file->scrape_configs[2];
  EXPECT_EQ(token.http.authorization, (AuthorizationConfig{.type = "Bearer", .credentials = "t"}));
  EXPECT_EQ(token.timeout_ms, 5'000);
}

TEST(PrometheusFileTest, an_empty_file_has_the_defaults_of_prometheus) {
  const auto file = parse("");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->global.scrape_interval_ms, 60'000);
  EXPECT_EQ(file->global.evaluation_interval_ms, 60'000);
  EXPECT_TRUE(file->scrape_configs.empty());
  EXPECT_EQ(parse("global:\n  scrape_interval: 4s\n")->global.scrape_timeout_ms, 4'000);
}

TEST(PrometheusFileTest, reads_how_a_job_is_found_scraped_and_relabelled) {
  const auto file = parse(R"(
global:
  scrape_protocols: [PrometheusText0.0.4]
  keep_dropped_targets: 7
scrape_configs:
  - job_name: all
    scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]
    fallback_scrape_protocol: PrometheusText0.0.4
    scrape_native_histograms: true
    native_histogram_bucket_limit: 100
    extra_scrape_metrics: true
    metric_name_validation_scheme: legacy
    oauth2: {client_id: i, client_secret_file: s, token_url: 'http://t/', scopes: [a]}
    proxy_url: http://p:1
    no_proxy: localhost
    http_headers: {X-A: {values: [v], secrets: [s], files: [f]}}
    tls_config: {min_version: TLS13}
    file_sd_configs:
      - files: [targets/*.json, /abs/x.yml]
        refresh_interval: 1m
    http_sd_configs: [{url: 'http://sd/'}]
    dns_sd_configs: [{names: [a.example], type: a, port: 9100}]
    docker_sd_configs: [{host: 'unix:///var/run/docker.sock', filters: [{name: status, values: [running]}]}]
    dockerswarm_sd_configs: [{host: 'tcp://h:2375', role: tasks}]
    kubernetes_sd_configs: [{role: pod, namespaces: {names: [n]}}]
    consul_sd_configs: [{server: 'c:8500'}]
    relabel_configs:
      - {source_labels: [__address__], regex: '(.*):\d+', target_label: host, replacement: '$1'}
      - {regex: , replacement: static, target_label: abc}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: go_.*, action: Drop}
  - job_name: plain
)");
  ASSERT_TRUE(file) << file.error().message();
  const ScrapeConfig& job = file->scrape_configs[0];
  EXPECT_THAT(job.format.scrape_protocols,
              ElementsAre(ScrapeProtocol::kPrometheusProto, ScrapeProtocol::kOpenMetricsText1_0_0));
  EXPECT_EQ(job.fallback_protocol, ScrapeProtocol::kPrometheusText0_0_4);
  EXPECT_TRUE(job.format.scrape_native_histograms && job.format.extra_scrape_metrics);
  EXPECT_EQ(job.format.name_scheme, model::NameScheme::kLegacy);
  EXPECT_EQ(job.format.name_escaping, NameEscaping::kUnderscores);
  EXPECT_EQ(job.http.oauth2->client_secret_file, "/etc/prometheus/s");
  EXPECT_EQ(job.http.proxy.url, "http://p:1");
  EXPECT_THAT(job.http.headers.at(0).values, ElementsAre("v", "s"));
  EXPECT_THAT(job.http.headers.at(0).files, ElementsAre("/etc/prometheus/f"));
  EXPECT_EQ(job.http.tls.min_version, connect::TlsVersion::kTls13);
  ASSERT_EQ(job.sd_configs.size(), 6U);
  EXPECT_EQ(job.limits.keep_dropped_targets, 7U);
  for (const auto& sd : job.sd_configs) {
    if (const auto* const files = std::get_if<sd::FileSdConfig>(&sd)) {
      EXPECT_THAT(files->files, ElementsAre("/etc/prometheus/targets/*.json", "/abs/x.yml"));
      EXPECT_EQ(files->refresh_interval_ms, 60'000);
    }
    if (const auto* const dns = std::get_if<sd::DnsSdConfig>(&sd)) {
      EXPECT_EQ(dns->type, "A");
      EXPECT_EQ(dns->port, 9100);
    }
  }
  EXPECT_EQ(job.relabel_configs.at(0).regex, "(.*):\\d+");
  EXPECT_EQ(job.relabel_configs.at(1).regex, "");
  EXPECT_EQ(job.metric_relabel_configs.at(0).action, model::RelabelAction::kDrop);
  EXPECT_THAT(file->scrape_configs[1].format.scrape_protocols, ElementsAre(ScrapeProtocol::kPrometheusText0_0_4));
  // What is not built is told, and the rest of the file holds.
  ASSERT_EQ(file->warnings.size(), 1U);
  EXPECT_THAT(file->warnings[0], HasSubstr("consul_sd_configs is not built in this release"));
  EXPECT_THAT(file->warnings[0], HasSubstr("prometheus.yml:2"));
}

TEST(PrometheusFileTest, reads_jobs_of_other_files) {
  const base::TempDirectory dir;
  fs::create_directories(dir.path() / "more");
  std::ofstream(dir.path() / "more/a.yml") << "scrape_configs:\n  - job_name: a\n    bearer_token_file: t\n";
  std::ofstream(dir.path() / "more/b.yml") << "scrape_configs:\n  - job_name: b\n";
  const std::string main = "scrape_config_files: ['more/*.yml']\nscrape_configs:\n  - job_name: ";
  const auto file = parse_prometheus_file(main + "c\n", dir.path() / "p.yml");
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ(file->scrape_configs.size(), 3U);
  EXPECT_EQ(file->scrape_configs[1].http.authorization->credentials_file, (dir.path() / "more/t").string());
  EXPECT_THAT(file->files, ElementsAre((dir.path() / "p.yml").string(), (dir.path() / "more/*.yml").string()));
  const auto twice = parse_prometheus_file(main + "b\n", dir.path() / "p.yml");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message(), HasSubstr("two scrape configs"));
  EXPECT_THAT(twice.error().message(), HasSubstr("more/b.yml:2"));
  std::ofstream(dir.path() / "more/b.yml") << "global: {}\n";
  EXPECT_FALSE(parse_prometheus_file(main + "c\n", dir.path() / "p.yml"));
}

TEST(PrometheusFileTest, reads_where_alerts_and_samples_go) {
  const auto file = parse(R"(
alerting:
  alert_relabel_configs: [{action: labeldrop, regex: replica}]
  alertmanagers:
    - scheme: https
      path_prefix: /am
      static_configs: [{targets: ['am:9093']}]
      file_sd_configs: [{files: [am.json]}]
remote_write:
  - {url: 'http://r/', name: one, protobuf_message: io.prometheus.write.v2.Request, headers: {X-T: t}}
)");
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ(file->alerting.alertmanagers.size(), 1U);
  const AlertmanagerConfig& am = file->alerting.alertmanagers[0];
  EXPECT_EQ(am.path_prefix, "/am");
  EXPECT_THAT(am.static_configs.at(0).targets, ElementsAre("am:9093"));
  EXPECT_EQ(am.sd_configs.size(), 1U);
  EXPECT_EQ(file->alerting.alert_relabel_configs.at(0).regex, "replica");
  EXPECT_TRUE(file->remote_write.at(0).version_2);
  EXPECT_EQ(file->remote_write.at(0).headers.at("X-T"), "t");
}

TEST(PrometheusFileTest, refuses_what_prometheus_refuses) {
  const std::string job = "scrape_configs:\n  - job_name: a\n";
  EXPECT_THAT(error_of("globl:\n  x: 1\n"), HasSubstr("did you mean global?"));
  EXPECT_THAT(error_of(job + "    scrap_interval: 1s\n"), HasSubstr("did you mean scrape_interval?"));
  EXPECT_THAT(error_of("scrape_configs:\n  - static_configs: []\n"), HasSubstr("no job_name"));
  EXPECT_THAT(error_of(job + "  - job_name: a\n"), HasSubstr("two scrape configs"));
  EXPECT_THAT(error_of("scrape_configs:\n  -\n"), HasSubstr("is empty"));
  EXPECT_THAT(error_of(job + "    scrape_interval: 5s\n    scrape_timeout: 6s\n"), HasSubstr("longer than"));
  EXPECT_THAT(error_of("global: {scrape_interval: 5s, scrape_timeout: 6s}\n"), HasSubstr("longer than"));
  EXPECT_THAT(error_of(job + "    scheme: ftp\n"), HasSubstr("http or https"));
  EXPECT_THAT(error_of(job + "    sample_limit: -1\n"), HasSubstr("not negative"));
  EXPECT_THAT(error_of(job + "    bearer_token: x\n    basic_auth: {username: u}\n"), HasSubstr("at most one of"));
  EXPECT_THAT(error_of(job + "    bearer_token: x\n    bearer_token_file: y\n"), HasSubstr("at most one of"));
  EXPECT_THAT(error_of(job + "    authorization: {type: Basic}\n"), HasSubstr("write basic_auth"));
  EXPECT_THAT(error_of(job + "    basic_auth: {username: u, password: p, password_file: f}\n"),
              HasSubstr("at most one of password"));
  EXPECT_THAT(error_of(job + "    tls_config: {cert_file: c}\n"), HasSubstr("go together"));
  EXPECT_THAT(error_of(job + "    static_configs:\n      - targets: ['http://h:1']\n"), HasSubstr("without scheme"));
  EXPECT_THAT(error_of(job + "    static_configs: {targets: [a]}\n"), HasSubstr("is a list"));
  EXPECT_THAT(error_of("rule_files: ['a/*/b.yml']\n"), HasSubstr("last part"));
  EXPECT_THAT(error_of("- a\n"), HasSubstr("is a mapping"));
  EXPECT_THAT(error_of(job + "    oauth2: {client_id: a}\n"), HasSubstr("oauth2 has no token_url"));
  EXPECT_THAT(error_of(job + "    no_proxy: a\n"), HasSubstr("no_proxy goes with proxy_url"));
  EXPECT_THAT(error_of(job + "    http_headers: {Host: {values: [a]}}\n"), HasSubstr("cannot be set"));
  EXPECT_THAT(error_of(job + "    dns_sd_configs: [{names: [a], type: A}]\n"), HasSubstr("needs a port"));
  EXPECT_THAT(error_of(job + "    file_sd_configs: [{files: ['a/*/b.json']}]\n"), HasSubstr("no path of file_sd"));
  EXPECT_THAT(error_of(job + "    docker_sd_configs: [{host: /var/run}]\n"), HasSubstr("no host of an engine"));
}

TEST(PrometheusFileTest, expands_the_environment_in_external_labels) {
  ::setenv("QD_TEST_SITE", "berlin", 1);
  const auto file =
      parse("global:\n  external_labels: {a: '${QD_TEST_SITE}-$QD_TEST_SITE', b: '$$x $', c: '${QD_TEST_NO}'}\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->global.external_labels.at("a"), "berlin-berlin");
  EXPECT_EQ(file->global.external_labels.at("b"), "$x $");
  EXPECT_EQ(file->global.external_labels.at("c"), "");
}

// Files that one of them names and that are not there with it.
void add_missing(const fs::path& dir) {
  const fs::path named = dir / "scrape_config_files.good.yml";
  if (fs::exists(named)) return;
  std::ofstream(named) << "scrape_configs:\n  - job_name: prometheus\n    static_configs: [{targets: ['h:1']}]\n";
}

TEST(PrometheusFileTest, agrees_with_the_public_conformance_files) {
  const fs::path given = fs::path(QD_SOURCE_DIR) / "../shared/conformance/prometheus-config";
  if (!fs::exists(given)) GTEST_SKIP() << "no conformance data at " << given;
  const base::TempDirectory dir;
  fs::copy(given, dir.path(), fs::copy_options::recursive);
  add_missing(dir.path());
  int cases = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
    const std::string name = entry.path().filename().string();
    const bool bad = name.ends_with(".bad.yml");
    if (!bad && !name.ends_with(".good.yml")) continue;
    ++cases;
    const auto file = load_prometheus_file(entry.path());
    if (bad) {
      EXPECT_FALSE(file) << name;
    } else {
      EXPECT_TRUE(file) << name << ": " << file.error().message();
    }
  }
  EXPECT_GT(cases, 100);
}

}  // namespace
}  // namespace qd::observe::scrape
