#include "connect/http/request_parser.h"

#include <gtest/gtest.h>

#include <random>

namespace qd::connect::http {
namespace {

using State = RequestParser::State;

// Feeds `bytes` as they would arrive in pieces that end at each of `cuts`.
State feed(RequestParser& parser, std::string_view bytes, std::size_t piece, std::size_t* left = nullptr) {
  std::string in;
  std::size_t at = 0;
  for (;;) {
    for (;;) {
      const auto before = parser.state();
      const auto taken = parser.put(in);
      in.erase(0, taken);
      if (taken == 0 && before == parser.state()) break;
    }
    if (at == bytes.size() || parser.state() == State::kComplete || parser.state() == State::kMalformed) break;
    const auto next = bytes.substr(at, piece);
    in += next;
    at += next.size();
  }
  if (left != nullptr) *left = in.size() + bytes.size() - at;
  return parser.state();
}

TEST(RequestParser, gives_the_same_request_however_the_bytes_arrive) {
  const std::string bytes =
      "POST /a%20b?x=1&y=%2B HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/x-www-form-urlencoded; "
      "charset=utf-8\r\n"
      "Transfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nq=a\r\n5\r\nb&r=c\r\n0\r\nTrailer: ignored\r\n\r\n";
  const std::string next = "GET / HTTP/1.1\r\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestParser parser(4096, 100);
    std::size_t left = 0;
    ASSERT_EQ(feed(parser, bytes + next, piece, &left), State::kComplete) << piece;
    EXPECT_EQ(left, next.size());
    const Request request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/a b");
    EXPECT_EQ(request.host, "h:1");
    EXPECT_EQ(request.param("y"), "+");
    EXPECT_EQ(request.param("q"), "ab");
    EXPECT_EQ(request.param("r"), "c");
    EXPECT_FALSE(request.headers.has("Trailer"));
  }
}

TEST(RequestParser, a_last_chunk_may_end_byte_by_byte) {
  RequestParser parser(4096, 100);
  const std::string bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  EXPECT_EQ(feed(parser, bytes, 1), State::kComplete);
  EXPECT_EQ(parser.take().body, "");
}

TEST(RequestParser, an_absolute_target_names_the_host) {
  RequestParser parser(4096, 100);
  ASSERT_EQ(feed(parser, "GET http://real:8080?a=b HTTP/1.1\r\nHost: other\r\n\r\n", 1000), State::kComplete);
  const Request request = parser.take();
  EXPECT_EQ(request.host, "real:8080");
  EXPECT_EQ(request.path, "/");
  EXPECT_EQ(request.param("a"), "b");
}

TEST(RequestParser, tells_of_parameters_that_cannot_be_read_and_reads_none) {
  const std::string form = "Host: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\n";
  std::string many = "a";
  for (std::size_t i = 0; i < kParametersMax; ++i) many += "&a";
  const std::vector<std::pair<std::string, std::string_view>> cases = {
      {"GET /x?a=1&b=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "in the query"},
      {"GET /x?a=%2 HTTP/1.1\r\nHost: h\r\n\r\n", "in the query"},
      {"GET /x?" + many + " HTTP/1.1\r\nHost: h\r\n\r\n", "in the query"},
      {"POST /x?a=%zz HTTP/1.1\r\n" + form + "b=123", "in the query"},
      {"POST /x?a=1 HTTP/1.1\r\n" + form + "b=%zz", "in the form"},
  };
  for (const auto& [bytes, where] : cases) {
    RequestParser parser(64 * 1024, 100);
    ASSERT_EQ(feed(parser, bytes, bytes.size()), State::kComplete) << bytes.substr(0, 60);
    const Request request = parser.take();
    EXPECT_EQ(request.path, "/x");
    EXPECT_TRUE(request.parameters_error.ends_with(where)) << request.parameters_error;
    EXPECT_TRUE(request.query.empty() && request.form.empty()) << bytes.substr(0, 60);
  }
}

struct Malformed {
  const char* name;
  std::string bytes;
  int status;
};

TEST(RequestParser, refuses_what_is_malformed_or_could_be_read_in_two_ways) {
  using namespace std::string_literals;
  const std::string host = "Host: h\r\n";
  const std::vector<Malformed> cases = {
      {"no request line", "nonsense\r\n\r\n", 400},
      {"two words", "GET /\r\n\r\n", 400},
      {"method is no token", "G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"no such version", "GET / HTTP/1.9\r\n" + host + "\r\n", 400},
      {"version 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"bare line feeds", "GET / HTTP/1.1\nHost: h\n\n", 400},
      {"bare line feed in the header", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
      {"space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
      {"NUL in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s, 400},
      {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s, 400},
      {"escaped NUL in the path", "GET /%00 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"broken escape in the path", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400},
      {"target is no path", "GET a/b HTTP/1.1\r\n" + host + "\r\n", 400},
      {"length and coding", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"coding and length", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
       400},
      {"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
      {"a list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3, 4\r\n\r\n", 400},
      {"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
      {"length with a sign", "POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n", 400},
      {"length of 2^64", "POST / HTTP/1.1\r\n" + host + "Content-Length: 18446744073709551616\r\n\r\n", 400},
      {"another coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"identity coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", 501},
      {"coding twice",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"coding in 1.0", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", 400},
      {"chunk size is no number", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"chunk longer than said",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
      {"chunk size of 2^64",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nab\r\n0\r\n\r\n", 400},
      {"body too large", "POST / HTTP/1.1\r\n" + host + "Content-Length: 101\r\n\r\n", 413},
      {"chunk too large", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n65\r\n", 413},
      {"another expectation", "POST / HTTP/1.1\r\n" + host + "Expect: miracles\r\nContent-Length: 3\r\n\r\n", 417},
      {"one long line", "GET /" + std::string(5000, 'a'), 431},
      {"a long header", "GET / HTTP/1.1\r\n" + host + "X: " + std::string(5000, 'a') + "\r\n\r\n", 431},
      {"endless chunk extension",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'a'), 431},
  };
  for (const auto& one : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, one.bytes.size()}) {
      RequestParser parser(4096, 100);
      ASSERT_EQ(feed(parser, one.bytes, piece), State::kMalformed) << one.name << ", pieces of " << piece;
      EXPECT_EQ(parser.refusal().status, one.status) << one.name << ": " << parser.refusal().text;
    }
  }
}

TEST(RequestParser, many_small_headers_meet_the_limit_of_the_whole_header) {
  RequestParser parser(4096, 100);
  std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 200; ++i) bytes += "a: b\r\n";
  bytes += "\r\n";
  ASSERT_EQ(feed(parser, bytes, 6), State::kMalformed);
  EXPECT_EQ(parser.refusal().status, 431);
}

TEST(RequestParser, damaged_requests_never_break_it) {
  const std::string good =
      "POST /path?x=1 HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4\r\nabcd\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (auto changes = random() % 4 + 1; changes > 0; --changes) {
      const auto at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, random() % 5);
          break;
        case 2:
          bytes.insert(at, 1, "\r\n\0 :;0f"[random() % 9]);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 20));
      }
    }
    RequestParser parser(256, 64);
    if (feed(parser, bytes, random() % 40 + 1) == State::kComplete) {
      EXPECT_LE(parser.take().body.size(), 64u);
    }
  }
}

}  // namespace
}  // namespace qd::connect::http
