// A server on loopback that speaks as much of PostgreSQL's protocol 3.0 as a test needs, and as badly as it wants.
//
// Source: PostgreSQL's manual, "Frontend/Backend Protocol".
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace qd::connect::postgres {

using FakeRow = std::vector<std::optional<std::string>>;

// One connection, from the server's side.
class FakePeer {
 public:
  explicit FakePeer(int socket) : socket_(socket) {}

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool receive(std::string& into, std::size_t size) {
    into.resize(size);
    std::size_t have = 0;
    while (have < size) {
      const auto got = ::recv(socket_, into.data() + have, size - have, 0);
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  }

  static std::string number(std::uint32_t value) {
    value = htonl(value);
    return {reinterpret_cast<const char*>(&value), 4};
  }
  static std::string small(std::uint16_t value) {
    value = htons(value);
    return {reinterpret_cast<const char*>(&value), 2};
  }
  static std::string message(char type, const std::string& body) {
    return type + number(static_cast<std::uint32_t>(body.size() + 4)) + body;
  }
  static std::string text(std::string_view text) { return std::string(text) + '\0'; }

  // Reads what the client begins with; TLS is declined.
  bool greet() {
    for (;;) {
      std::string head;
      if (!receive(head, 8)) return false;
      std::uint32_t size = 0;
      std::uint32_t code = 0;
      std::memcpy(&size, head.data(), 4);
      std::memcpy(&code, head.data() + 4, 4);
      std::string rest;
      if (!receive(rest, ntohl(size) - 8)) return false;
      if (ntohl(code) == 196608) return true;
      if (!send("N")) return false;
    }
  }
  bool welcome(std::string_view version = "15.20") {
    return greet() && send(message('R', number(0)) + message('S', text("server_version") + text(version)) + ready());
  }
  static std::string ready() { return message('Z', "I"); }
  static std::string error(std::string_view sqlstate, std::string_view what) {
    return message('E', text("SERROR") + text("VERROR") + text("C" + std::string(sqlstate)) +
                            text("M" + std::string(what)) + '\0');
  }
  // The next simple query; nothing when the client is gone.
  std::optional<std::string> query() {
    for (;;) {
      std::string head;
      if (!receive(head, 5)) return std::nullopt;
      std::uint32_t size = 0;
      std::memcpy(&size, head.data() + 1, 4);
      std::string body;
      if (!receive(body, ntohl(size) - 4)) return std::nullopt;
      if (head[0] == 'X') return std::nullopt;
      if (head[0] == 'Q') return body.substr(0, body.size() - 1);
    }
  }
  static std::string description(const std::vector<std::string>& names) {
    std::string body = small(static_cast<std::uint16_t>(names.size()));
    for (const auto& name : names) {
      body += text(name) + number(0) + small(0) + number(25) + small(0xffff) + number(0xffffffff) + small(0);
    }
    return message('T', body);
  }
  static std::string row(const FakeRow& values) {
    std::string body = small(static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) {
      body += value ? number(static_cast<std::uint32_t>(value->size())) + *value : number(0xffffffff);
    }
    return message('D', body);
  }
  static std::string done() { return message('C', text("SELECT")) + ready(); }
  static std::string rows(const std::vector<FakeRow>& rows) {
    std::vector<std::string> names;
    for (std::size_t i = 0; !rows.empty() && i < rows.front().size(); ++i) names.push_back("c" + std::to_string(i));
    std::string all = description(names);
    for (const auto& one : rows) all += row(one);
    return all + done();
  }

 private:
  int socket_;
};

class FakeServer {
 public:
  // `serve` runs for each connection on a thread of its own; the connection ends with it.
  explicit FakeServer(std::function<void(FakePeer&)> serve) : serve_(std::move(serve)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  ~FakeServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    // Nobody adds to them any more; the threads that serve take no lock.
    const base::MutexLock lock(mutex_);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    for (auto& thread : threads_) thread.join();
    for (const int socket : sockets_) ::close(socket);
    ::close(listener_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void accept() {
    while (!stopping_) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      ++connections_;
      const base::MutexLock lock(mutex_);
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket] {
        FakePeer peer(socket);
        serve_(peer);
        ::shutdown(socket, SHUT_RDWR);
      });
    }
  }

  std::function<void(FakePeer&)> serve_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  base::Mutex mutex_;
  std::vector<int> sockets_ QD_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ QD_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace qd::connect::postgres
