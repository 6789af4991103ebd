#include "observe/probe/prober.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "base/temp_directory.h"
#include "connect/fake_server_for_test.h"
#include "connect/http/http_test_support.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"
#include "observe/probe/modules_file.h"
#include "observe/probe/probe_collector.h"
#include "observe/recording_sink.h"

namespace qd::observe::probe {
namespace {

using connect::FakePeer;
using connect::FakeServer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const base::SystemClock kClock;

// A module, as its file would have it: "{prober: http}".
Module module_of(const std::string& text) {
  const auto modules = parse_modules("modules: {m: " + text + "}", "test");
  EXPECT_TRUE(modules) << modules.error().message();
  return modules ? (*modules)->at("m") : Module();
}

struct Probed : Outcome {
  RecordingSink sink;
  explicit Probed(Outcome outcome) : Outcome(std::move(outcome)) {
    samples.tell(sink);
    EXPECT_THAT(sink.faults(), testing::IsEmpty());
    for (const auto& [name, type] : sink.types()) {
      const auto known = std::ranges::any_of(families(), [&](const auto& family) { return family.name == name; });
      EXPECT_TRUE(known) << name;
    }
    EXPECT_EQ(value("probe_success"), status ? 1 : 0);
  }
  std::optional<double> value(const std::string& key) const { return sink.value(key); }
  std::string why() const { return status ? "" : status.error().message(); }
};

Probed probed(const std::string& module, const std::string& target, std::int64_t timeout_ms = 5000,
              const std::string& hostname = {}) {
  return Probed(probe(module_of(module), {.target = target, .hostname = hostname}, kClock,
                      kClock.monotonic_ns() + timeout_ms * 1'000'000, base::CancelToken(), true));
}

std::string http_response(std::string_view head, std::string_view body = {}) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", head, body.size(), body);
}

// Answers by the path that is asked for; keeps what came.
struct FakeSite {
  std::function<std::string(const std::string& path)> answer;
  base::Mutex mutex;
  std::vector<std::string> requests QD_GUARDED_BY(mutex);  // whole headers
  FakeServer server{[this](FakePeer& peer) {
    std::string line;
    std::string head;
    while (peer.read_line(line) && !line.empty()) head += line + "\n";
    {
      const base::MutexLock lock(mutex);
      requests.push_back(head);
    }
    const auto from = head.find(' ') + 1;
    peer.send(answer(head.substr(from, head.find(' ', from) - from)));
  }};
  std::string url(std::string_view path) const { return fmt::format("http://{}{}", server.address(), path); }
  std::vector<std::string> seen() {
    const base::MutexLock lock(mutex);
    return requests;
  }
};

TEST(HttpProbe, redirects_are_followed_as_the_module_says) {
  FakeSite site{.answer = [](const std::string& path) {
    return path == "/a"   ? http_response("302 Found\r\nLocation: /b")
           : path == "/b" ? http_response("200 OK\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT", "hello")
                          : http_response("301 Moved\r\nLocation: " + path);
  }};
  auto done = probed("{prober: http}", site.url("/a"));
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(done.value("probe_http_status_code"), 200);
  EXPECT_EQ(done.value("probe_http_redirects"), 1);
  EXPECT_EQ(done.value("probe_http_content_length"), 5);
  EXPECT_EQ(done.value("probe_http_uncompressed_body_length"), 5);
  EXPECT_EQ(done.value("probe_http_version"), 1.1);
  EXPECT_EQ(done.value("probe_http_last_modified_timestamp_seconds"), 1445412480);
  EXPECT_EQ(done.value("probe_ip_protocol"), 4);
  EXPECT_EQ(done.value("probe_ip_addr_hash"), 3668918509);
  EXPECT_GT(*done.value("probe_http_duration_seconds{phase=\"connect\"}"), 0);
  EXPECT_THAT(done.journal, HasSubstr("Following redirect"));
  done = probed("{prober: http, http: {follow_redirects: false}}", site.url("/a"));
  EXPECT_EQ(done.value("probe_http_status_code"), 302);
  EXPECT_THAT(done.why(), HasSubstr("302"));
  EXPECT_EQ(probed("{prober: http, http: {follow_redirects: false, valid_status_codes: [302]}}", site.url("/a")).why(),
            "");
  // One that never ends.
  const int before = site.server.connections();
  EXPECT_THAT(probed("{prober: http}", site.url("/loop")).why(), HasSubstr("301"));
  EXPECT_EQ(site.server.connections() - before, 11);
}

TEST(HttpProbe, credentials_stay_with_the_host_that_they_are_for) {
  FakeSite other{.answer = [](const std::string&) { return http_response("200 OK"); }};
  const std::string elsewhere = fmt::format("http://localhost:{}/", other.server.port());
  FakeSite site{.answer = [&](const std::string&) { return http_response("307 Go\r\nLocation: " + elsewhere); }};
  const auto done = probed(
      "{prober: http, http: {preferred_ip_protocol: ip4, basic_auth: {username: u, password: p}, headers: {Cookie: "
      "geheim, Host: a.example, X-One: "
      "\"1\"}}}",
      site.url("/"));
  EXPECT_EQ(done.why(), "");
  ASSERT_EQ(site.seen().size(), 1U);
  EXPECT_THAT(site.seen()[0], AllOf(HasSubstr("Authorization: Basic dTpw\n"), HasSubstr("Cookie: geheim"),
                                    HasSubstr("Host: a.example\n")));
  ASSERT_EQ(other.seen().size(), 1U);
  EXPECT_THAT(other.seen()[0], AllOf(Not(HasSubstr("Authorization")), Not(HasSubstr("geheim")),
                                     Not(HasSubstr("a.example")), HasSubstr("X-One: 1")));
}

TEST(HttpProbe, a_post_that_is_sent_on_becomes_a_get) {
  FakeSite site{.answer = [](const std::string& path) {
    return path == "/a" ? http_response("303 See\r\nLocation: /b") : http_response("200 OK");
  }};
  EXPECT_EQ(probed("{prober: http, http: {method: POST, body: content}}", site.url("/a")).why(), "");
  ASSERT_EQ(site.seen().size(), 2U);
  EXPECT_THAT(site.seen()[0], AllOf(HasSubstr("POST /a "), HasSubstr("Content-Length: 7")));
  EXPECT_THAT(site.seen()[1], AllOf(HasSubstr("GET /b "), Not(HasSubstr("Content-Length"))));
}

TEST(HttpProbe, answers_are_judged) {
  FakeSite site{.answer = [](const std::string& path) {
    return http_response(path == "/500" ? "500 No" : "200 OK\r\nX-One: abc\r\nX-One: def", "all is well");
  }};
  const auto why = [&](const std::string& rules, const std::string& path = "/") {
    const auto done = probed("{prober: http, http: {" + rules + "}}", site.url(path));
    const bool by_regexp = rules.find("regexp") != std::string::npos && path == "/";
    EXPECT_EQ(done.value("probe_failed_due_to_regex"), by_regexp && !done.status ? 1 : 0) << rules;
    return done.why();
  };
  EXPECT_THAT(why("", "/500"), HasSubstr("500"));
  EXPECT_EQ(why("valid_status_codes: [500]", "/500"), "");
  EXPECT_THAT(why("fail_if_body_matches_regexp: [\"w.ll\"]"), HasSubstr("matches"));
  EXPECT_THAT(why("fail_if_body_not_matches_regexp: [all, bad]"), HasSubstr("bad"));
  EXPECT_EQ(why("fail_if_body_not_matches_regexp: [all, well$]"), "");
  EXPECT_THAT(why("fail_if_header_matches: [{header: x-one, regexp: def}]"), HasSubstr("x-one"));
  EXPECT_EQ(why("fail_if_header_matches: [{header: x-one, regexp: ghi}]"), "");
  EXPECT_EQ(why("fail_if_header_not_matches: [{header: x-one, regexp: def}]"), "");
  EXPECT_THAT(why("fail_if_header_not_matches: [{header: x-one, regexp: ghi}]"), HasSubstr("ghi"));
  EXPECT_THAT(why("fail_if_header_matches: [{header: x-two, regexp: x}]"), HasSubstr("missing"));
  EXPECT_EQ(why("fail_if_header_matches: [{header: x-two, regexp: x, allow_missing: true}]"), "");
  EXPECT_THAT(why("fail_if_not_ssl: true"), HasSubstr("without TLS"));
  EXPECT_THAT(why("valid_http_versions: [HTTP/2.0]"), HasSubstr("HTTP/1.1"));
  EXPECT_THAT(why("body_size_limit: 4B"), HasSubstr("body_size_limit"));
  EXPECT_THAT(why("compression: gzip"), HasSubstr("gzip"));
}

TEST(HttpProbe, a_proxy_is_asked_in_place_of_the_target) {
  FakeSite proxy{.answer = [](const std::string&) { return http_response("200 OK"); }};
  const auto done =
      probed("{prober: http, http: {skip_resolve_phase_with_proxy: true, proxy_url: \"" + proxy.url("") + "\"}}",
             "http://no.such.host.invalid/x");
  EXPECT_EQ(done.why(), "");
  ASSERT_EQ(proxy.seen().size(), 1U);
  EXPECT_THAT(proxy.seen()[0], HasSubstr("GET http://no.such.host.invalid/x "));
}

TEST(HttpProbe, a_certificate_is_told) {
  const base::TempDirectory dir;
  const auto cert = (dir.path() / "cert.pem").string();
  const auto key = (dir.path() / "key.pem").string();
  connect::http::testing::write_certificate(cert, key, "localhost");
  connect::http::ServerOptions options;
  options.tls = connect::http::ServerTls{.cert_file = cert, .key_file = key};
  connect::http::testing::TestServer server(
      [](const connect::http::Request& request, connect::http::Reply reply) {
        reply.send(connect::http::Response::text(200, request.host));
      },
      std::move(options));
  const auto target = fmt::format("https://localhost:{}/", server.port());
  auto done = probed("{prober: http, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: " + cert + "}}}", target);
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(done.value("probe_http_ssl"), 1);
  const double now_s = static_cast<double>(kClock.wall_ms()) / 1e3;
  EXPECT_NEAR(*done.value("probe_ssl_earliest_cert_expiry"), now_s + 86'400, 60);
  EXPECT_EQ(done.value("probe_ssl_last_chain_expiry_timestamp_seconds"), done.value("probe_ssl_earliest_cert_expiry"));
  EXPECT_EQ(done.value("probe_tls_version_info{version=\"TLS 1.3\"}"), 1);
  done = probed("{prober: http, http: {preferred_ip_protocol: ip4}}", target);
  EXPECT_THAT(done.why(), HasSubstr("certificate does not verify"));
  EXPECT_FALSE(done.value("probe_ssl_earliest_cert_expiry"));
  done = probed(
      "{prober: http, http: {preferred_ip_protocol: ip4, fail_if_ssl: true, tls_config: {insecure_skip_verify: true}}}",
      target);
  EXPECT_THAT(done.why(), HasSubstr("fail_if_ssl"));
  EXPECT_EQ(done.value("probe_ssl_last_chain_expiry_timestamp_seconds"), -62135596800);
  // The name that is asked for is the one that the certificate has to be for.
  done = probed("{prober: http, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: " + cert + "}}}", target, 5000,
                "other.example");
  EXPECT_THAT(done.why(), HasSubstr("certificate does not verify"));
}

// With TLS; it counts the requests that have `host`.
struct SecureSite {
  SecureSite(const base::TempDirectory& dir, const std::string& name, std::string host, std::string location)
      : cert((dir.path() / (name + ".cert")).string()), host(std::move(host)), location(std::move(location)) {
    const auto key = (dir.path() / (name + ".key")).string();
    connect::http::testing::write_certificate(cert, key, name);
    connect::http::ServerOptions options;
    options.tls = connect::http::ServerTls{.cert_file = cert, .key_file = key};
    server.emplace(
        [this](const connect::http::Request& request, connect::http::Reply reply) {
          if (request.host == this->host && request.headers.has("Authorization")) ++meant;
          auto response = connect::http::Response::text(request.target == "/go" ? 302 : 200, "");
          if (request.target == "/go") response.headers.add("Location", this->location);
          reply.send(std::move(response));
        },
        std::move(options));
  }
  std::string cert;
  std::string host;
  std::string location;
  std::atomic<int> meant = 0;
  std::optional<connect::http::testing::TestServer> server;
};

TEST(HttpProbe, redirects_in_tls_keep_host_and_credentials_with_another_server_name) {
  const base::TempDirectory dir;
  SecureSite site(dir, "web.example", "web.example", "/there");
  const auto target = fmt::format("https://127.0.0.1:{}/go", site.server->port());
  const std::string rest = "ca_file: " + site.cert + "}, basic_auth: {username: u, password: p}}}";
  auto done = probed("{prober: http, http: {tls_config: {" + rest, target, 5000, "web.example");
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(done.value("probe_http_redirects"), 1);
  EXPECT_EQ(site.meant, 2);
  site.host = fmt::format("127.0.0.1:{}", site.server->port());
  site.meant = 0;
  done = probed("{prober: http, http: {tls_config: {server_name: web.example, " + rest, target);
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(site.meant, 2);
}

TEST(HttpProbe, the_server_name_is_for_the_first_host_alone) {
  const base::TempDirectory dir;
  SecureSite other(dir, "localhost", "", "");
  SecureSite site(dir, "web.example", "", fmt::format("https://localhost:{}/", other.server->port()));
  base::PosixFiles files;
  const auto both = (dir.path() / "both.pem").string();
  std::ofstream(both) << *base::read_file(files, other.cert, 10'000) << *base::read_file(files, site.cert, 10'000);
  const auto done = probed(
      "{prober: http, http: {preferred_ip_protocol: ip4, tls_config: {server_name: web.example, ca_file: " + both +
          "}}}",
      fmt::format("https://127.0.0.1:{}/go", site.server->port()));
  EXPECT_EQ(done.why(), "");
}

TEST(HttpProbe, nobody_and_silence_are_told_apart) {
  std::string gone;
  {
    const FakeServer server([](FakePeer&) {});
    gone = server.address();
  }
  auto done = probed("{prober: http}", gone);
  EXPECT_EQ(done.status.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_EQ(done.value("probe_http_status_code"), 0);
  const FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  done = probed("{prober: http}", silent.address(), 150);
  EXPECT_EQ(done.status.error().code(), base::ErrorCode::kTimeout);
  EXPECT_GE(*done.value("probe_duration_seconds"), 0.1);
  EXPECT_EQ(probed("{prober: http}", "http://").status.error().code(), base::ErrorCode::kInvalid);
}

TEST(Job, targets_are_split_into_host_and_port) {
  const auto split = [](std::string_view target, std::uint16_t usual) -> std::string {
    const auto server = split_target(target, usual);
    return server ? fmt::format("{} {}", server->host, server->port) : "refused";
  };
  EXPECT_EQ(split("a:1", 53), "a 1");
  EXPECT_EQ(split("a", 53), "a 53");
  EXPECT_EQ(split("a", 0), "refused");
  EXPECT_EQ(split("::1", 53), "::1 53");
  EXPECT_EQ(split("[::1]", 53), "::1 53");
  EXPECT_EQ(split("[::1]:5353", 53), "::1 5353");
  for (const char* wrong : {"", "a:", ":1", "a:x", "a:0", "/run/x", "[::1", "[]"})
    EXPECT_EQ(split(wrong, 53), "refused") << wrong;
}

TEST(TcpProbe, a_dialogue_is_held) {
  std::string pong;
  const FakeServer server([&](FakePeer& peer) {
    std::string line;
    peer.read_line(line);
    peer.read_line(line);
    peer.send(":a NOTICE\r\nPING :xyz\r\n");
    peer.read_line(pong);
    peer.send(":a 001 welcome\r\n");
    peer.wait_for_end();
  });
  const auto irc = default_modules()->at("irc_banner");
  const Probed done(probe(irc, {.target = server.address(), .hostname = {}}, kClock,
                          kClock.monotonic_ns() + 5'000'000'000, base::CancelToken(), true));
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(pong, "PONG xyz");
  EXPECT_EQ(done.value("probe_failed_due_to_regex"), 0);
}

TEST(TcpProbe, what_was_matched_can_be_a_label) {
  const FakeServer server([](FakePeer& peer) { peer.send("SSH-2.0-OpenSSH_9 Debian\r\n"); });
  const auto done = probed(
      "{prober: tcp, tcp: {query_response: [{expect: \"^SSH-(\\\\S+) (.*)\", labels: [{name: v, value: \"${1}\"}, "
      "{name: "
      "rest, value: \"$2\"}]}]}}",
      server.address());
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(done.value("probe_expect_info{rest=\"Debian\",v=\"2.0-OpenSSH_9\"}"), 1);
}

TEST(TcpProbe, a_line_that_does_not_come_is_told) {
  const FakeServer closing([](FakePeer& peer) { peer.send("one\nlast"); });
  auto done = probed("{prober: tcp, tcp: {query_response: [{expect: two}]}}", closing.address());
  EXPECT_EQ(done.value("probe_failed_due_to_regex"), 1);
  EXPECT_THAT(done.why(), HasSubstr("two"));
  // A last line without its end counts.
  EXPECT_EQ(probed("{prober: tcp, tcp: {query_response: [{expect: \"^last$\"}]}}", closing.address()).why(), "");
  const FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  done = probed("{prober: tcp, tcp: {query_response: [{expect: two}]}}", silent.address(), 150);
  EXPECT_EQ(done.value("probe_failed_due_to_regex"), 0);
  EXPECT_EQ(done.status.error().code(), base::ErrorCode::kTimeout);
  EXPECT_EQ(probed("{prober: tcp}", silent.address()).why(), "");
  EXPECT_THAT(probed("{prober: tcp}", "localhost").why(), HasSubstr("host:port"));
}

TEST(TcpProbe, an_address_is_chosen_by_protocol) {
  const FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  EXPECT_EQ(probed("{prober: tcp, tcp: {preferred_ip_protocol: ip6}}", server.address()).value("probe_ip_protocol"), 4);
  const auto done =
      probed("{prober: tcp, tcp: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}", server.address());
  EXPECT_THAT(done.why(), HasSubstr("no IPv6 address"));
  EXPECT_EQ(done.value("probe_ip_protocol"), 0);
}

// Answers a question over TCP with one A record for its name.
void answer_dns(FakePeer& peer, int rcode) {
  std::string bytes;
  if (!peer.read_exact(2, bytes)) return;
  std::string question;
  peer.read_exact(static_cast<unsigned char>(bytes[1]), question);
  std::string answer = question;
  answer[2] = '\x81';
  answer[3] = static_cast<char>(0x80 | rcode);
  answer[7] = 1;
  answer += std::string("\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1", 16);
  peer.send(std::string(1, '\0') + static_cast<char>(answer.size()) + answer);
}

TEST(DnsProbe, answers_are_judged) {
  const FakeServer server([](FakePeer& peer) { answer_dns(peer, 0); });
  const auto with = [&](const std::string& rules) {
    return probed("{prober: dns, dns: {transport_protocol: tcp, query_name: a.example, query_type: A" + rules + "}}",
                  server.address());
  };
  const auto done = with("");
  EXPECT_EQ(done.why(), "");
  EXPECT_EQ(done.value("probe_dns_answer_rrs"), 1);
  EXPECT_EQ(done.value("probe_dns_query_succeeded"), 1);
  EXPECT_FALSE(done.value("probe_dns_serial"));
  EXPECT_THAT(done.journal, HasSubstr("192.0.2.1"));
  const auto answers = [&](const std::string& rule) { return with(", validate_answer_rrs: {" + rule + "}").why(); };
  EXPECT_THAT(answers("fail_if_matches_regexp: [\"192[.]0\"]"), HasSubstr("192.0.2.1"));
  EXPECT_EQ(answers("fail_if_matches_regexp: [\"^b\"]"), "");
  EXPECT_THAT(answers("fail_if_not_matches_regexp: [a, b]"), HasSubstr("\"b\""));
  EXPECT_EQ(answers("fail_if_not_matches_regexp: [\"a.example.\\t300\\tIN\\tA\\t.*\"]"), "");
  EXPECT_THAT(answers("fail_if_all_match_regexp: [a]"), HasSubstr("every"));
  EXPECT_THAT(answers("fail_if_none_matches_regexp: [b]"), HasSubstr("no answer"));
  EXPECT_EQ(answers("fail_if_none_matches_regexp: [b, a]"), "");
}

TEST(DnsProbe, response_codes_are_judged) {
  const FakeServer server([](FakePeer& peer) { answer_dns(peer, 3); });
  const std::string module = "{prober: dns, dns: {transport_protocol: tcp, query_name: a.example";
  const auto done = probed(module + "}}", server.address());
  EXPECT_THAT(done.why(), HasSubstr("NXDOMAIN"));
  EXPECT_EQ(done.value("probe_dns_query_succeeded"), 1);
  EXPECT_EQ(probed(module + ", valid_rcodes: [NXDOMAIN]}}", server.address()).why(), "");
}

TEST(IcmpProbe, this_machine_answers) {
  const auto done = probed("{prober: icmp, icmp: {preferred_ip_protocol: ip4}}", "localhost");
  if (done.why().find("ping_group_range") != std::string::npos) GTEST_SKIP() << done.why();
  EXPECT_EQ(done.why(), "");
  EXPECT_GT(*done.value("probe_icmp_duration_seconds{phase=\"rtt\"}"), 0);
  EXPECT_GT(*done.value("probe_icmp_reply_hop_limit"), 0);
}

TEST(GrpcProbe, what_is_no_grpc_server_is_told) {
  FakeSite site{.answer = [](const std::string&) { return http_response("200 OK"); }};
  const auto done = probed("{prober: grpc}", site.server.address());
  EXPECT_FALSE(done.status);
  EXPECT_EQ(done.value("probe_grpc_status_code"), 14);
  EXPECT_EQ(done.value("probe_grpc_healthcheck_response{serving_status=\"SERVING\"}"), 0);
  EXPECT_EQ(done.value("probe_grpc_ssl"), 0);
}

TEST(TargetCollector, a_probe_that_runs_can_be_cancelled) {
  const FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  const base::CancelToken cancel;
  TargetCollector collector({.target = silent.address(), .timeout_ms = 60'000, .module = module_of("{prober: http}")},
                            kClock, cancel);
  std::thread other([&] { cancel.cancel(); });
  RecordingSink sink;
  ASSERT_TRUE(collector.collect(kClock.monotonic_ns() + 60'000'000'000, sink));
  other.join();
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kCancelled);
}

TEST(TargetCollector, failures_have_a_reason) {
  std::atomic<bool> well = true;
  FakeSite site{.answer = [&](const std::string&) { return http_response(well ? "200 OK" : "503 No"); }};
  TargetCollector collector({.target = site.url("/"), .module_name = "m", .module = module_of("{prober: http}")},
                            kClock, base::CancelToken());
  {
    RecordingSink sink;
    ASSERT_TRUE(collector.collect(kClock.monotonic_ns() + 5'000'000'000, sink));
    EXPECT_EQ(sink.value("probe_success"), 1);
    EXPECT_EQ(sink.value("probe_http_duration_seconds{phase=\"resolve\"}").has_value(), true);
    EXPECT_EQ(collector.trouble(), nullptr);
  }
  well = false;
  RecordingSink sink;
  ASSERT_TRUE(collector.collect(kClock.monotonic_ns() + 5'000'000'000, sink));
  EXPECT_EQ(sink.value("probe_success"), 0);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("503"));
}

}  // namespace
}  // namespace qd::observe::probe
