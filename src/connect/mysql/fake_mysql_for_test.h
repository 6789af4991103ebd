// The server's side of the MySQL protocol, as far as tests need it.
#pragma once

#include <netinet/tcp.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connect/fake_server_for_test.h"

namespace qd::connect::mysql {

using FakeRow = std::vector<std::optional<std::string>>;

struct FakeAnswer {
  std::vector<std::string> columns = {};
  std::vector<FakeRow> rows = {};
  unsigned error = 0;  // with `message`, in place of rows
  std::string message = {};
  bool falls_silent = false;  // behind the first half of the rows
  bool hangs_up = false;      // the same, but the connection ends
};

// One signed-on or signing-on client.
class FakeMysql {
 public:
  explicit FakeMysql(FakePeer& peer) : peer_(peer) {
    // Packets are sent one by one, and would wait for each other's acknowledgements.
    const int yes = 1;
    ::setsockopt(peer.socket(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }

  FakePeer& peer() { return peer_; }

  bool send_packet(std::string_view payload) {
    std::string packet;
    packet += static_cast<char>(payload.size() & 0xff);
    packet += static_cast<char>((payload.size() >> 8) & 0xff);
    packet += static_cast<char>((payload.size() >> 16) & 0xff);
    packet += static_cast<char>(sequence_++);
    packet += payload;
    return peer_.send(packet);
  }
  bool read_packet(std::string& payload) {
    std::string header;
    if (!peer_.read_exact(4, header)) return false;
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(header[at])); };
    sequence_ = static_cast<unsigned char>(header[3]) + 1;
    return peer_.read_exact(byte(0) | byte(1) << 8 | byte(2) << 16, payload);
  }

  // `plugin` is how the server wants the password proved.
  bool greet(std::string_view version, std::string_view plugin = "mysql_native_password", bool tls = false) {
    sequence_ = 0;
    std::string greeting = "\x0a" + std::string(version) + '\0';
    greeting += std::string("\x01\0\0\0", 4) + "12345678" + '\0';
    greeting += tls ? "\x01\xaa" : "\x01\xa2";  // PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, and SSL
    greeting += std::string("\x2d\x02\x00\x08\x00\x15", 6) + std::string(10, '\0');
    greeting += "123456789012" + std::string(1, '\0') + std::string(plugin) + '\0';
    return send_packet(greeting);
  }
  bool ok() { return send_packet(std::string("\0\0\0\x02\0\0\0", 7)); }
  bool error(unsigned number, std::string_view message) {
    std::string packet = "\xff";
    packet += static_cast<char>(number & 0xff);
    packet += static_cast<char>(number >> 8);
    return send_packet(packet + "#HY000" + std::string(message));
  }
  bool sign_on(std::string_view version) {
    std::string reply;
    return greet(version) && read_packet(reply) && ok();
  }

  bool answer(const FakeAnswer& answer) {
    if (answer.error != 0) return error(answer.error, answer.message);
    if (answer.columns.empty()) return ok();
    send_packet(length(answer.columns.size()));
    for (const auto& name : answer.columns) send_packet(column(name));
    end();
    for (std::size_t at = 0; at < answer.rows.size(); ++at) {
      if (at * 2 + 1 >= answer.rows.size()) {
        if (answer.hangs_up) return false;
        if (answer.falls_silent) {
          peer_.wait_for_end();
          return false;
        }
      }
      std::string row;
      for (const auto& cell : answer.rows[at]) row += cell ? length(cell->size()) + *cell : std::string("\xfb");
      if (!send_packet(row)) return false;
    }
    return end();
  }

  // Serves statements until the client leaves. COM_PING (0x0e) is answered, COM_QUIT (0x01) ends it.
  void serve(std::string_view version, const std::function<FakeAnswer(std::string_view sql)>& answers) {
    if (!sign_on(version)) return;
    std::string command;
    while (read_packet(command) && !command.empty() && command[0] != '\x01') {
      const bool goes_on = command[0] == '\x03' ? answer(answers(std::string_view(command).substr(1))) : ok();
      if (!goes_on) return;
    }
  }

  static std::string length(std::size_t n) {
    if (n < 251) return std::string(1, static_cast<char>(n));
    std::string coded = n < 65536 ? "\xfc" : "\xfd";
    for (int bytes = n < 65536 ? 2 : 3; bytes > 0; --bytes, n >>= 8) coded += static_cast<char>(n & 0xff);
    return coded;
  }
  static std::string column(std::string_view name) {
    std::string coded = length(3) + "def";
    for (int at = 0; at < 3; ++at) coded += '\0';
    coded += length(name.size()) + std::string(name) + '\0';
    coded += std::string("\x0c\x2d\x00\xff\xff\xff\x00\xfd\x00\x00\x00\x00\x00", 13);
    return coded;
  }
  bool end() { return send_packet(std::string("\xfe\0\0\x02\0", 5)); }

 private:
  FakePeer& peer_;
  int sequence_ = 0;
};

// Speaks MySQL of `version` with everybody who comes, whatever the password.
inline FakeServer::Talk fake_mysql(std::string version, std::function<FakeAnswer(std::string_view sql)> answers) {
  return [version = std::move(version), answers = std::move(answers)](FakePeer& peer) {
    FakeMysql(peer).serve(version, answers);
  };
}

}  // namespace qd::connect::mysql
