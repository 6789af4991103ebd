#include "observe/sd/kubernetes_server.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/strings.h"
#include "model/config/node.h"

namespace qd::observe::sd {

using base::ErrorCode;
using model::config::Node;

namespace {

constexpr const char* kAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::size_t kSecretBytesMax = 1 << 20;

base::Result<std::string> read_small(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kSecretBytesMax, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad())
    return base::fail(ErrorCode::kNotFound, "reading " + file + " failed; is it there and readable?");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

std::string decode_base64(const std::string& text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  // The padding counts as bytes.
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

std::string text_at(const Node* node, std::string_view key) {
  const Node* const found = node != nullptr && node->is_mapping() ? node->find(key) : nullptr;
  return found != nullptr && found->is_scalar() ? found->text() : std::string();
}

// Of the item of a list that has this name, the mapping that holds what it says.
const Node* named(const Node& root, std::string_view list, const std::string& name, std::string_view what) {
  const Node* const all = root.find(list);
  if (all == nullptr || !all->is_sequence()) return nullptr;
  for (const Node& item : all->items()) {
    if (item.is_mapping() && text_at(&item, "name") == name) return item.find(what);
  }
  return nullptr;
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

base::Result<KubernetesServer> of_this_pod() {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return base::fail(ErrorCode::kNotFound,
                      "this process runs in no Kubernetes cluster: name its api_server or a kubeconfig_file");
  }
  KubernetesServer server;
  const bool v6 = std::string_view(host).find(':') != std::string_view::npos;
  server.url = v6 ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
  server.http.tls.ca_file = std::string(kAccountDir) + "/ca.crt";
  server.http.authorization = connect::http::AuthorizationConfig{
      .type = "Bearer", .credentials = {}, .credentials_file = std::string(kAccountDir) + "/token"};
  return server;
}

void take_user(const Node* user, const std::filesystem::path& dir, connect::http::HttpConfig& http) {
  const auto path = [&](std::string_view key) {
    const std::string name = text_at(user, key);
    return name.empty() || std::filesystem::path(name).is_absolute() ? name : (dir / name).string();
  };
  if (const std::string token = text_at(user, "token"); !token.empty()) {
    http.authorization =
        connect::http::AuthorizationConfig{.type = "Bearer", .credentials = token, .credentials_file = {}};
  } else if (const std::string file = path("tokenFile"); !file.empty()) {
    http.authorization =
        connect::http::AuthorizationConfig{.type = "Bearer", .credentials = {}, .credentials_file = file};
  } else if (const std::string name = text_at(user, "username"); !name.empty()) {
    http.basic_auth = connect::http::BasicAuthConfig{
        .username = name, .username_file = {}, .password = text_at(user, "password"), .password_file = {}};
  }
  http.tls.cert_file = path("client-certificate");
  http.tls.key_file = path("client-key");
  if (const std::string data = text_at(user, "client-certificate-data"); !data.empty())
    http.tls.cert = decode_base64(data);
  if (const std::string data = text_at(user, "client-key-data"); !data.empty()) http.tls.key = decode_base64(data);
}

}  // namespace

base::Result<KubernetesServer> read_kubeconfig(std::string_view text, const std::string& file) {
  QD_ASSIGN(const Node root, model::config::parse_yaml(text, file));
  if (!root.is_mapping()) return base::fail(root.error("this is no kubeconfig"));
  const std::string current = text_at(&root, "current-context");
  const Node* const context = named(root, "contexts", current, "context");
  if (context == nullptr) return base::fail(root.error("there is no context " + base::quote(current)));
  const Node* const cluster = named(root, "clusters", text_at(context, "cluster"), "cluster");
  if (cluster == nullptr) return base::fail(context->error("there is no such cluster"));
  const Node* const user = named(root, "users", text_at(context, "user"), "user");
  if (user != nullptr && user->is_mapping() &&
      (user->find("exec") != nullptr || user->find("auth-provider") != nullptr))
    return base::fail(
        user->error("credentials of a program are not supported: name a token, tokenFile or certificate"));

  const std::filesystem::path dir = std::filesystem::path(file).parent_path();
  KubernetesServer server;
  server.url = without_slash(text_at(cluster, "server"));
  if (server.url.empty()) return base::fail(cluster->error("the cluster has no server"));
  auto& tls = server.http.tls;
  if (const std::string ca = text_at(cluster, "certificate-authority"); !ca.empty())
    tls.ca_file = std::filesystem::path(ca).is_absolute() ? ca : (dir / ca).string();
  if (const std::string data = text_at(cluster, "certificate-authority-data"); !data.empty())
    tls.ca = decode_base64(data);
  tls.insecure_skip_verify = text_at(cluster, "insecure-skip-tls-verify") == "true";
  tls.server_name = text_at(cluster, "tls-server-name");
  server.http.proxy.url = text_at(cluster, "proxy-url");
  take_user(user, dir, server.http);
  return server;
}

base::Result<KubernetesServer> kubernetes_server(const KubernetesSdConfig& config) {
  KubernetesServer server;
  if (!config.api_server.empty()) {
    server.url = without_slash(config.api_server);
    if (server.url.find("://") == std::string::npos) server.url.insert(0, "https://");
    server.http = config.http;
  } else if (!config.kubeconfig_file.empty()) {
    QD_ASSIGN(const std::string text, read_small(config.kubeconfig_file));
    QD_ASSIGN(server, read_kubeconfig(text, config.kubeconfig_file));
  } else {
    QD_ASSIGN(server, of_this_pod());
  }
  server.namespaces = config.namespaces;
  if (config.own_namespace) {
    QD_ASSIGN(const std::string own, read_small(std::string(kAccountDir) + "/namespace"));
    server.namespaces.emplace_back(base::trim(own));
  }
  return server;
}

}  // namespace qd::observe::sd
