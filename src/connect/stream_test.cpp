#include "connect/stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/un.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "base/temp_directory.h"
#include "connect/fake_server_for_test.h"

namespace qd::connect {
namespace {

using base::ErrorCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;
const base::SystemClock kClock;

std::int64_t in_ms(std::int64_t ms) {
  return kClock.monotonic_ns() + ms * kMs;
}

struct Failure {
  ErrorCode code;
  std::string message;
};
template <typename T>
Failure failure(const base::Result<T>& result) {
  if (result) return {ErrorCode::kInternal, "it did not fail"};
  return {result.error().code(), result.error().message()};
}

std::unique_ptr<Stream> open(const std::string& address) {
  auto stream = Stream::open({address, {}}, kClock, in_ms(5000));
  EXPECT_TRUE(stream) << stream.error().message();
  return stream ? std::move(*stream) : nullptr;
}

TEST(Stream, lines_and_counted_bytes_come_in_turn) {
  FakeServer server([](FakePeer& peer) {
    std::string line;
    while (peer.read_line(line)) peer.send("+" + line + "\r\n$5\nabcde");
  });
  const auto stream = open(server.address());
  for (const std::string word : {"one", "two"}) {
    ASSERT_TRUE(stream->write_all(word + "\r\n", in_ms(5000)));
    EXPECT_EQ(stream->read_line(100, in_ms(5000)), "+" + word);
    EXPECT_EQ(stream->read_line(100, in_ms(5000)), "$5");
    EXPECT_EQ(stream->read_exact(5, in_ms(5000)), "abcde");
  }
}

TEST(Stream, a_silent_server_costs_the_deadline_and_no_more) {
  FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  const auto stream = open(server.address());
  const std::int64_t from_ns = kClock.monotonic_ns();
  const auto [code, message] = failure(stream->read_line(100, in_ms(80)));
  EXPECT_EQ(code, ErrorCode::kTimeout);
  EXPECT_THAT(message, AllOf(HasSubstr(server.address()), HasSubstr("in time")));
  EXPECT_GE(kClock.monotonic_ns() - from_ns, 80 * kMs);
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 3000 * kMs);
}

TEST(Stream, a_server_that_never_ends_its_answer_costs_the_deadline) {
  FakeServer server([](FakePeer& peer) {
    while (peer.send("x")) {
    }
  });
  const auto stream = open(server.address());
  EXPECT_EQ(failure(stream->read_exact(std::size_t{1} << 40, in_ms(100))).code, ErrorCode::kTimeout);
}

TEST(Stream, a_line_past_its_limit_is_refused_before_it_ends) {
  FakeServer server([](FakePeer& peer) {
    const std::string part(64 * 1024, 'x');
    while (peer.send(part)) {
    }
  });
  const auto stream = open(server.address());
  const auto [code, message] = failure(stream->read_line(1000, in_ms(5000)));
  EXPECT_EQ(code, ErrorCode::kLimit);
  EXPECT_THAT(message, HasSubstr("more than 1000 bytes"));
  EXPECT_LT(stream->received_bytes(), 200'000U);
}

TEST(Stream, a_line_of_just_the_limit_is_read) {
  FakeServer server([](FakePeer& peer) { peer.send("12345\r\n12345\n"); });
  const auto stream = open(server.address());
  EXPECT_EQ(stream->read_line(5, in_ms(5000)), "12345");
  EXPECT_EQ(stream->read_line(5, in_ms(5000)), "12345");
}

TEST(Stream, an_answer_cut_in_the_middle_is_unavailable) {
  FakeServer server([](FakePeer& peer) { peer.send("half of a li"); });
  const auto stream = open(server.address());
  const auto [code, message] = failure(stream->read_line(100, in_ms(5000)));
  EXPECT_EQ(code, ErrorCode::kUnavailable);
  EXPECT_THAT(message, AllOf(HasSubstr(server.address()), HasSubstr("closed")));
}

TEST(Stream, a_server_that_reads_nothing_stops_a_write_at_the_deadline) {
  std::promise<void> enough;
  FakeServer server([&, until = enough.get_future().share()](FakePeer&) { until.wait(); });
  const auto stream = open(server.address());
  EXPECT_EQ(failure(stream->write_all(std::string(64 << 20, 'x'), in_ms(200))).code, ErrorCode::kTimeout);
  enough.set_value();
}

TEST(Stream, nobody_there_is_unavailable) {
  std::string address;
  {
    FakeServer server([](FakePeer&) {});
    address = server.address();
  }
  const auto [code, message] = failure(Stream::open({address, {}}, kClock, in_ms(5000)));
  EXPECT_EQ(code, ErrorCode::kUnavailable);
  EXPECT_THAT(message, AllOf(HasSubstr(address), HasSubstr("refused")));
}

TEST(Stream, names_are_looked_up) {
  FakeServer server([](FakePeer& peer) { peer.send("hello\n"); });
  const auto stream = open("localhost:" + std::to_string(server.port()));
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->read_line(100, in_ms(5000)), "hello");
  const auto [code, message] = failure(Stream::open({"nowhere.invalid:1", {}}, kClock, in_ms(5000)));
  EXPECT_TRUE(code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout);
  EXPECT_THAT(message, HasSubstr("nowhere.invalid"));
}

TEST(Stream, a_look_up_is_not_waited_for_past_the_deadline) {
  const auto [code, message] = failure(resolve({"nowhere.invalid", 1, ""}, kClock, kClock.monotonic_ns() - 1));
  EXPECT_TRUE(code == ErrorCode::kTimeout || code == ErrorCode::kUnavailable) << message;
}

// A name server that says nothing until the test is over. Look-ups that nobody waits for any more go on in it.
class SilentNames {
 public:
  ~SilentNames() { over_.set_value(); }
  std::function<LookUps::Addresses(const ServerAddress&)> ask() const {
    return [until = until_, asked = asked_](const ServerAddress& server) -> LookUps::Addresses {
      ++*asked;
      until.wait();
      return base::fail(ErrorCode::kUnavailable, server.host);
    };
  }
  int asked() const { return *asked_; }

 private:
  std::promise<void> over_;
  std::shared_future<void> until_ = over_.get_future().share();
  std::shared_ptr<std::atomic<int>> asked_ = std::make_shared<std::atomic<int>>(0);
};

TEST(LookUps, cancelling_ends_them) {
  const SilentNames names;
  LookUps look_ups(1, LookUps::WhenFull::kWaits, names.ask());
  const base::CancelToken cancel;
  const auto hangs = [&] { return failure(look_ups.resolve({"a", 1, ""}, kClock, in_ms(60'000), &cancel)).code; };
  const std::int64_t from_ns = kClock.monotonic_ns();
  auto asking = std::async(std::launch::async, hangs);
  auto waiting = std::async(std::launch::async, hangs);  // one of the two has no place
  cancel.cancel();
  EXPECT_EQ(asking.get(), ErrorCode::kCancelled);
  EXPECT_EQ(waiting.get(), ErrorCode::kCancelled);
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 10'000 * kMs);
}

TEST(LookUps, all_places_taken_is_refused_or_waited_for) {
  const SilentNames names;
  LookUps refusing(1, LookUps::WhenFull::kRefuses, names.ask());
  LookUps waiting(1, LookUps::WhenFull::kWaits, names.ask());
  const auto code = [](LookUps& look_ups) { return failure(look_ups.resolve({"a", 1, ""}, kClock, in_ms(20))).code; };
  EXPECT_EQ(code(refusing), ErrorCode::kTimeout);
  EXPECT_EQ(code(refusing), ErrorCode::kUnavailable);
  // Numbers need no place.
  EXPECT_TRUE(refusing.resolve({"127.0.0.1", 1, ""}, kClock, in_ms(20)));
  EXPECT_EQ(code(waiting), ErrorCode::kTimeout);
  const std::int64_t from_ns = kClock.monotonic_ns();
  EXPECT_EQ(code(waiting), ErrorCode::kTimeout);
  EXPECT_GE(kClock.monotonic_ns() - from_ns, 20 * kMs);
  EXPECT_LE(names.asked(), 2);
}

TEST(LookUps, a_place_that_is_freed_is_taken_by_who_waits) {
  std::promise<void> go;
  const auto ask = [until = go.get_future().share()](const ServerAddress&) -> LookUps::Addresses {
    until.wait();
    return std::vector<SocketAddress>(1);
  };
  LookUps look_ups(1, LookUps::WhenFull::kWaits, ask);
  const auto looks_up = [&] { return look_ups.resolve({"a", 1, ""}, kClock, in_ms(60'000)).has_value(); };
  auto one = std::async(std::launch::async, looks_up);
  auto other = std::async(std::launch::async, looks_up);
  go.set_value();
  EXPECT_TRUE(one.get());
  EXPECT_TRUE(other.get());
}

TEST(Stream, a_unix_socket_is_a_path) {
  base::TempDirectory dir;
  const std::string path = (dir.path() / "s").string();
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(listener, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof(where.sun_path) - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto stream = open(path);
  ASSERT_TRUE(stream);
  FakePeer peer(::accept(listener, nullptr, nullptr));
  peer.send("hello\n");
  EXPECT_EQ(stream->read_line(100, in_ms(5000)), "hello");
  ::close(peer.socket());
  ::close(listener);
  EXPECT_EQ(failure(Stream::open({path + "x", {}}, kClock, in_ms(5000))).code, ErrorCode::kUnavailable);
  EXPECT_EQ(failure(Stream::open({"/" + std::string(200, 'x'), {}}, kClock, in_ms(5000))).code, ErrorCode::kInvalid);
}

TEST(Stream, what_waits_ends_when_it_is_cancelled) {
  FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  const base::CancelToken cancel;
  const auto stream = Stream::open({.address = server.address(), .cancel = cancel}, kClock, in_ms(5000));
  ASSERT_TRUE(stream);
  const std::int64_t from_ns = kClock.monotonic_ns();
  std::thread other([&] { cancel.cancel(); });
  EXPECT_EQ(failure((*stream)->read_line(100, in_ms(60'000))).code, ErrorCode::kCancelled);
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 5000 * kMs);
  other.join();
}

TEST(Stream, a_resolved_address_is_taken_as_it_is) {
  FakeServer server([](FakePeer& peer) { peer.send("hello\n"); });
  const auto where = resolve({"127.0.0.1", static_cast<std::uint16_t>(server.port()), ""}, kClock, in_ms(5000));
  ASSERT_TRUE(where);
  const auto stream = Stream::open({.address = "no.such.host.invalid:1", .resolved = *where}, kClock, in_ms(5000));
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_EQ((*stream)->read_line(100, in_ms(5000)), "hello");
}

TEST(Stream, it_connects_from_the_address_given_or_says_that_it_cannot) {
  std::promise<std::string> from;
  FakeServer server([&](FakePeer& peer) {
    sockaddr_in who{};
    socklen_t size = sizeof(who);
    (void)::getpeername(peer.socket(), reinterpret_cast<sockaddr*>(&who), &size);
    from.set_value(::inet_ntoa(who.sin_addr));
  });
  ASSERT_TRUE(Stream::open({.address = server.address(), .source_ip = "127.0.0.9"}, kClock, in_ms(5000)));
  EXPECT_EQ(from.get_future().get(), "127.0.0.9");
  for (const char* wrong : {"192.0.2.1", "::1", "x"}) {
    const auto [code, message] =
        failure(Stream::open({.address = server.address(), .source_ip = wrong}, kClock, in_ms(5000)));
    EXPECT_EQ(code, ErrorCode::kInvalid) << wrong;
    EXPECT_THAT(message, HasSubstr(wrong));
  }
}

TEST(Stream, addresses_are_read_or_refused_with_the_form) {
  EXPECT_EQ(parse_server_address("db:5432")->host, "db");
  EXPECT_EQ(parse_server_address("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_server_address("[::1]:80")->port, 80);
  EXPECT_EQ(parse_server_address("/run/x.sock")->path, "/run/x.sock");
  for (const char* text : {"", "db", "db:", "db:0", "db:65536", "db:x", ":1", "::1:80", "db:1x", "[]:1"}) {
    const auto [code, message] = failure(parse_server_address(text));
    EXPECT_EQ(code, ErrorCode::kInvalid) << text;
    EXPECT_THAT(message, HasSubstr("host:port")) << text;
  }
}

// A certificate for 127.0.0.1 and "db.example" that signed itself, in files.
struct Certificate {
  base::TempDirectory dir;
  std::string cert = (dir.path() / "cert.pem").string();
  std::string key = (dir.path() / "key.pem").string();

  Certificate() {
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pair);
    X509_NAME* name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1,DNS:db.example");
    X509_add_ext(x, names, -1);
    X509_sign(x, pair, EVP_sha256());
    BIO* file = BIO_new_file(cert.c_str(), "w");
    PEM_write_bio_X509(file, x);
    BIO_free(file);
    file = BIO_new_file(key.c_str(), "w");
    PEM_write_bio_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    BIO_free(file);
    X509_EXTENSION_free(names);
    X509_free(x);
    EVP_PKEY_free(pair);
  }
};

// Says "hello" and gives back each line, in TLS.
struct TlsServer {
  Certificate certificate;
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  std::unique_ptr<FakeServer> server;

  explicit TlsServer(bool wants_certificate = false) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to peers that went away
    SSL_CTX_use_certificate_chain_file(context, certificate.cert.c_str());
    SSL_CTX_use_PrivateKey_file(context, certificate.key.c_str(), SSL_FILETYPE_PEM);
    if (wants_certificate) {
      SSL_CTX_load_verify_file(context, certificate.cert.c_str());
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    server = std::make_unique<FakeServer>([this](FakePeer& peer) {
      SSL* session = SSL_new(context);
      BIO* bio = BIO_new_socket(peer.socket(), BIO_NOCLOSE);
      SSL_set_bio(session, bio, bio);
      if (SSL_accept(session) == 1 && SSL_write(session, "hello\n", 6) == 6) {
        char bytes[64 * 1024];
        for (int got = 0; (got = SSL_read(session, bytes, sizeof(bytes))) > 0;) SSL_write(session, bytes, got);
      }
      SSL_free(session);
    });
  }
  ~TlsServer() {
    server.reset();
    SSL_CTX_free(context);
  }
  base::Result<std::unique_ptr<Stream>> open(TlsOptions tls, const std::string& address = {}) {
    tls.enabled = true;
    return Stream::open({address.empty() ? server->address() : address, tls}, kClock, in_ms(5000));
  }
};

TEST(StreamTls, a_server_of_a_known_authority_is_talked_to) {
  TlsServer server;
  auto stream = server.open({.ca_file = server.certificate.cert});
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_EQ((*stream)->read_line(100, in_ms(5000)), "hello");
  const std::string much(300'000, 'y');
  ASSERT_TRUE((*stream)->write_all(much + "\n", in_ms(5000)));
  EXPECT_EQ((*stream)->read_line(much.size(), in_ms(5000)), much);
}

TEST(StreamTls, a_server_of_an_unknown_authority_is_refused_unless_told_otherwise) {
  TlsServer server;
  const auto [code, message] = failure(server.open({}));
  EXPECT_EQ(code, ErrorCode::kPermission);
  EXPECT_THAT(message, AllOf(HasSubstr(server.server->address()), HasSubstr("ca_file")));
  EXPECT_TRUE(server.open({.insecure_skip_verify = true}));
}

TEST(StreamTls, the_certificate_must_be_for_the_host_or_the_name_given) {
  TlsServer server;
  const std::string& ca = server.certificate.cert;
  EXPECT_TRUE(server.open({.ca_file = ca, .server_name = "db.example"}));
  EXPECT_EQ(failure(server.open({.ca_file = ca, .server_name = "other.example"})).code, ErrorCode::kPermission);
  EXPECT_EQ(failure(server.open({.ca_file = ca}, "localhost:" + std::to_string(server.server->port()))).code,
            ErrorCode::kPermission);
}

TEST(StreamTls, a_server_that_wants_a_certificate_gets_one) {
  TlsServer server(true);
  const Certificate& own = server.certificate;
  auto stream = server.open({.ca_file = own.cert, .cert_file = own.cert, .key_file = own.key});
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_EQ((*stream)->read_line(100, in_ms(5000)), "hello");
  // In TLS 1.3 the refusal comes after the client's handshake is done.
  auto without = server.open({.ca_file = own.cert});
  const auto failed = without ? failure((*without)->read_line(100, in_ms(5000))) : failure(without);
  EXPECT_EQ(failed.code, ErrorCode::kPermission);
  EXPECT_THAT(failed.message, HasSubstr("certificate required"));
}

TEST(StreamTls, a_server_without_tls_is_told_apart) {
  FakeServer plain([](FakePeer& peer) {
    std::string bytes;
    peer.read_exact(5, bytes);
    peer.send("-ERR what is this\r\n");
  });
  const auto [code, message] = failure(Stream::open({plain.address(), {.enabled = true}}, kClock, in_ms(5000)));
  EXPECT_EQ(code, ErrorCode::kUnavailable);
  EXPECT_THAT(message, HasSubstr("does not speak TLS"));
  FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  EXPECT_EQ(failure(Stream::open({silent.address(), {.enabled = true}}, kClock, in_ms(100))).code, ErrorCode::kTimeout);
}

TEST(StreamTls, a_connection_goes_on_in_tls) {
  TlsServer secured;
  // Forwards everything behind one line to the server that speaks TLS.
  FakeServer server([&](FakePeer& peer) {
    std::string line;
    peer.read_line(line);
    peer.send("220 ready\r\nwhat nobody vouches for");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(secured.server->port()));
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_GE(socket, 0);
    ASSERT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    FakePeer other(socket);
    std::thread back([&] {
      char bytes[4096];
      for (ssize_t got = 0; (got = ::recv(socket, bytes, sizeof(bytes), 0)) > 0;)
        if (!peer.send({bytes, static_cast<std::size_t>(got)})) break;
    });
    char bytes[4096];
    for (ssize_t got = 0; (got = ::recv(peer.socket(), bytes, sizeof(bytes), 0)) > 0;)
      other.send({bytes, static_cast<std::size_t>(got)});
    ::shutdown(socket, SHUT_RDWR);
    back.join();
    ::close(socket);
  });
  const auto stream = open(server.address());
  EXPECT_FALSE(stream->tls_details());
  ASSERT_TRUE(stream->write_all("STARTTLS\r\n", in_ms(5000)));
  EXPECT_EQ(stream->read_line(100, in_ms(5000)), "220 ready");
  const auto status = stream->start_tls({.ca_file = secured.certificate.cert}, "127.0.0.1", in_ms(5000));
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(stream->read_line(100, in_ms(5000)), "hello");
  EXPECT_TRUE(stream->tls_details());
  EXPECT_EQ(failure(stream->start_tls({}, "127.0.0.1", in_ms(5000))).code, ErrorCode::kInvalid);
}

TEST(StreamTls, what_the_system_trusts_is_read_again_when_it_changed) {
  TlsServer server;
  const base::TempDirectory dir;
  const auto file = dir.path() / "authorities.pem";
  ::setenv("SSL_CERT_FILE", file.c_str(), 1);
  EXPECT_EQ(failure(server.open({})).code, ErrorCode::kPermission);
  std::filesystem::copy_file(server.certificate.cert, file);
  EXPECT_TRUE(server.open({}));
  EXPECT_TRUE(server.open({}));
  std::filesystem::copy_file(Certificate().cert, file, std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(failure(server.open({})).code, ErrorCode::kPermission);
  ::unsetenv("SSL_CERT_FILE");
  EXPECT_EQ(failure(server.open({})).code, ErrorCode::kPermission);
}

TEST(StreamTls, the_session_is_told) {
  TlsServer server;
  auto stream = server.open({.ca_file = server.certificate.cert});
  ASSERT_TRUE(stream);
  const auto details = (*stream)->tls_details();
  ASSERT_TRUE(details);
  EXPECT_EQ(details->version, "TLS 1.3");
  EXPECT_THAT(details->cipher, testing::StartsWith("TLS_"));
  EXPECT_EQ(details->fingerprint_sha256.size(), 64U);
  EXPECT_EQ(details->subject, "CN=test");
  EXPECT_EQ(details->issuer, "CN=test");
  EXPECT_EQ(details->dns_names, "db.example");
  EXPECT_EQ(details->serial, "01");
  ASSERT_TRUE(details->earliest_expiry_s);
  EXPECT_NEAR(static_cast<double>(*details->earliest_expiry_s), static_cast<double>(kClock.wall_ms()) / 1e3 + 3600, 60);
  EXPECT_EQ(details->verified_expiry_s, details->earliest_expiry_s);
  // What was not verified has no chain to tell of.
  stream = server.open({.insecure_skip_verify = true});
  ASSERT_TRUE(stream);
  EXPECT_FALSE((*stream)->tls_details()->verified_expiry_s);
  EXPECT_TRUE((*stream)->tls_details()->earliest_expiry_s);
}

TEST(StreamTls, versions_are_bounded) {
  TlsServer server;
  auto stream = server.open({.ca_file = server.certificate.cert, .max_version = TlsVersion::kTls12});
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_EQ((*stream)->tls_details()->version, "TLS 1.2");
  SSL_CTX_set_max_proto_version(server.context, TLS1_2_VERSION);
  EXPECT_FALSE(server.open({.ca_file = server.certificate.cert, .min_version = TlsVersion::kTls13}));
}

TEST(StreamTls, files_that_cannot_be_used_are_named) {
  TlsServer server;
  const auto [code, message] = failure(server.open({.ca_file = "/nowhere/ca.pem"}));
  EXPECT_EQ(code, ErrorCode::kInvalid);
  EXPECT_THAT(message, HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace qd::connect
