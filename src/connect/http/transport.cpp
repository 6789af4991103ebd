#include "connect/http/transport.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <new>

namespace qd::connect::http {
namespace {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("OpenSSL error {:x}", code);
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                    unsigned in_length, void*) {
  static constexpr std::array<unsigned char, 9> kHttp11 = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kHttp11.data(), kHttp11.size(), in, in_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

base::Result<TlsContext> make_server_tls(const std::string& cert_file, const std::string& key_file) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return base::fail(base::ErrorCode::kInternal, "cannot make a TLS context: " + openssl_reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  // A pass phrase would be asked for on the terminal.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("cannot load the TLS certificate {}: {}; it must be a readable PEM file, leaf first",
                                  cert_file, openssl_reason()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("cannot load the TLS key {}: {}; it must be a readable PEM file without pass phrase "
                                  "that belongs to the certificate {}",
                                  key_file, openssl_reason(), cert_file));
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("the TLS key {} does not belong to the certificate {}: {}",
                                                             key_file, cert_file, openssl_reason()));
  }
  return context;
}

Transport::Transport(int fd, const TlsContext& tls) : fd_(fd) {
  if (!tls) return;
  ssl_ = SSL_new(tls.get());
  if (ssl_ == nullptr || SSL_set_fd(ssl_, fd) != 1) throw std::bad_alloc();
  SSL_set_accept_state(ssl_);
}

Transport::~Transport() {
  SSL_free(ssl_);
}

Transport::Outcome Transport::ssl_outcome(int result) {
  const int code = SSL_get_error(ssl_, result);
  if (code == SSL_ERROR_WANT_READ) return Outcome::kWantRead;
  if (code == SSL_ERROR_WANT_WRITE) return Outcome::kWantWrite;
  if (code == SSL_ERROR_ZERO_RETURN) return Outcome::kEnd;
  broken_ = true;
  ERR_clear_error();
  return Outcome::kBroken;
}

Transport::Outcome Transport::handshake() {
  if (ssl_ == nullptr) return Outcome::kDone;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  return result == 1 ? Outcome::kDone : ssl_outcome(result);
}

Transport::Moved Transport::read(std::span<char> into) {
  if (broken_) return {Outcome::kBroken};
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int n = SSL_read(ssl_, into.data(), static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX)));
    if (n > 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    return {ssl_outcome(n)};
  }
  for (;;) {
    const ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
    if (n > 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    if (n == 0) return {Outcome::kEnd};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Outcome::kWantRead};
    broken_ = true;
    return {Outcome::kBroken};
  }
}

Transport::Moved Transport::write(std::string_view first, std::string_view second) {
  if (broken_) return {Outcome::kBroken};
  if (ssl_ != nullptr) {
    const std::string_view bytes = first.empty() ? second : first;
    ERR_clear_error();
    const int n = SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
    if (n > 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    return {ssl_outcome(n)};
  }
  std::array<iovec, 2> parts = {iovec{const_cast<char*>(first.data()), first.size()},
                                iovec{const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n >= 0) return {Outcome::kDone, static_cast<std::size_t>(n)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Outcome::kWantWrite};
    broken_ = true;
    return {Outcome::kBroken};
  }
}

void Transport::finish_sending() {
  if (broken_) return;
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_)) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace qd::connect::http
