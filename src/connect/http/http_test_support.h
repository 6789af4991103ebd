// For the tests and benchmarks of this room: a server on a loop of its own, and a client that sends any bytes.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "connect/http/server.h"

namespace qd::connect::http::testing {

// Waits for what another thread brings about; false after ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    ::usleep(2'000);
  }
  return false;
}

inline double metric(const base::Registry& registry, std::string_view name, std::string_view label = "") {
  double sum = 0;
  for (const auto& family : registry.collect()) {
    for (const auto& sample : family.samples) {
      if (sample.name != name) continue;
      if (label.empty() || (!sample.labels.empty() && sample.labels.front().second == label)) sum += sample.value;
    }
  }
  return sum;
}

struct TestServer {
  explicit TestServer(Handler handler, ServerOptions options = {}, std::size_t threads = 2) {
    if (options.listen.empty() && options.unix_socket_path.empty()) options.listen = {"127.0.0.1:0"};
    auto started = Server::start(loop, std::move(options), std::move(handler), base::Log::silent(), registry);
    QD_ASSERT(started.has_value(), started.error().message());
    server = std::move(*started);
    const auto running = loop.start(threads);
    QD_ASSERT(running.has_value(), running.error().message());
  }
  std::uint16_t port() const { return server->port(); }
  std::string url(std::string_view path) const { return fmt::format("http://127.0.0.1:{}{}", port(), path); }

  base::Registry registry;
  EventLoop loop;
  std::unique_ptr<Server> server;
};

struct RawResponse {
  int status = 0;  // 0: the connection closed without one
  std::string header;
  Headers headers;
  std::string body;
};

// A blocking socket that gives up after ten seconds.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0)
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    QD_ASSERT(::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0, std::to_string(errno));
  }
  RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }

  // False when the peer does not take it all.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  // Closes with a reset.
  void abort() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(std::exchange(fd_, -1));
  }

  RawResponse response(bool head = false) {
    RawResponse out;
    while (in_.find("\r\n\r\n") == std::string::npos)
      if (!receive()) return out;
    const auto end = in_.find("\r\n\r\n") + 4;
    out.header = in_.substr(0, end);
    in_.erase(0, end);
    out.status = std::atoi(out.header.c_str() + 9);
    for (auto at = out.header.find("\r\n") + 2; at + 2 < out.header.size();) {
      const auto line_end = out.header.find("\r\n", at);
      const auto colon = out.header.find(": ", at);
      out.headers.add(out.header.substr(at, colon - at), out.header.substr(colon + 2, line_end - colon - 2));
      at = line_end + 2;
    }
    if (head || out.status == 204 || out.status == 304 || out.status / 100 == 1) return out;
    if (out.headers.lists("Transfer-Encoding", "chunked")) {
      read_chunks(out.body);
    } else if (const auto length = out.headers.get("Content-Length")) {
      const std::size_t want = std::stoul(std::string(*length));
      while (in_.size() < want)
        if (!receive()) break;
      out.body = in_.substr(0, want);
      in_.erase(0, want);
    } else {
      out.body = rest();
    }
    return out;
  }
  // Everything until the peer closes.
  std::string rest() {
    while (receive()) {
    }
    return std::exchange(in_, {});
  }
  // The peer has closed and nothing unread is left. (A reset counts: both mean that it is over.)
  bool closed() { return in_.empty() && !receive() && errno != EAGAIN; }

 private:
  bool receive() {
    char buffer[16384];
    errno = 0;
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  void read_chunks(std::string& body) {
    for (;;) {
      while (in_.find("\r\n") == std::string::npos)
        if (!receive()) return;
      std::size_t size = 0;
      std::from_chars(in_.data(), in_.data() + in_.size(), size, 16);
      const auto begin = in_.find("\r\n") + 2;
      while (in_.size() < begin + size + 2)
        if (!receive()) return;
      body.append(in_, begin, size);
      in_.erase(0, begin + size + 2);
      if (size == 0) return;
    }
  }

  int fd_;
  std::string in_;
};

inline std::string get(std::string_view path, std::string_view more = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: test\r\n{}\r\n", path, more);
}

// A certificate for `name` (and 127.0.0.1 when it is "localhost"), signed by its own key, as two PEM files.
inline void write_certificate(const std::string& cert_file, const std::string& key_file, const std::string& name) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
  X509_set_pubkey(cert, key);
  X509_NAME* const subject = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(cert, subject);
  const std::string names = name == "localhost" ? "DNS:localhost,IP:127.0.0.1" : "DNS:" + name;
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(cert, key, EVP_sha256());
  std::FILE* const cert_out = std::fopen(cert_file.c_str(), "w");
  QD_ASSERT(cert_out != nullptr, cert_file);
  PEM_write_X509(cert_out, cert);
  std::fclose(cert_out);
  std::FILE* const key_out = std::fopen(key_file.c_str(), "w");
  QD_ASSERT(key_out != nullptr, key_file);
  PEM_write_PrivateKey(key_out, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(key_out);
  X509_free(cert);
  EVP_PKEY_free(key);
}

}  // namespace qd::connect::http::testing
