#include "connect/http/http_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "connect/http/oauth2.h"

namespace qd::connect::http {

using base::ErrorCode;

namespace {

// Of a file with a password or a token.
constexpr std::size_t kSecretLimitBytes = 64 << 10;
// Tokens that are kept: one for each client of an authority.
constexpr std::size_t kTokensMax = 1'000;

base::Result<std::string> read_secret(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kSecretLimitBytes + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad()) {
    return base::fail(ErrorCode::kUnavailable, "reading " + file + " failed; is it there and readable?");
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kSecretLimitBytes) {
    return base::fail(ErrorCode::kLimit, file + " is longer than 64 KiB, which no password or token is");
  }
  return std::string(base::trim(text));
}

base::Result<std::string> secret_of(const std::string& value, const std::string& file) {
  if (file.empty()) return value;
  return read_secret(file);
}

void apply_tls(const TlsConfig& tls, ClientRequest& request) {
  request.tls = {.ca_file = tls.ca_file,
                 .cert_file = tls.cert_file,
                 .key_file = tls.key_file,
                 .ca = tls.ca,
                 .cert = tls.cert,
                 .key = tls.key,
                 .server_name = tls.server_name,
                 .insecure_skip_verify = tls.insecure_skip_verify,
                 .min_version = tls.min_version,
                 .max_version = tls.max_version};
}

void apply_proxy(const ProxyConfig& proxy, ClientRequest& request) {
  request.proxy.url = proxy.url;
  request.proxy.no_proxy = proxy.no_proxy;
  request.proxy.from_environment = proxy.from_environment;
  for (const auto& [name, values] : proxy.connect_headers) {
    for (const std::string& value : values) request.proxy.connect_headers.add(name, value);
  }
}

// The text that an application/x-www-form-urlencoded body has for a field.
void add_field(std::string& body, std::string_view name, std::string_view value) {
  if (!body.empty()) body.push_back('&');
  body.append(percent_encode(name)).push_back('=');
  body.append(percent_encode(value));
}

std::string scopes_of(const OAuth2Config& config) {
  std::string out;
  for (const std::string& scope : config.scopes) out.append(out.empty() ? "" : " ").append(scope);
  return out;
}

// Where the client's name and secret stand: authorities differ, and the standard allows both.
enum class Credentials : std::uint8_t { kInHeader, kInBody };

base::Result<ClientRequest> token_request(const OAuth2Config& config, const std::string& secret, Credentials where,
                                          std::int64_t deadline_ms) {
  ClientRequest request{.url = config.token_url, .method = "POST"};
  request.deadline_ms = deadline_ms;
  request.body_bytes_max = kTokenAnswerBytesMax;
  add_field(request.body, "grant_type", "client_credentials");
  if (const std::string scopes = scopes_of(config); !scopes.empty()) add_field(request.body, "scope", scopes);
  for (const auto& [name, value] : config.endpoint_params) add_field(request.body, name, value);
  if (where == Credentials::kInBody) {
    add_field(request.body, "client_id", config.client_id);
    add_field(request.body, "client_secret", secret);
  } else {
    request.basic_auth = BasicAuth{.user = percent_encode(config.client_id), .password = percent_encode(secret)};
  }
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.headers.add("Accept", "application/json");
  apply_tls(config.tls, request);
  apply_proxy(config.proxy, request);
  return request;
}

std::string key_of(const OAuth2Config& config, const std::string& secret) {
  std::string key = config.token_url + '\0' + config.client_id + '\0' + secret + '\0' + scopes_of(config);
  for (const auto& [name, value] : config.endpoint_params) key.append(1, '\0').append(name + "=" + value);
  return key;
}

// One exchange, of one or more transfers: cancelling it cancels the one that runs.
class Exchange {
 public:
  // False when it was cancelled already.
  void running(Client::Transfer transfer) QD_EXCLUDES(mutex_) {
    bool cancelled = false;
    {
      base::MutexLock lock(mutex_);
      transfer_ = transfer;
      cancelled = cancelled_;
    }
    if (cancelled) transfer.cancel();
  }
  void cancel() QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    cancelled_ = true;
    transfer_.cancel();
  }
  bool cancelled() const QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return cancelled_;
  }

 private:
  mutable base::Mutex mutex_;
  bool cancelled_ QD_GUARDED_BY(mutex_) = false;
  Client::Transfer transfer_ QD_GUARDED_BY(mutex_);
};

}  // namespace

// The tokens, and the client for as long as it is there.
class ConfiguredClient::Core {
 public:
  Core(Client& client, const base::Clock& clock) : clock_(clock), client_(&client) {}

  Client::Transfer fetch(ClientRequest request, Client::Then then) QD_EXCLUDES(client_mutex_) {
    {
      base::ReaderLock lock(client_mutex_);
      if (client_ != nullptr) return client_->fetch(std::move(request), std::move(then));
    }
    then(base::fail(ErrorCode::kCancelled, "the client is shutting down"));
    return {};
  }
  void close() QD_EXCLUDES(client_mutex_) {
    base::WriterLock lock(client_mutex_);
    client_ = nullptr;
  }

  std::int64_t now_ns() const { return clock_.monotonic_ns(); }
  std::optional<std::string> find(const std::string& key) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    const auto found = tokens_.find(key);
    if (found == tokens_.end() || found->second.until_ns <= clock_.monotonic_ns()) return std::nullopt;
    return found->second.text;
  }
  void keep(const std::string& key, const Token& token) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (tokens_.size() >= kTokensMax) tokens_.clear();
    tokens_[key] = {.text = token.text, .until_ns = clock_.monotonic_ns() + token.valid_ms * 1'000'000};
  }
  // Only the one that was refused: another may have come meanwhile.
  void forget(const std::string& key, const std::string& text) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    const auto found = tokens_.find(key);
    if (found != tokens_.end() && found->second.text == text) tokens_.erase(found);
  }

 private:
  struct Kept {
    std::string text;
    std::int64_t until_ns = 0;
  };
  const base::Clock& clock_;
  base::SharedMutex client_mutex_;
  Client* client_ QD_GUARDED_BY(client_mutex_);
  base::Mutex mutex_;
  std::map<std::string, Kept> tokens_ QD_GUARDED_BY(mutex_);
};

namespace {

// Gets a token where none is kept, and goes on with it.
class OAuth2Fetch : public std::enable_shared_from_this<OAuth2Fetch> {
 public:
  OAuth2Fetch(std::shared_ptr<ConfiguredClient::Core> core, OAuth2Config config, std::string secret,
              ClientRequest request, Client::Then then)
      : core_(std::move(core)),
        config_(std::move(config)),
        secret_(std::move(secret)),
        key_(key_of(config_, secret_)),
        deadline_ns_(core_->now_ns() + request.deadline_ms * 1'000'000),
        request_(std::move(request)),
        then_(std::move(then)) {}

  void start() {
    if (auto token = core_->find(key_)) return use(std::move(*token));
    ask(Credentials::kInHeader);
  }
  void cancel() { exchange_.cancel(); }

 private:
  std::int64_t left_ms() const { return std::max<std::int64_t>(1, (deadline_ns_ - core_->now_ns()) / 1'000'000); }

  void ask(Credentials where) {
    auto request = token_request(config_, secret_, where, left_ms());
    if (!request) return then_(base::fail(std::move(request).error()));
    exchange_.running(
        core_->fetch(std::move(*request), [self = shared_from_this(), where](base::Result<ClientResponse> response) {
          self->asked(where, std::move(response));
        }));
  }

  void asked(Credentials where, base::Result<ClientResponse> response) {
    if (!response) return then_(base::fail(response.error().within("getting a token of OAuth 2.0")));
    const bool refused = response->status == 400 || response->status == 401;
    if (refused && where == Credentials::kInHeader && !exchange_.cancelled()) return ask(Credentials::kInBody);
    auto token = read_token(*response);
    if (!token)
      return then_(
          base::fail(token.error().within("getting a token of OAuth 2.0 from " + shown_url(config_.token_url))));
    core_->keep(key_, *token);
    use(std::move(token->text));
  }

  void use(std::string token) {
    if (exchange_.cancelled()) return then_(base::fail(ErrorCode::kCancelled, "cancelled"));
    request_.bearer_token = token;
    request_.deadline_ms = left_ms();
    exchange_.running(core_->fetch(std::move(request_), [self = shared_from_this(), token = std::move(token)](
                                                            base::Result<ClientResponse> response) {
      if (response && response->status == 401) self->core_->forget(self->key_, token);
      self->then_(std::move(response));
    }));
  }

  const std::shared_ptr<ConfiguredClient::Core> core_;
  const OAuth2Config config_;
  const std::string secret_;
  const std::string key_;
  const std::int64_t deadline_ns_;
  ClientRequest request_;
  const Client::Then then_;
  Exchange exchange_;
};

}  // namespace

std::string shown_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("?#", host), url.size());
  const std::size_t path = std::min(url.find('/', host), end);
  const std::size_t at = url.substr(0, path).rfind('@');
  std::string out(url.substr(0, host));
  return out.append(url.substr(at == std::string_view::npos || at < host ? host : at + 1,
                               end - (at == std::string_view::npos || at < host ? host : at + 1)));
}

base::Status apply(const HttpConfig& config, ClientRequest& request) {
  if (config.basic_auth) {
    BasicAuth auth;
    QD_ASSIGN(auth.user, secret_of(config.basic_auth->username, config.basic_auth->username_file));
    QD_ASSIGN(auth.password, secret_of(config.basic_auth->password, config.basic_auth->password_file));
    request.basic_auth = std::move(auth);
  }
  if (config.authorization) {
    QD_ASSIGN(std::string credentials,
              secret_of(config.authorization->credentials, config.authorization->credentials_file));
    if (config.authorization->type == "Bearer") {
      request.bearer_token = std::move(credentials);
    } else {
      request.headers.add("Authorization", config.authorization->type + " " + credentials);
    }
  }
  apply_tls(config.tls, request);
  apply_proxy(config.proxy, request);
  for (const HeaderConfig& header : config.headers) {
    for (const std::string& value : header.values) request.headers.add(header.name, value);
    for (const std::string& file : header.files) {
      QD_ASSIGN(std::string value, read_secret(file));
      request.headers.add(header.name, std::move(value));
    }
  }
  request.follow_redirects = config.follow_redirects;
  request.http2 = config.enable_http2;
  return {};
}

ConfiguredClient::ConfiguredClient(Client& client, const base::Clock& clock)
    : core_(std::make_shared<Core>(client, clock)) {}

ConfiguredClient::~ConfiguredClient() = default;

std::function<void()> ConfiguredClient::fetch(const HttpConfig& config, ClientRequest request, Client::Then then) {
  if (const auto applied = apply(config, request); !applied) {
    then(base::fail(applied.error()));
    return {};
  }
  if (!config.oauth2)
    return [transfer = core_->fetch(std::move(request), std::move(then))]() mutable { transfer.cancel(); };
  auto secret = secret_of(config.oauth2->client_secret, config.oauth2->client_secret_file);
  if (!secret) {
    then(base::fail(std::move(secret).error()));
    return {};
  }
  const auto fetch =
      std::make_shared<OAuth2Fetch>(core_, *config.oauth2, std::move(*secret), std::move(request), std::move(then));
  fetch->start();
  return [fetch] { fetch->cancel(); };
}

ConfiguredFetch ConfiguredClient::as_fetch() {
  return [this](const HttpConfig& config, ClientRequest request, Client::Then then) {
    return fetch(config, std::move(request), std::move(then));
  };
}

void ConfiguredClient::close() {
  core_->close();
}

}  // namespace qd::connect::http
