#include "observe/scrape/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

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
  EXPECT_THAT(node.static_configs.at(0).targets, ElementsAre("localhost:9100", "other:9100"));
  EXPECT_EQ(node.static_configs.at(0).labels.at("env"), "prod");

  const ScrapeConfig& app = file->scrape_configs[1];
  EXPECT_EQ(app.timeout_ms, 20'000);
  EXPECT_EQ(app.scheme, "https");
  EXPECT_THAT(app.params.at("module"), ElementsAre("a", "b"));
  EXPECT_TRUE(app.honor_labels && app.track_timestamps_staleness && !app.honor_timestamps && !app.follow_redirects);
  EXPECT_EQ(app.basic_auth->password_file, "/etc/prometheus/secret");
  EXPECT_EQ(app.limits.sample_limit, 5U);
  EXPECT_EQ(app.limits.body_size_limit_bytes, 10U << 20);
  EXPECT_EQ(app.tls.ca_file, "/etc/prometheus/ca.pem");

  const ScrapeConfig& token = file->scrape_configs[2];
  EXPECT_EQ(token.authorization, (AuthorizationConfig{.type = "Bearer", .credentials = "t"}));
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

TEST(PrometheusFileTest, says_of_each_thing_that_is_not_supported_where_it_stands) {
  const std::string errors = error_of(R"(remote_write:
  - url: http://x/
scrape_configs:
  - job_name: a
    relabel_configs:
      - action: drop
    kubernetes_sd_configs:
      - role: pod
)");
  EXPECT_THAT(errors, HasSubstr("/etc/prometheus/prometheus.yml:1:"));
  EXPECT_THAT(errors, HasSubstr("remote_write is not supported in this release\n"));
  EXPECT_THAT(errors, HasSubstr("yml:5:"));
  EXPECT_THAT(errors, HasSubstr("relabel_configs is not supported in this release\n"));
  EXPECT_THAT(errors, HasSubstr("kubernetes_sd_configs is not supported in this release"));
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

TEST(PrometheusFileTest, agrees_with_the_public_conformance_files) {
  const fs::path dir = fs::path(QD_SOURCE_DIR) / "../shared/conformance/prometheus-config";
  if (!fs::exists(dir)) GTEST_SKIP() << "no conformance data at " << dir;
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    const bool bad = name.ends_with(".bad.yml");
    if (!bad && !name.ends_with(".good.yml")) continue;
    // The files that others name, and those that are no configuration of their own.
    if (name == "static_config.bad.yml" || name.starts_with("scrape_config_files")) continue;
    ++cases;
    const auto file = load_prometheus_file(entry.path());
    if (bad) {
      EXPECT_FALSE(file) << name;
    } else if (!file) {
      // Good files are refused only for what this release does not have.
      std::string rest = file.error().message() + "\n";
      for (std::size_t at = 0; at < rest.size();) {
        const std::size_t end = rest.find('\n', at);
        EXPECT_THAT(rest.substr(at, end - at), HasSubstr("not supported in this release")) << name;
        at = end + 1;
      }
    }
  }
  EXPECT_GT(cases, 50);
}

}  // namespace
}  // namespace qd::observe::scrape
