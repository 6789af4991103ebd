// A server for tests on a loopback port: each connection is a function on a thread of its own.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace qd::connect {

// One connection, as the fake server sees it.
class FakePeer {
 public:
  explicit FakePeer(int socket) : socket_(socket) {}
  int socket() const { return socket_; }

  // False when the client has gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // The next line without its end; false at the end of the connection.
  bool read_line(std::string& line) {
    for (;;) {
      const auto end = buffer_.find('\n');
      if (end != std::string::npos) {
        line = buffer_.substr(0, end);
        if (line.ends_with('\r')) line.pop_back();
        buffer_.erase(0, end + 1);
        return true;
      }
      if (!fill()) return false;
    }
  }
  bool read_exact(std::size_t n, std::string& bytes) {
    while (buffer_.size() < n)
      if (!fill()) return false;
    bytes = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return true;
  }
  // Returns when the client has closed.
  void wait_for_end() {
    while (fill()) buffer_.clear();
  }

 private:
  bool fill() {
    char bytes[4096];
    const ssize_t got = ::recv(socket_, bytes, sizeof(bytes), 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }

  int socket_;
  std::string buffer_;
};

class FakeServer {
 public:
  using Talk = std::function<void(FakePeer&)>;

  // `talk` may run on several threads at once; the connection is closed when it returns.
  explicit FakeServer(Talk talk) : talk_(std::move(talk)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::bind(listener_, reinterpret_cast<sockaddr*>(&where), sizeof(where));
    (void)::listen(listener_, 16);
    socklen_t size = sizeof(where);
    (void)::getsockname(listener_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const base::MutexLock lock(mutex_);
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
    const base::MutexLock lock(mutex_);
    for (const int socket : sockets_) ::close(socket);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  int connections() const { return connections_; }

 private:
  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      ++connections_;
      {
        const base::MutexLock lock(mutex_);
        sockets_.push_back(socket);
      }
      threads_.emplace_back([this, socket] {
        FakePeer peer(socket);
        talk_(peer);
        ::shutdown(socket, SHUT_RDWR);
      });
    }
  }

  Talk talk_;
  int listener_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_;
  base::Mutex mutex_;
  std::vector<int> sockets_ QD_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;  // of the acceptor's thread, and after it of the destructor's
};

}  // namespace qd::connect
