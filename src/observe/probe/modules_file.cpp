#include "observe/probe/modules_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include "model/config/render.h"
#include "model/config/schema.h"
#include "model/labels.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;
using model::config::Node;
using model::config::Schema;

constexpr std::size_t kFileBytesMax = 4 << 20;

base::Status refused(std::string_view what) {
  return base::fail(ErrorCode::kInvalid, fmt::format("{} is not supported in this release", what));
}

// A key of blackbox_exporter that this release has nothing for.
void unsupported(Schema& item, std::string_view path, Node& scratch) {
  item.node(path, scratch, "Not supported in this release.");
  item.check(path, [&item, path = std::string(path), &scratch]() -> base::Status {
    const bool asked = (scratch.is_scalar() && scratch.text() != "false" && !scratch.text().empty()) ||
                       !scratch.items().empty() || !scratch.entries().empty();
    return asked && item.is_set(path) ? refused(path.substr(path.rfind('.') + 1)) : base::Status();
  });
}

// What a module says, as far as it has to be looked at again before it is a Module.
struct Draft {
  Module module;
  std::string prober;
  std::array<std::string, 5> ip_names;  // by Prober
  std::array<std::string, 4> min_versions;
  std::array<std::string, 4> max_versions;
  std::vector<std::string> status_codes;
  bool no_follow_redirects = false;
  std::string basic_username, basic_password, basic_password_file;
  std::string bearer_token, bearer_token_file;
  std::string authorization_type = "Bearer", authorization, authorization_file;
  std::string transport = "udp", query_type = "ANY", query_class = "IN";
  std::vector<std::string> valid_rcodes;
  std::int64_t payload_bytes = 28, ttl = 64;
  std::vector<std::string> body_matches, body_not_matches;
  std::array<std::array<std::vector<std::string>, 4>, 3> record_rules;
  std::vector<std::unique_ptr<Node>> unsupported;
};

base::Status compile_into(const std::vector<std::string>& texts, std::vector<Pattern>& patterns) {
  patterns.clear();
  for (const auto& text : texts) {
    QD_ASSIGN(auto pattern, Pattern::compile(text));
    patterns.push_back(std::move(pattern));
  }
  return {};
}

void declare_patterns(Schema& item, std::string_view path, std::vector<std::string>& texts,
                      std::vector<Pattern>& patterns, std::string_view help) {
  item.strings(path, texts, help);
  item.check(path, [&texts, &patterns] { return compile_into(texts, patterns); });
}

void declare_ip(Schema& item, const std::string& section, std::string& name, IpChoice& ip) {
  item.choice(section + ".preferred_ip_protocol", name, {"ip6", "ip4", ""}, "ip4 or ip6.");
  item.check(section + ".preferred_ip_protocol", [&name, &ip]() -> base::Status {
    ip.prefer_v6 = name != "ip4";
    return {};
  });
  item.flag(section + ".ip_protocol_fallback", ip.fallback, "Whether the other one will do.");
}

connect::TlsVersion version_of(const std::string& name) {
  return name == "TLS10"   ? connect::TlsVersion::kTls10
         : name == "TLS11" ? connect::TlsVersion::kTls11
         : name == "TLS12" ? connect::TlsVersion::kTls12
         : name == "TLS13" ? connect::TlsVersion::kTls13
                           : connect::TlsVersion::kUsual;
}

void declare_unsupported(Schema& item, Draft& draft, const std::string& section,
                         std::initializer_list<const char*> names) {
  for (const char* name : names)
    unsupported(item, section + "." + name, *draft.unsupported.emplace_back(std::make_unique<Node>()));
}

void declare_tls(Schema& item, Draft& draft, const std::string& section, std::size_t which, connect::TlsOptions& tls) {
  const std::string path = section + ".tls_config";
  item.flag(path + ".insecure_skip_verify", tls.insecure_skip_verify, "Takes any certificate.");
  item.text(path + ".ca_file", tls.ca_file, "The authorities to trust.");
  item.text(path + ".cert_file", tls.cert_file, "The client's certificate.");
  item.text(path + ".key_file", tls.key_file, "Its key.");
  item.text(path + ".server_name", tls.server_name, "What the certificate is for.");
  std::string& min = draft.min_versions.at(which);
  std::string& max = draft.max_versions.at(which);
  const std::vector<std::string> versions = {"TLS10", "TLS11", "TLS12", "TLS13", ""};
  item.choice(path + ".min_version", min, versions, "The oldest version.");
  item.choice(path + ".max_version", max, versions, "The newest version.");
  item.check(path, [&tls, &min, &max]() -> base::Status {
    tls.min_version = version_of(min);
    tls.max_version = version_of(max);
    if (tls.min_version != connect::TlsVersion::kUsual && tls.max_version != connect::TlsVersion::kUsual &&
        tls.min_version > tls.max_version)
      return base::fail(ErrorCode::kInvalid, "min_version is newer than max_version");
    if (tls.cert_file.empty() != tls.key_file.empty())
      return base::fail(ErrorCode::kInvalid, "cert_file and key_file go together");
    return {};
  });
  declare_unsupported(item, draft, path, {"ca", "cert", "key", "ca_ref", "cert_ref", "key_ref"});
}

void declare_header_matches(Schema& item, std::string_view path, std::vector<HeaderMatch>& matches) {
  item.list(path, matches, "Headers to look at.", [](Schema& one, HeaderMatch& match) {
    auto text = std::make_shared<std::string>();
    one.text("header", match.header, "Its name.").required();
    one.text("regexp", *text, "What to look for in it.").required();
    one.check("regexp", [text, &match]() -> base::Status {
      QD_ASSIGN(match.regexp, Pattern::compile(*text));
      return {};
    });
    one.flag("allow_missing", match.allow_missing, "Whether it may be missing.");
  });
}

base::Status take_status_codes(Draft& draft) {
  for (const auto& text : draft.status_codes) {
    int code = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
    if (error != std::errc{} || end != text.data() + text.size() || code < 100 || code > 999)
      return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is no HTTP status: write a number like 200", text));
    draft.module.http.valid_status_codes.push_back(code);
  }
  return {};
}

base::Status take_credentials(Draft& draft, const Schema& item) {
  HttpModule& http = draft.module.http;
  const bool basic = item.is_set("http.basic_auth");
  const bool bearer = !draft.bearer_token.empty() || !draft.bearer_token_file.empty();
  const bool authorization = item.is_set("http.authorization");
  if (basic + bearer + authorization > 1)
    return base::fail(ErrorCode::kInvalid, "at most one of basic_auth, authorization and bearer_token is given");
  const auto both = [](const std::string& a, const std::string& b) { return !a.empty() && !b.empty(); };
  if (both(draft.basic_password, draft.basic_password_file) || both(draft.bearer_token, draft.bearer_token_file) ||
      both(draft.authorization, draft.authorization_file))
    return base::fail(ErrorCode::kInvalid, "a secret is given either as it is or as a file, not both");
  if (basic) http.basic_auth = HttpBasicAuth{draft.basic_username, draft.basic_password, draft.basic_password_file};
  if (bearer) {
    http.authorization_type = "Bearer";
    http.authorization = draft.bearer_token;
    http.authorization_file = draft.bearer_token_file;
  }
  if (authorization) {
    http.authorization_type = draft.authorization_type;
    http.authorization = draft.authorization;
    http.authorization_file = draft.authorization_file;
    if (http.authorization_type == "Basic" || http.authorization_type == "basic")
      return base::fail(ErrorCode::kInvalid, "authorization is not for basic authentication; write basic_auth");
  }
  return {};
}

void declare_http(Schema& item, Draft& draft) {
  HttpModule& http = draft.module.http;
  item.strings("http.valid_status_codes", draft.status_codes, "Statuses that are fine; 2xx when empty.");
  item.check("http.valid_status_codes", [&draft] { return take_status_codes(draft); });
  item.strings("http.valid_http_versions", http.valid_http_versions, "HTTP/1.1, HTTP/2.0.");
  declare_ip(item, "http", draft.ip_names[0], http.ip);
  item.flag("http.follow_redirects", http.follow_redirects, "Whether redirects are followed.");
  item.flag("http.no_follow_redirects", draft.no_follow_redirects, "The older name for the opposite.");
  item.flag("http.fail_if_ssl", http.fail_if_ssl, "Fails when TLS was used.");
  item.flag("http.fail_if_not_ssl", http.fail_if_not_ssl, "Fails when no TLS was used.");
  item.text("http.method", http.method, "The method.");
  item.text_map("http.headers", http.headers, "Headers to send.");
  item.text("http.body", http.body, "What to send.");
  item.text("http.body_file", http.body_file, "A file with what to send.");
  declare_patterns(item, "http.fail_if_body_matches_regexp", draft.body_matches, http.fail_if_body_matches,
                   "Fails when the body matches one.");
  declare_patterns(item, "http.fail_if_body_not_matches_regexp", draft.body_not_matches, http.fail_if_body_not_matches,
                   "Fails when the body does not match one.");
  declare_header_matches(item, "http.fail_if_header_matches", http.fail_if_header_matches);
  declare_header_matches(item, "http.fail_if_header_not_matches", http.fail_if_header_not_matches);
  declare_tls(item, draft, "http", 0, http.tls);
  item.text("http.basic_auth.username", draft.basic_username, "A user.");
  item.secret("http.basic_auth.password", draft.basic_password, "The password.");
  item.text("http.basic_auth.password_file", draft.basic_password_file, "A file with the password.");
  item.secret("http.bearer_token", draft.bearer_token, "A token.");
  item.text("http.bearer_token_file", draft.bearer_token_file, "A file with the token.");
  item.text("http.authorization.type", draft.authorization_type, "The scheme.");
  item.secret("http.authorization.credentials", draft.authorization, "What stands behind the scheme.");
  item.text("http.authorization.credentials_file", draft.authorization_file, "A file with it.");
  item.text("http.proxy_url", http.proxy_url, "An HTTP proxy.");
  item.text("http.no_proxy", http.no_proxy, "Hosts to reach without it.");
  item.flag("http.skip_resolve_phase_with_proxy", http.skip_resolve_with_proxy, "Leaves names to the proxy.");
  item.flag("http.enable_http2", http.http2, "Whether HTTP/2 is offered.");
  item.choice("http.compression", http.compression, {"", "gzip", "deflate", "br", "identity"}, "Undone in the body.");
  item.bytes("http.body_size_limit", http.body_bytes_max, "The longest body that is read.");
  declare_unsupported(item, draft, "http",
                      {"oauth2", "proxy_from_environment", "proxy_connect_header", "http_headers", "enable_http3",
                       "fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"});
  declare_unsupported(item, draft, "http.basic_auth", {"username_file", "username_ref", "password_ref"});
  declare_unsupported(item, draft, "http.authorization", {"credentials_ref"});
  item.check("http", [&draft, &item]() -> base::Status {
    HttpModule& module = draft.module.http;
    if (item.is_set("http.no_follow_redirects")) module.follow_redirects = !draft.no_follow_redirects;
    if (!module.body.empty() && !module.body_file.empty())
      return base::fail(ErrorCode::kInvalid, "at most one of body and body_file is given");
    if (module.fail_if_ssl && module.fail_if_not_ssl)
      return base::fail(ErrorCode::kInvalid, "with fail_if_ssl and fail_if_not_ssl it always fails");
    return take_credentials(draft, item);
  });
}

void declare_tcp(Schema& item, Draft& draft) {
  TcpModule& tcp = draft.module.tcp;
  declare_ip(item, "tcp", draft.ip_names[1], tcp.ip);
  item.text("tcp.source_ip_address", tcp.source_ip, "Where to connect from.");
  item.list("tcp.query_response", tcp.dialogue, "What to wait for and what to say.",
            [&draft](Schema& one, QueryResponse& qr) {
              auto expect = std::make_shared<std::string>();
              one.text("expect", *expect, "The line to wait for.");
              one.check("expect", [expect, &qr]() -> base::Status {
                if (expect->empty()) return {};
                QD_ASSIGN(qr.expect, Pattern::compile(*expect));
                return {};
              });
              one.text("send", qr.send, "What to say.");
              one.flag("starttls", qr.start_tls, "Goes on in TLS.");
              one.list("labels", qr.labels, "Labels of probe_expect_info.",
                       [](Schema& label, std::pair<std::string, std::string>& pair) {
                         label.text("name", pair.first, "Its name.").required();
                         label.text("value", pair.second, "Its value, with groups of expect.").required();
                         label.check("name", [&pair]() -> base::Status {
                           if (model::valid_label_name(pair.first) && !pair.first.starts_with("__")) return {};
                           return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is no label name", pair.first));
                         });
                       });
              unsupported(one, "expect_bytes", *draft.unsupported.emplace_back(std::make_unique<Node>()));
            });
  item.flag("tcp.tls", tcp.tls.enabled, "TLS from the first byte on.");
  declare_tls(item, draft, "tcp", 1, tcp.tls);
}

void declare_dns(Schema& item, Draft& draft) {
  DnsModule& dns = draft.module.dns;
  declare_ip(item, "dns", draft.ip_names[2], dns.ip);
  item.text("dns.source_ip_address", dns.source_ip, "Where to ask from.");
  item.choice("dns.transport_protocol", draft.transport, {"udp", "tcp"}, "udp or tcp.");
  item.flag("dns.dns_over_tls", dns.tls.enabled, "DNS over TLS.");
  declare_tls(item, draft, "dns", 2, dns.tls);
  item.text("dns.query_name", dns.query_name, "What to ask for.");
  item.text("dns.query_type", draft.query_type, "Which kind of record.");
  item.text("dns.query_class", draft.query_class, "Which class.");
  item.flag("dns.recursion_desired", dns.recursion_desired, "Whether the server asks others.");
  item.strings("dns.valid_rcodes", draft.valid_rcodes, "Answers that are fine; NOERROR when empty.");
  const std::array<std::pair<const char*, RecordRules*>, 3> sections = {
      {{"answer", &dns.answer}, {"authority", &dns.authority}, {"additional", &dns.additional}}};
  for (std::size_t i = 0; i < sections.size(); ++i) {
    RecordRules& rules = *sections.at(i).second;
    const std::string path = fmt::format("dns.validate_{}_rrs.", sections.at(i).first);
    auto& texts = draft.record_rules.at(i);
    declare_patterns(item, path + "fail_if_matches_regexp", texts[0], rules.fail_if_matches, "None may match one.");
    declare_patterns(item, path + "fail_if_all_match_regexp", texts[1], rules.fail_if_all_match, "Not all may match.");
    declare_patterns(item, path + "fail_if_not_matches_regexp", texts[2], rules.fail_if_not_matches,
                     "Each must match all.");
    declare_patterns(item, path + "fail_if_none_matches_regexp", texts[3], rules.fail_if_none_matches,
                     "One must match.");
  }
  item.check("dns.query_type", [&draft]() -> base::Status {
    const auto type = connect::dns_type(draft.query_type);
    if (!type) return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is no type of record", draft.query_type));
    draft.module.dns.query_type = *type;
    return {};
  });
  item.check("dns.query_class", [&draft]() -> base::Status {
    const auto klass = connect::dns_class(draft.query_class);
    if (!klass) return base::fail(ErrorCode::kInvalid, fmt::format("{:?} is no class of records", draft.query_class));
    draft.module.dns.query_class = *klass;
    return {};
  });
  item.check("dns.valid_rcodes", [&draft]() -> base::Status {
    for (const auto& name : draft.valid_rcodes) {
      const auto rcode = connect::dns_rcode(name);
      if (!rcode) {
        return base::fail(ErrorCode::kInvalid,
                          fmt::format("{:?} is no response code: write NOERROR, NXDOMAIN and so on", name));
      }
      draft.module.dns.valid_rcodes.push_back(*rcode);
    }
    return {};
  });
  item.check("dns", [&draft, &item]() -> base::Status {
    DnsModule& module = draft.module.dns;
    if (draft.transport == "tcp") module.transport = connect::DnsTransport::kTcp;
    if (module.tls.enabled && module.transport != connect::DnsTransport::kTcp) {
      if (item.is_set("dns.transport_protocol"))
        return base::fail(ErrorCode::kInvalid, "DNS over TLS goes over tcp: set transport_protocol: tcp");
      module.transport = connect::DnsTransport::kTcp;
    }
    // The name itself is judged by what would be sent.
    QD_TRY(connect::encode_dns_question(0, {.name = module.query_name}));
    return {};
  });
}

void declare_icmp(Schema& item, Draft& draft) {
  IcmpModule& icmp = draft.module.icmp;
  declare_ip(item, "icmp", draft.ip_names[3], icmp.ip);
  item.text("icmp.source_ip_address", icmp.source_ip, "Where to send from.");
  item.flag("icmp.dont_fragment", icmp.dont_fragment, "Sets the DF bit.");
  item.integer("icmp.payload_size", draft.payload_bytes, "Bytes to send.", 0, 65'000);
  item.integer("icmp.ttl", draft.ttl, "Hops to live.", 0, 255);
  item.check("icmp", [&draft]() -> base::Status {
    draft.module.icmp.payload_bytes = static_cast<std::size_t>(draft.payload_bytes);
    draft.module.icmp.ttl = draft.ttl == 0 ? 64 : static_cast<int>(draft.ttl);
    return {};
  });
}

void declare_grpc(Schema& item, Draft& draft) {
  GrpcModule& grpc = draft.module.grpc;
  declare_ip(item, "grpc", draft.ip_names[4], grpc.ip);
  item.text("grpc.service", grpc.service, "The service whose health is asked for.");
  item.text_map("grpc.metadata", grpc.metadata, "Metadata to send.");
  item.flag("grpc.tls", grpc.tls.enabled, "TLS.");
  declare_tls(item, draft, "grpc", 3, grpc.tls);
}

void declare_module(Schema& item, Draft& draft) {
  item.choice("prober", draft.prober, {"http", "tcp", "dns", "icmp", "grpc"}, "How.").required();
  item.duration_ms("timeout", draft.module.timeout_ms, "How long.", 0, 24 * 60 * 60 * 1000);
  declare_http(item, draft);
  declare_tcp(item, draft);
  declare_dns(item, draft);
  declare_icmp(item, draft);
  declare_grpc(item, draft);
  item.check("prober", [&draft, &item]() -> base::Status {
    Module& module = draft.module;
    module.prober = draft.prober == "tcp"    ? Prober::kTcp
                    : draft.prober == "dns"  ? Prober::kDns
                    : draft.prober == "icmp" ? Prober::kIcmp
                    : draft.prober == "grpc" ? Prober::kGrpc
                                             : Prober::kHttp;
    if (module.prober == Prober::kDns && !item.is_set("dns.query_name"))
      return base::fail(ErrorCode::kInvalid, "a dns module needs dns.query_name: what to ask for");
    return {};
  });
}

constexpr const char* kHidden = "<secret>";

Node hidden(const Node& node) {
  if (!node.is_mapping()) return Node::scalar(kHidden);
  std::vector<Node::Entry> entries;
  for (const auto& entry : node.entries()) entries.push_back({entry.key, hidden(entry.value)});
  return Node::mapping(std::move(entries));
}

// A URL with what stands before its host replaced; a password may have '@' and '/' in it.
Node without_user(const Node& node) {
  const auto& url = node.text();
  const auto at = url.rfind('@');
  if (at == std::string::npos) return node;
  const auto scheme = url.find("://");
  const auto from = scheme == std::string::npos || scheme > at ? 0 : scheme + 3;
  return Node::scalar(fmt::format("{}{}{}", url.substr(0, from), kHidden, url.substr(at)));
}

// The tree with what nobody is to see replaced: passwords, and what is sent along with a request, which may be one.
Node without_secrets(const Node& node) {
  static constexpr std::array kSecrets = {"password", "bearer_token", "credentials", "headers", "metadata"};
  if (node.is_mapping()) {
    std::vector<Node::Entry> entries;
    for (const auto& entry : node.entries()) {
      const bool secret = std::ranges::find(kSecrets, entry.key.text()) != kSecrets.end();
      const bool url = entry.key.text() == "proxy_url" && entry.value.is_scalar();
      entries.push_back({entry.key, secret ? hidden(entry.value)
                                    : url  ? without_user(entry.value)
                                           : without_secrets(entry.value)});
    }
    return Node::mapping(std::move(entries));
  }
  if (!node.is_sequence()) return node;
  std::vector<Node> items;
  for (const auto& item : node.items()) items.push_back(without_secrets(item));
  return Node::sequence(std::move(items));
}

}  // namespace

base::Result<ModulesPtr> parse_modules(std::string_view text, std::string_view file_name) {
  QD_ASSIGN(const Node root, model::config::parse_yaml(text, file_name));
  std::map<std::string, Draft, std::less<>> drafts;
  Schema schema;
  schema.mapping("modules", "How things are probed.",
                 [&drafts](std::string_view name, Schema& item) { declare_module(item, drafts[std::string(name)]); });
  schema.check("modules", [&drafts]() -> base::Status {
    if (drafts.size() <= kModulesMax) return {};
    return base::fail(ErrorCode::kInvalid, fmt::format("there are more than {} modules", kModulesMax));
  });
  QD_TRY(model::config::bind(root, schema));
  auto modules = std::make_shared<Modules>();
  const Node* all = root.find("modules");
  for (auto& [name, draft] : drafts) {
    draft.module.name = name;
    if (const Node* here = all->find(name); here != nullptr)
      draft.module.shown = model::config::render_yaml(without_secrets(*here));
    modules->emplace(name, std::move(draft.module));
  }
  return modules;
}

base::Result<ModulesPtr> load_modules(base::Files& files, const std::filesystem::path& file) {
  QD_ASSIGN(const auto text, base::read_file(files, file, kFileBytesMax));
  return parse_modules(text, file.string());
}

}  // namespace qd::observe::probe
