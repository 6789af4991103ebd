// A MariaDB server for tests, on a free port, with data in a directory that goes away with it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/temp_directory.h"

namespace qd::connect::mysql {

class MariadbForTest {
 public:
  // Null, with `why`, where there is no server or it does not start. "root" has no password, over its socket.
  // `settings` are options of mariadbd.
  static std::unique_ptr<MariadbForTest> start(const std::vector<std::string>& settings, std::string& why) {
    if (::access("/usr/sbin/mariadbd", X_OK) != 0 || ::access("/usr/bin/mariadb-install-db", X_OK) != 0) {
      why = "MariaDB's server (Debian's mariadb-server) is not installed";
      return nullptr;
    }
    auto server = std::unique_ptr<MariadbForTest>(new MariadbForTest);
    const std::string data = "--datadir=" + server->file("data");
    std::vector<std::string> install = {"/usr/bin/mariadb-install-db", "--no-defaults", data, "--skip-test-db",
                                        "--auth-root-authentication-method=normal"};
    if (::geteuid() == 0) install.emplace_back("--user=root");
    if (server->run(install) != 0) {
      why = "mariadb-install-db failed:\n" + server->log();
      return nullptr;
    }
    std::vector<std::string> command = {"/usr/sbin/mariadbd",
                                        "--no-defaults",
                                        data,
                                        "--bind-address=127.0.0.1",
                                        "--port=" + std::to_string(server->port_ = free_port()),
                                        "--socket=" + server->socket(),
                                        "--innodb-buffer-pool-size=16M",
                                        "--innodb-log-file-size=8M",
                                        "--innodb-flush-log-at-trx-commit=0"};
    if (::geteuid() == 0) command.emplace_back("--user=root");
    command.insert(command.end(), settings.begin(), settings.end());
    server->process_ = server->spawn(command);
    for (int tenths = 0; tenths < 300; ++tenths) {
      if (server->answers()) return server;
      if (::waitpid(server->process_, nullptr, WNOHANG) != 0) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    why = "mariadbd did not start:\n" + server->log();
    return nullptr;
  }
  ~MariadbForTest() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  MariadbForTest(const MariadbForTest&) = delete;
  MariadbForTest& operator=(const MariadbForTest&) = delete;

  std::string socket() const { return file("m.sock"); }
  int port() const { return port_; }
  std::string file(const std::string& name) const { return directory_.path() / name; }
  // Runs a program to its end, its output in the log.
  int run(const std::vector<std::string>& command) const {
    int status = -1;
    ::waitpid(spawn(command), &status, 0);
    return status;
  }

 private:
  MariadbForTest() = default;

  pid_t spawn(const std::vector<std::string>& command) const {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const std::string log_file = file("log");
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(126);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  bool answers() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::strncpy(where.sun_path, socket().c_str(), sizeof(where.sun_path) - 1);
    const bool connected = fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
    ::close(fd);
    return connected;
  }
  std::string log() const {
    std::ifstream in(file("log"));
    return {std::istreambuf_iterator<char>(in), {}};
  }

  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    QD_ASSERT(fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&where), size) == 0);
    QD_ASSERT(::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    ::close(fd);
    return ntohs(where.sin_port);
  }

  base::TempDirectory directory_;
  int port_ = 0;
  pid_t process_ = -1;
};

}  // namespace qd::connect::mysql
