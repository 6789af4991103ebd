#include "connect/dns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <functional>
#include <thread>

#include "connect/fake_server_for_test.h"

namespace qd::connect {
namespace {

using base::ErrorCode;
using namespace std::string_literals;
using testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;
const base::SystemClock kClock;

std::int64_t in_ms(std::int64_t ms) {
  return kClock.monotonic_ns() + ms * kMs;
}

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}
std::string header(std::size_t answers, int rcode = 0) {
  return u16(7) + u16(0x8180U | static_cast<unsigned>(rcode)) + u16(1) + u16(answers) + u16(0) + u16(0);
}
const std::string kQuestion = "\7example\3com\0"s + u16(255) + u16(1);
// Of example.com, which stands at byte 12.
std::string record(std::uint16_t type, const std::string& data) {
  return "\xc0\x0c"s + u16(type) + u16(1) + u16(0) + u16(300) + u16(data.size()) + data;
}

std::string text_of(std::uint16_t type, const std::string& data) {
  const auto message = decode_dns_message(header(1) + kQuestion + record(type, data));
  return message ? message->answers.at(0).text : message.error().message();
}

TEST(DnsMessage, a_question_is_written) {
  const auto bytes = encode_dns_question(7, {.name = "example.com.", .type = 255});
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, u16(7) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(0) + kQuestion);
  EXPECT_EQ(encode_dns_question(7, {.name = ".", .type = 2, .recursion_desired = false}).value(),
            u16(7) + u16(0) + u16(1) + u16(0) + u16(0) + u16(0) + "\0"s + u16(2) + u16(1));
}

TEST(DnsMessage, names_that_cannot_be_are_refused) {
  for (const auto& name : {"a..b"s, ".a"s, "a.."s, std::string(64, 'x') + ".com", [] {
                             std::string many;
                             for (int i = 0; i < 130; ++i) many += "x.";
                             return many;
                           }()}) {
    const auto bytes = encode_dns_question(7, {.name = name});
    ASSERT_FALSE(bytes) << name;
    EXPECT_EQ(bytes.error().code(), ErrorCode::kInvalid);
  }
}

TEST(DnsMessage, records_are_written_as_zone_files_have_them) {
  EXPECT_EQ(text_of(1, "\xc0\x00\x02\x01"s), "example.com.\t300\tIN\tA\t192.0.2.1");
  EXPECT_EQ(text_of(28, "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\1"),
            "example.com.\t300\tIN\tAAAA\t2001:db8::1");
  EXPECT_EQ(text_of(5, "\3www\xc0\x0c"), "example.com.\t300\tIN\tCNAME\twww.example.com.");
  EXPECT_EQ(text_of(15, u16(10) + "\4mail\xc0\x0c"), "example.com.\t300\tIN\tMX\t10 mail.example.com.");
  EXPECT_EQ(text_of(16, "\5a \"b\"\1c"), "example.com.\t300\tIN\tTXT\t\"a \\\"b\\\"\" \"c\"");
  EXPECT_EQ(text_of(33, u16(1) + u16(2) + u16(443) + "\1a\xc0\x0c"),
            "example.com.\t300\tIN\tSRV\t1 2 443 a.example.com.");
  EXPECT_EQ(text_of(257, "\0\5issueca.example"s), "example.com.\t300\tIN\tCAA\t0 issue \"ca.example\"");
  EXPECT_EQ(text_of(52, "\1\2\3"), "example.com.\t300\tIN\tTLSA\t\\# 3 010203");
  EXPECT_EQ(text_of(6, "\2ns\xc0\x0c\4root\xc0\x0c"s + "\x78\x85\xd6\x2b"s + u16(0) + u16(1) + u16(0) + u16(2) +
                           u16(0) + u16(3) + u16(0) + u16(4)),
            "example.com.\t300\tIN\tSOA\tns.example.com. root.example.com. 2022037035 1 2 3 4");
}

TEST(DnsMessage, the_serial_of_a_zone_is_read) {
  const auto data = "\0\0"s + "\x78\x85\xd6\x2b"s + std::string(16, '\0');
  const auto message = decode_dns_message(header(1) + kQuestion + record(6, data));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->answers.at(0).serial, 2022037035U);
}

TEST(DnsMessage, hostile_messages_are_refused) {
  // A name that points at itself, and two that point at each other.
  const std::string self = header(1) + "\xc0\x0c"s + u16(1) + u16(1);
  EXPECT_THAT(decode_dns_message(self).error().message(), HasSubstr("points forwards"));
  EXPECT_FALSE(decode_dns_message(header(1) + "\xc0\x0e\xc0\x0c"s + u16(1) + u16(1)));
  const std::string whole = header(2) + kQuestion + record(16, "\5hello") + record(1, "\1\2\3\4");
  ASSERT_TRUE(decode_dns_message(whole));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const auto message = decode_dns_message(whole.substr(0, cut));
    ASSERT_FALSE(message) << cut;
    EXPECT_EQ(message.error().code(), ErrorCode::kCorrupt);
  }
  // Lengths inside a record that pass its end.
  for (const auto& [type, data] : {std::pair<std::uint16_t, std::string>(16, "\x09hello"),
                                   {257, "\0\x09issue"s},
                                   {257, "\0"s},
                                   {1, "\1\2\3"},
                                   {28, "\1"},
                                   {33, "\1\2\3\4"},
                                   {15, "\1"},
                                   {6, "\0\0\1"s}})
    EXPECT_FALSE(decode_dns_message(header(1) + kQuestion + record(type, data))) << type;
  EXPECT_THAT(decode_dns_message(u16(7) + u16(0x8180) + u16(0) + u16(0xffff) + u16(0) + u16(0)).error().message(),
              HasSubstr("4096 records"));
}

// Answers each datagram with what `answer` makes of it, in turn.
class FakeNameServer {
 public:
  using Answer = std::function<std::vector<std::string>(const std::string& question)>;
  explicit FakeNameServer(Answer answer) : answer_(std::move(answer)) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::bind(socket_, reinterpret_cast<sockaddr*>(&where), sizeof(where));
    socklen_t size = sizeof(where);
    (void)::getsockname(socket_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeNameServer() {
    end_ = true;
    thread_.join();
    ::close(socket_);
  }
  int port() const { return port_; }

 private:
  void serve() {
    while (!end_) {
      pollfd poll{socket_, POLLIN, 0};
      if (::poll(&poll, 1, 20) <= 0) continue;
      char bytes[1024];
      sockaddr_in from{};
      socklen_t size = sizeof(from);
      const ssize_t got = ::recvfrom(socket_, bytes, sizeof(bytes), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) continue;
      for (const auto& answer : answer_({bytes, static_cast<std::size_t>(got)}))
        ::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  Answer answer_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<bool> end_ = false;
  std::thread thread_;
};

DnsServer server_at(int port) {
  DnsServer server;
  server.address = "127.0.0.1:" + std::to_string(port);
  server.to = resolve({"127.0.0.1", static_cast<std::uint16_t>(port), ""}, kClock, in_ms(5000))->front();
  return server;
}

std::string answer_to(const std::string& question) {
  return question.substr(0, 2) + (header(1) + kQuestion + record(1, "\1\2\3\4")).substr(2);
}

TEST(Dns, only_the_answer_to_the_question_counts) {
  FakeNameServer server([](const std::string& question) {
    std::string other = answer_to(question);
    other[0] = static_cast<char>(other[0] + 1);
    return std::vector{other, question, "x"s, answer_to(question)};
  });
  DnsTimes times;
  const auto message =
      ask_dns(server_at(server.port()), {.name = "example.com"}, kClock, in_ms(5000), base::CancelToken(), times);
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(message->answers.size(), 1U);
  EXPECT_GT(times.request_s, 0);
}

TEST(Dns, silence_costs_the_deadline_and_cancelling_ends_it) {
  FakeNameServer server([](const std::string&) { return std::vector<std::string>(); });
  DnsTimes times;
  auto message = ask_dns(server_at(server.port()), {.name = "a"}, kClock, in_ms(120), base::CancelToken(), times);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code(), ErrorCode::kTimeout);
  const base::CancelToken cancel;
  cancel.cancel();
  message = ask_dns(server_at(server.port()), {.name = "a"}, kClock, in_ms(60'000), cancel, times);
  EXPECT_EQ(message.error().code(), ErrorCode::kCancelled);
}

TEST(Dns, nobody_there_is_unavailable) {
  int port = 0;
  {
    FakeNameServer gone([](const std::string&) { return std::vector<std::string>(); });
    port = gone.port();
  }
  DnsTimes times;
  const auto message = ask_dns(server_at(port), {.name = "a"}, kClock, in_ms(5000), base::CancelToken(), times);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code(), ErrorCode::kUnavailable);
}

TEST(Dns, over_tcp_messages_have_their_length_before_them) {
  FakeServer server([](FakePeer& peer) {
    std::string size;
    std::string question;
    if (!peer.read_exact(2, size)) return;
    peer.read_exact((std::size_t{static_cast<unsigned char>(size[0])} << 8) | static_cast<unsigned char>(size[1]),
                    question);
    const auto answer = answer_to(question);
    peer.send(u16(answer.size()) + answer);
  });
  auto where = server_at(server.port());
  where.transport = DnsTransport::kTcp;
  DnsTimes times;
  const auto message = ask_dns(where, {.name = "example.com"}, kClock, in_ms(5000), base::CancelToken(), times);
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(message->answers.at(0).text, "example.com.\t300\tIN\tA\t1.2.3.4");
}

}  // namespace
}  // namespace qd::connect
