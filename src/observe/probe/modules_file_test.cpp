#include "observe/probe/modules_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_directory.h"
#include "observe/probe/config.h"

namespace qd::observe::probe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Modules parsed(std::string_view text) {
  const auto modules = parse_modules(text, "blackbox.yml");
  EXPECT_TRUE(modules) << modules.error().message();
  return modules ? **modules : Modules();
}

std::string refusal(std::string_view text) {
  const auto modules = parse_modules(text, "blackbox.yml");
  EXPECT_FALSE(modules);
  return modules ? "" : modules.error().message();
}

// Of one module.
std::string refusal_of(const std::string& module) {
  return refusal("modules: {m: " + module + "}");
}

TEST(ModulesFile, the_modules_of_the_exporter_are_there_without_a_file) {
  const auto modules = default_modules();
  for (const char* name : {"http_2xx", "http_post_2xx", "tcp_connect", "pop3s_banner", "grpc", "grpc_plain",
                           "ssh_banner", "irc_banner", "icmp", "icmp_ttl5", "dns_udp", "dns_tcp"})
    EXPECT_TRUE(modules->contains(name)) << name;
  EXPECT_EQ(modules->at("http_post_2xx").http.method, "POST");
  EXPECT_TRUE(modules->at("pop3s_banner").tcp.tls.enabled);
  EXPECT_TRUE(modules->at("pop3s_banner").tcp.dialogue.at(0).expect.matches("+OK ready"));
  EXPECT_EQ(modules->at("icmp_ttl5").icmp.ttl, 5);
  EXPECT_EQ(modules->at("icmp_ttl5").timeout_ms, 5000);
  EXPECT_FALSE(modules->at("grpc").grpc.ip.prefer_v6);
  EXPECT_EQ(modules->at("irc_banner").tcp.dialogue.at(2).send, "PONG ${1}");
}

TEST(ModulesFile, every_key_is_read) {
  const auto modules = parsed(R"yaml(
modules:
  web:
    prober: http
    timeout: 5s
    http:
      valid_status_codes: [200, 301]
      valid_http_versions: ["HTTP/1.1", "HTTP/2.0"]
      preferred_ip_protocol: ip4
      ip_protocol_fallback: false
      follow_redirects: false
      fail_if_ssl: false
      fail_if_not_ssl: true
      method: PUT
      headers: {Host: example.com, X-Two: "2"}
      body: "hello"
      fail_if_body_matches_regexp: [Error]
      fail_if_body_not_matches_regexp: [OK, "^a"]
      fail_if_header_matches: [{header: Set-Cookie, allow_missing: true, regexp: ".*"}]
      fail_if_header_not_matches: [{header: Access, regexp: "[*]"}]
      tls_config: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, server_name: a.example, insecure_skip_verify: true, min_version: TLS10, max_version: TLS12}
      basic_auth: {username: u, password: geheim}
      proxy_url: "http://proxy:3128"
      no_proxy: "a,b"
      skip_resolve_phase_with_proxy: true
      enable_http2: false
      compression: gzip
      body_size_limit: 10MB
  talk:
    prober: tcp
    tcp:
      source_ip_address: 127.0.0.2
      query_response:
        - expect: "^220 (.*)$"
          labels: [{name: banner, value: "${1}"}]
        - send: STARTTLS
          starttls: true
  names:
    prober: dns
    dns:
      transport_protocol: tcp
      dns_over_tls: true
      query_name: example.com
      query_type: SOA
      query_class: CH
      recursion_desired: false
      valid_rcodes: [NOERROR, NXDOMAIN]
      validate_answer_rrs: {fail_if_matches_regexp: [a], fail_if_all_match_regexp: [b], fail_if_not_matches_regexp: [c], fail_if_none_matches_regexp: [d]}
      validate_authority_rrs: {fail_if_matches_regexp: [e]}
      validate_additional_rrs: {fail_if_matches_regexp: [f]}
  echo:
    prober: icmp
    icmp: {payload_size: 100, ttl: 3, dont_fragment: true, source_ip_address: "::1"}
  health:
    prober: grpc
    grpc: {service: s, tls: true, metadata: {x-a: b}}
)yaml");
  const auto& web = modules.at("web").http;
  EXPECT_THAT(web.valid_status_codes, ElementsAre(200, 301));
  EXPECT_FALSE(web.ip.prefer_v6 || web.ip.fallback || web.follow_redirects || web.http2);
  EXPECT_EQ(web.headers.at("Host"), "example.com");
  EXPECT_EQ(web.fail_if_body_not_matches.size(), 2U);
  EXPECT_TRUE(web.fail_if_header_matches.at(0).allow_missing);
  EXPECT_TRUE(web.fail_if_header_not_matches.at(0).regexp.matches("*"));
  EXPECT_EQ(web.tls.server_name, "a.example");
  EXPECT_EQ(web.tls.min_version, connect::TlsVersion::kTls10);
  EXPECT_EQ(web.tls.max_version, connect::TlsVersion::kTls12);
  EXPECT_EQ(web.basic_auth->password, "geheim");
  EXPECT_EQ(web.body_bytes_max, 10U << 20);
  EXPECT_EQ(modules.at("web").timeout_ms, 5000);
  EXPECT_THAT(modules.at("web").shown, AllOf(HasSubstr("<secret>"), HasSubstr("follow_redirects: false")));
  EXPECT_THAT(modules.at("web").shown, Not(HasSubstr("geheim")));
  const auto& talk = modules.at("talk").tcp;
  EXPECT_EQ(talk.dialogue.at(0).labels.at(0).second, "${1}");
  EXPECT_TRUE(talk.dialogue.at(1).start_tls);
  const auto& names = modules.at("names").dns;
  EXPECT_EQ(names.query_type, 6);
  EXPECT_EQ(names.query_class, 3);
  EXPECT_THAT(names.valid_rcodes, ElementsAre(0, 3));
  EXPECT_EQ(names.answer.fail_if_none_matches.at(0).text(), "d");
  EXPECT_EQ(names.additional.fail_if_matches.at(0).text(), "f");
  EXPECT_EQ(modules.at("echo").icmp.payload_bytes, 100U);
  EXPECT_EQ(modules.at("health").grpc.metadata.at("x-a"), "b");
}

TEST(ModulesFile, what_is_shown_has_no_secret) {
  const auto modules = parsed(R"yaml(
modules:
  a: {prober: http, http: {proxy_url: "http://me:gehei/m@geheim@proxy:3128", headers: {Authorization: Bearer geheim}}}
  b: {prober: http, http: {proxy_url: "http://proxy:3128", authorization: {type: Token, credentials: geheim}}}
  c: {prober: grpc, grpc: {metadata: {x-token: geheim}, service: health}}
)yaml");
  EXPECT_THAT(modules.at("a").shown, AllOf(HasSubstr("http://<secret>@proxy:3128"), HasSubstr("Authorization")));
  EXPECT_THAT(modules.at("b").shown, AllOf(HasSubstr("http://proxy:3128"), HasSubstr("Token")));
  EXPECT_THAT(modules.at("c").shown, AllOf(HasSubstr("x-token"), HasSubstr("service: health")));
  for (const auto& [name, module] : modules) EXPECT_THAT(module.shown, Not(HasSubstr("gehei"))) << name;
  EXPECT_EQ(modules.at("a").http.headers.at("Authorization"), "Bearer geheim");
}

TEST(ModulesFile, older_and_other_ways_to_write_the_same_are_known) {
  const auto modules = parsed(R"yaml(
modules:
  a: {prober: http, http: {no_follow_redirects: true, bearer_token: t}}
  b: {prober: http, http: {authorization: {credentials: t}}}
  c: {prober: http, http: , tcp: {tls: true}}
  d: {prober: dns, dns: {query_name: x, dns_over_tls: true}}
)yaml");
  EXPECT_FALSE(modules.at("a").http.follow_redirects);
  EXPECT_EQ(modules.at("a").http.authorization, "t");
  EXPECT_EQ(modules.at("b").http.authorization_type, "Bearer");
  EXPECT_EQ(modules.at("d").dns.transport, connect::DnsTransport::kTcp);
}

TEST(ModulesFile, what_is_not_supported_is_refused_by_name_and_place) {
  EXPECT_THAT(refusal("modules:\n  m:\n    prober: http\n    http:\n      oauth2: {client_id: x}\n"),
              AllOf(HasSubstr("blackbox.yml:5"), HasSubstr("oauth2 is not supported")));
  for (const char* key :
       {"http_headers: {a: {values: [b]}}", "proxy_from_environment: true", "fail_if_body_json_matches_cel: x",
        "enable_http3: true", "proxy_connect_header: {a: [b]}", "tls_config: {ca: x}"})
    EXPECT_THAT(refusal_of("{prober: http, http: {" + std::string(key) + "}}"), HasSubstr("is not supported")) << key;
  EXPECT_THAT(refusal_of("{prober: tcp, tcp: {query_response: [{expect_bytes: x}]}}"),
              HasSubstr("expect_bytes is not supported"));
  // Asking for nothing is fine.
  EXPECT_TRUE(parse_modules("modules: {m: {prober: http, http: {proxy_from_environment: false}}}", "x"));
}

TEST(ModulesFile, faults_are_found_with_their_place) {
  EXPECT_THAT(refusal("modules:\n  m:\n    prober: http\n    http:\n      fail_if_sll: true\n"),
              AllOf(HasSubstr("blackbox.yml:5"), HasSubstr("fail_if_ssl")));
  EXPECT_THAT(refusal("module: {}"), HasSubstr("modules"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("prober"));
  EXPECT_THAT(refusal_of("{prober: ftp}"), HasSubstr("ftp"));
  EXPECT_THAT(refusal_of("{prober: http, http: {fail_if_body_matches_regexp: [\"(\"]}}"),
              HasSubstr("regular expression"));
  EXPECT_THAT(refusal_of("{prober: http, http: {fail_if_header_matches: [{header: a}]}}"), HasSubstr("regexp"));
  EXPECT_THAT(refusal_of("{prober: http, http: {valid_status_codes: [ok]}}"), HasSubstr("HTTP status"));
  EXPECT_THAT(refusal_of("{prober: http, http: {bearer_token: a, basic_auth: {username: b}}}"),
              HasSubstr("at most one"));
  EXPECT_THAT(refusal_of("{prober: http, http: {tls_config: {cert_file: a}}}"), HasSubstr("key_file"));
  EXPECT_THAT(refusal_of("{prober: http, http: {tls_config: {min_version: TLS13, max_version: TLS12}}}"),
              HasSubstr("newer"));
  EXPECT_THAT(refusal_of("{prober: dns, dns: {query_type: A}}"), HasSubstr("query_name"));
  EXPECT_THAT(refusal_of("{prober: dns, dns: {query_name: a, query_type: AB}}"), HasSubstr("AB"));
  EXPECT_THAT(refusal_of("{prober: dns, dns: {query_name: a, valid_rcodes: [x]}}"), HasSubstr("response code"));
  EXPECT_THAT(refusal_of("{prober: dns, dns: {query_name: a..b}}"), HasSubstr("empty part"));
  EXPECT_THAT(refusal_of("{prober: dns, dns: {query_name: a, dns_over_tls: true, transport_protocol: udp}}"),
              HasSubstr("tcp"));
  EXPECT_THAT(refusal_of("{prober: icmp, icmp: {ttl: 256}}"), HasSubstr("ttl"));
  EXPECT_THAT(refusal_of("{prober: tcp, tcp: {query_response: [{expect: a, labels: [{name: \"a b\", value: c}]}]}}"),
              HasSubstr("label name"));
}

TEST(ProbeSettings, a_target_shows_no_password) {
  const auto loaded = [](const std::string& target) {
    ProbeSettings settings;
    model::config::Schema schema;
    declare(schema, settings);
    return schema.load({.sets = {"observe.blackbox.targets=[{target: \"" + target + "\"}]"}});
  };
  EXPECT_TRUE(loaded("https://example.com/@x?y=a@b"));
  EXPECT_TRUE(loaded("example.com:80"));
  for (const char* target : {"https://user:geheim@example.com/", "user:geheim@example.com", ""}) {
    const auto status = loaded(target);
    ASSERT_FALSE(status) << target;
    EXPECT_THAT(status.error().message(), Not(HasSubstr("geheim")));
  }
}

TEST(ProbeSettings, targets_are_given_their_modules) {
  base::PosixFiles files;
  ProbeSettings settings;
  settings.targets = {{.target = "http://x/"}, {.target = "x", .module_name = "icmp"}};
  ASSERT_TRUE(load(settings, files));
  EXPECT_EQ(settings.targets[1].module.prober, Prober::kIcmp);
  settings.targets[1].module_name = "icpm";
  EXPECT_THAT(load(settings, files).error().message(), AllOf(HasSubstr("targets[1]"), HasSubstr("did you mean icmp")));
  settings.targets[1] = settings.targets[0];
  EXPECT_THAT(load(settings, files).error().message(), HasSubstr("already"));
  settings.targets.clear();
  const base::TempDirectory dir;
  settings.modules_file = (dir.path() / "none.yml").string();
  EXPECT_THAT(load(settings, files).error().message(), HasSubstr("none.yml"));
}

}  // namespace
}  // namespace qd::observe::probe
