#include "connect/stream_tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <climits>
#include <utility>

#include "base/assert.h"
#include "connect/tls_authorities.h"

namespace qd::connect {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
};

std::string last_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

std::unexpected<base::Error> unreadable(std::string_view file, std::string_view what) {
  return base::fail(base::ErrorCode::kInvalid,
                    fmt::format("tls: {} {} cannot be used: {}", what, file, last_openssl_error()));
}

int protocol_of(TlsVersion version, int usual) {
  switch (version) {
    case TlsVersion::kUsual:
      return usual;
    case TlsVersion::kTls10:
      return TLS1_VERSION;
    case TlsVersion::kTls11:
      return TLS1_1_VERSION;
    case TlsVersion::kTls12:
      return TLS1_2_VERSION;
    case TlsVersion::kTls13:
      return TLS1_3_VERSION;
  }
  return usual;
}

bool is_ip(const std::string& host) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

}  // namespace

struct TlsSession::Handles {
  std::unique_ptr<SSL_CTX, Free> context;
  std::unique_ptr<SSL, Free> session;
  BIO* from_peer = nullptr;  // owned by the session
  BIO* to_peer = nullptr;
};

TlsSession::TlsSession(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
TlsSession::~TlsSession() = default;

base::Result<std::unique_ptr<TlsSession>> TlsSession::create(const TlsOptions& options, const std::string& host) {
  ERR_clear_error();
  auto handles = std::make_unique<Handles>();
  handles->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = handles->context.get();
  if (context == nullptr) return base::fail(base::ErrorCode::kInternal, "tls: " + last_openssl_error());
  SSL_CTX_set_min_proto_version(context, protocol_of(options.min_version, TLS1_2_VERSION));
  SSL_CTX_set_max_proto_version(context, protocol_of(options.max_version, 0));
  // OpenSSL has no cipher for them above that level.
  if (options.min_version == TlsVersion::kTls10 || options.min_version == TlsVersion::kTls11)
    SSL_CTX_set_security_level(context, 0);
  const std::string& name = options.server_name.empty() ? host : options.server_name;
  if (!options.insecure_skip_verify) {
    if (name.empty()) {
      return base::fail(base::ErrorCode::kInvalid,
                        "tls: a path has no host that a certificate could be for; set server_name");
    }
    if (options.ca_file.empty()) {
      if (!trust_system_authorities(context)) return base::fail(base::ErrorCode::kInternal, "tls: out of memory");
    } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
      return unreadable(options.ca_file, "ca_file");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  if (!options.cert_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
      return unreadable(options.cert_file, "cert_file");
    }
    if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      return unreadable(options.key_file, "key_file");
    }
  }
  handles->session.reset(SSL_new(context));
  SSL* session = handles->session.get();
  handles->from_peer = BIO_new(BIO_s_mem());
  handles->to_peer = BIO_new(BIO_s_mem());
  QD_ASSERT(session != nullptr && handles->from_peer != nullptr && handles->to_peer != nullptr);
  SSL_set_bio(session, handles->from_peer, handles->to_peer);
  SSL_set_connect_state(session);
  if (is_ip(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name.c_str());
  } else if (!name.empty()) {
    SSL_set_tlsext_host_name(session, name.c_str());
    SSL_set1_host(session, name.c_str());
  }
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(handles)));
}

void TlsSession::give(std::string_view wire_bytes) {
  QD_ASSERT(wire_bytes.size() <= INT_MAX);
  BIO_write(handles_->from_peer, wire_bytes.data(), static_cast<int>(wire_bytes.size()));
}

void TlsSession::take(std::string& wire_bytes) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(handles_->to_peer, &bytes);
  if (size <= 0) return;
  wire_bytes.append(bytes, static_cast<std::size_t>(size));
  BIO_reset(handles_->to_peer);
}

base::Result<bool> TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(handles_->session.get());
  if (result == 1) return true;
  if (SSL_get_error(handles_->session.get(), result) == SSL_ERROR_WANT_READ) return false;
  return base::fail(explain(result));
}

base::Result<std::size_t> TlsSession::read(char* to, std::size_t size) {
  ERR_clear_error();
  std::size_t done = 0;
  const int result = SSL_read_ex(handles_->session.get(), to, size, &done);
  if (result == 1) return done;
  if (SSL_get_error(handles_->session.get(), result) == SSL_ERROR_WANT_READ) return std::size_t{0};
  return base::fail(explain(result));
}

base::Status TlsSession::write(std::string_view bytes) {
  if (bytes.empty()) return {};
  ERR_clear_error();
  std::size_t done = 0;
  // The memory behind it has no bound, so that all goes at once.
  const int result = SSL_write_ex(handles_->session.get(), bytes.data(), bytes.size(), &done);
  if (result == 1 && done == bytes.size()) return {};
  return base::fail(explain(result));
}

TlsDetails TlsSession::details() const {
  return tls_details(handles_->session.get());
}

base::Error TlsSession::explain(int result) const {
  if (SSL_get_error(handles_->session.get(), result) == SSL_ERROR_ZERO_RETURN) {
    return {base::ErrorCode::kUnavailable, "the server closed the connection"};
  }
  const long verified = SSL_get_verify_result(handles_->session.get());
  if (verified != X509_V_OK) {
    return {base::ErrorCode::kPermission,
            fmt::format("tls: the server's certificate is not trusted: {}; give the authority that signed it as "
                        "tls.ca_file, or the name that it is for",
                        X509_verify_cert_error_string(verified))};
  }
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
    switch (ERR_GET_REASON(code)) {
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
      case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return {base::ErrorCode::kUnavailable,
                fmt::format("tls: {}: the server does not speak TLS on this port", last_openssl_error())};
      case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return {base::ErrorCode::kPermission,
                "tls: certificate required: the server wants one of its clients; set tls.cert_file and tls.key_file"};
      default:
        break;
    }
  }
  return {base::ErrorCode::kPermission, fmt::format("tls: the server refused: {}", last_openssl_error())};
}

}  // namespace qd::connect
