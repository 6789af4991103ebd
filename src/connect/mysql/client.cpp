#include "connect/mysql/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "connect/resolve.h"

namespace qd::connect::mysql {
namespace {

using base::ErrorCode;

constexpr std::size_t kStackBytes = std::size_t{256} * 1024;
// For the statements of a kept connection, whose deadlines are what counts.
constexpr unsigned kLibraryTimeoutS = 600;
constexpr int kStepsLateMax = 100;              // in which a call notices that its socket is dead
constexpr std::size_t kRowsBetweenLooks = 256;  // at the clock, while rows come without a wait
constexpr unsigned kClientErrorFirst = 2000;    // errmsg.h: the library's own errors are 2000 to 2999 and from 5000 on
constexpr unsigned kClientErrorLast = 2999;
constexpr unsigned kLibraryErrorFirst = 5000;
constexpr unsigned kLibraryErrorLast = 5999;
constexpr unsigned kPacketTooLarge = 2020;   // CR_NET_PACKET_TOO_LARGE
constexpr unsigned kMalformedPacket = 2027;  // CR_MALFORMED_PACKET
constexpr unsigned kTlsError = 2026;         // CR_SSL_CONNECTION_ERROR

// Which ways of proving the password a server may ask for: none that shows it to the server. Of sha256_password and
// caching_sha2_password the library sends it only under TLS or the server's RSA key.
constexpr const char* kAllowedAuthentication =
    "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec";

int poll_until(int fd, short events, std::int64_t deadline_ns, const base::Clock& clock, int at_most_ms,
               short& happened) {
  for (;;) {
    const std::int64_t left_ns = deadline_ns - clock.monotonic_ns();
    if (left_ns <= 0) return 0;
    std::int64_t wait_ms = (left_ns + 999'999) / 1'000'000;
    if (at_most_ms >= 0) wait_ms = std::min<std::int64_t>(wait_ms, at_most_ms);
    pollfd one = {fd, events, 0};
    const int count = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(wait_ms, 60'000)));
    if (count < 0 && errno == EINTR) continue;
    if (count == 0 && at_most_ms < 0) continue;
    happened = one.revents;
    return count;
  }
}

// In a TLS handshake the library reads blockingly, with a time-out for each read: this cuts the connection at the
// deadline, from a thread of its own. It knows the socket once the library has first waited for it.
class Cutter {
 public:
  Cutter(std::int64_t deadline_ns, const base::Clock& clock)
      : until_(std::chrono::steady_clock::now() + std::chrono::nanoseconds(deadline_ns - clock.monotonic_ns())),
        thread_([this] { run(); }) {}
  ~Cutter() {
    {
      const base::MutexLock lock(mutex_);
      over_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  Cutter(const Cutter&) = delete;
  Cutter& operator=(const Cutter&) = delete;

  void watch(int socket) {
    const base::MutexLock lock(mutex_);
    socket_ = socket;
  }

 private:
  void run() {
    const base::MutexLock lock(mutex_);
    while (!over_) {
      if (changed_.wait_until(mutex_, until_)) continue;
      if (!over_ && socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
      return;
    }
  }

  const std::chrono::steady_clock::time_point until_;
  base::Mutex mutex_;
  base::CondVar changed_;
  int socket_ QD_GUARDED_BY(mutex_) = -1;
  bool over_ QD_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

void start_library() {
  static const int started = ::mysql_server_init(0, nullptr, nullptr);
  (void)started;
}

bool is_clients(unsigned number) {
  return (number >= kClientErrorFirst && number <= kClientErrorLast) ||
         (number >= kLibraryErrorFirst && number <= kLibraryErrorLast);
}

ErrorCode code_of(unsigned number) {
  switch (number) {
    case ER_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
    case ER_HOST_IS_BLOCKED:
      return ErrorCode::kPermission;
    case ER_NO_SUCH_TABLE:
    case ER_UNKNOWN_TABLE:
    case ER_UNKNOWN_SYSTEM_VARIABLE:
    case ER_BAD_DB_ERROR:
    case ER_BAD_FIELD_ERROR:
      return ErrorCode::kNotFound;
    case kPacketTooLarge:
      return ErrorCode::kLimit;
    case kMalformedPacket:
      return ErrorCode::kCorrupt;
    default:
      return ErrorCode::kUnavailable;
  }
}

// "10.0.0.7", "fe80::1%eth0"
std::string number_of(const SocketAddress& address) {
  char text[NI_MAXHOST] = "";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address.bytes), address.size, text, sizeof text, nullptr, 0,
                NI_NUMERICHOST);
  return text;
}

// What a server says is shown to people: no control characters, and never the password, should it know it.
std::string shown(std::string text, const std::string& password) {
  if (!password.empty()) {
    for (std::size_t at = text.find(password); at != std::string::npos; at = text.find(password, at)) {
      text.replace(at, password.size(), "<secret>");
      at += std::string_view("<secret>").size();
    }
  }
  const bool plain = base::valid_utf8(text) && std::ranges::none_of(text, [](char c) {
                       return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
                     });
  return plain ? text : base::quote(text);
}

}  // namespace

struct Client::Handle {
  MYSQL mysql;

  Handle() { ::mysql_init(&mysql); }
  ~Handle() { ::mysql_close(&mysql); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

Client::Client(Target target, const base::Clock& clock) : target_(std::move(target)), clock_(clock) {}

Client::~Client() = default;

bool Client::is_open() const {
  return handle_ != nullptr;
}

void Client::close() {
  handle_.reset();
}

void Client::drop() {
  if (handle_ == nullptr) return;
  // Whatever the library still says or waits for on it fails at once.
  const int fd = static_cast<int>(::mysql_get_socket(&handle_->mysql));
  if (fd >= 0) ::shutdown(fd, SHUT_RDWR);
  handle_.reset();
}

// `start` and `go_on` are a call's _start and _cont, which give what is waited for (0: done).
template <typename Start, typename Continue>
Client::Outcome Client::drive(std::int64_t deadline_ns, Start start, Continue go_on) {
  MYSQL* const mysql = &handle_->mysql;
  bool is_late = false;
  int wanted = start();
  for (int steps_late = 0; wanted != 0 && steps_late < kStepsLateMax; steps_late += is_late ? 1 : 0) {
    const int fd = static_cast<int>(::mysql_get_socket(mysql));
    short events = 0;
    if ((wanted & MYSQL_WAIT_READ) != 0) events |= POLLIN;
    if ((wanted & MYSQL_WAIT_WRITE) != 0) events |= POLLOUT;
    if ((wanted & MYSQL_WAIT_EXCEPT) != 0) events |= POLLPRI;
    const int library_ms = (wanted & MYSQL_WAIT_TIMEOUT) != 0
                               ? static_cast<int>(std::min(::mysql_get_timeout_value_ms(mysql), 60'000u))
                               : -1;
    short happened = 0;
    if (poll_until(fd, events, deadline_ns, clock_, library_ms, happened) > 0) {
      int ready = 0;
      if ((happened & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) != 0) ready |= MYSQL_WAIT_READ;
      if ((happened & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) != 0) ready |= MYSQL_WAIT_WRITE;
      if ((happened & POLLPRI) != 0) ready |= MYSQL_WAIT_EXCEPT;
      wanted = go_on(ready & wanted);
      continue;
    }
    if (!is_late && clock_.monotonic_ns() >= deadline_ns) {
      is_late = true;
      // Lets the call run to its end on a dead socket, so that it frees what it holds.
      if (fd >= 0) ::shutdown(fd, SHUT_RDWR);
    }
    wanted = go_on(MYSQL_WAIT_TIMEOUT);
  }
  return is_late ? Outcome::kLate : Outcome::kDone;
}

base::Error Client::late(std::string_view doing) {
  drop();
  server_error_ = 0;
  return {ErrorCode::kTimeout, fmt::format("{}: {} was not done in time; the server hangs, is overloaded, or waits for "
                                           "a lock",
                                           target_.address, doing)};
}

base::Error Client::failure(std::string_view doing) {
  MYSQL* const mysql = &handle_->mysql;
  const unsigned number = ::mysql_errno(mysql);
  const std::string text = shown(::mysql_error(mysql), target_.password);
  server_error_ = is_clients(number) ? 0 : number;
  base::Error error(code_of(number), fmt::format("{}: {}: {} ({})", target_.address, doing, text, number));
  if (server_error_ == 0) drop();
  return error;
}

base::Status Client::open(std::int64_t deadline_ns) {
  start_library();
  drop();
  server_error_ = 0;
  const auto within = [&](const base::Error& error) {
    return base::fail(error.code(), fmt::format("{}: {}", target_.address, error.message()));
  };
  const auto address = parse_server_address(target_.address);
  if (!address) return base::fail(address.error());
  if (target_.tls.enabled && !target_.tls.ca_file.empty() && ::access(target_.tls.ca_file.c_str(), R_OK) != 0) {
    return base::fail(ErrorCode::kInvalid, fmt::format("{}: tls.ca_file: {}", target_.address,
                                                       base::errno_error(errno, target_.tls.ca_file).message()));
  }
  if (address->is_path()) return connect_to(*address, deadline_ns);

  const auto hosts = resolve(*address, clock_, deadline_ns);
  if (!hosts) return within(hosts.error());
  // The library compares a certificate with the host that it was given.
  if (target_.tls.enabled && !target_.tls.insecure_skip_verify) return connect_to(*address, deadline_ns);
  base::Status status;
  for (std::size_t at = 0; at < hosts->size(); ++at) {
    const std::int64_t now_ns = clock_.monotonic_ns();
    const auto left = static_cast<std::int64_t>(hosts->size() - at);
    status = connect_to({number_of((*hosts)[at]), address->port, {}}, now_ns + (deadline_ns - now_ns) / left);
    // Another address of the name may listen; a server that answered and refused has answered for all.
    if (status || server_error_ != 0) return status;
  }
  return status;
}

base::Status Client::connect_to(const ServerAddress& server, std::int64_t deadline_ns) {
  handle_ = std::make_unique<Handle>();
  MYSQL* const mysql = &handle_->mysql;
  const auto set = [&](mysql_option option, const auto& value) { ::mysql_optionsv(mysql, option, &value); };
  const std::int64_t left_ns = std::max<std::int64_t>(deadline_ns - clock_.monotonic_ns(), 0);
  const auto left_s = static_cast<unsigned>(left_ns / 1'000'000'000 + 1);
  const my_bool no = 0;
  const my_bool yes = 1;

  set(MYSQL_OPT_NONBLOCK, kStackBytes);
  set(MYSQL_OPT_CONNECT_TIMEOUT, left_s);
  set(MYSQL_OPT_READ_TIMEOUT, kLibraryTimeoutS);
  set(MYSQL_OPT_WRITE_TIMEOUT, kLibraryTimeoutS);
  set(MYSQL_OPT_RECONNECT, no);
  set(MYSQL_OPT_MAX_ALLOWED_PACKET, kPacketBytesMax);
  // A server may otherwise ask for any file that this process can read.
  const unsigned no_files = 0;
  set(MYSQL_OPT_LOCAL_INFILE, no_files);
  ::mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH, kAllowedAuthentication);
  ::mysql_optionsv(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const unsigned protocol = server.is_path() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  set(MYSQL_OPT_PROTOCOL, protocol);
  if (target_.tls.enabled) {
    set(MYSQL_OPT_SSL_ENFORCE, yes);
    set(MYSQL_OPT_SSL_VERIFY_SERVER_CERT, target_.tls.insecure_skip_verify ? no : yes);
    if (!target_.tls.ca_file.empty()) ::mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, target_.tls.ca_file.c_str());
  }

  MYSQL* connected = nullptr;
  std::optional<Cutter> cutter;
  try {
    if (target_.tls.enabled) cutter.emplace(deadline_ns, clock_);
  } catch (const std::system_error& error) {
    drop();
    return base::fail(ErrorCode::kUnavailable,
                      fmt::format("{}: connecting: no thread to watch it: {}", target_.address, error.what()));
  }
  const auto outcome = drive(
      deadline_ns,
      [&] {
        return ::mysql_real_connect_start(&connected, mysql, server.is_path() ? nullptr : server.host.c_str(),
                                          target_.user.c_str(), target_.password.c_str(), nullptr, server.port,
                                          server.is_path() ? server.path.c_str() : nullptr, 0);
      },
      [&](int ready) {
        if (cutter) cutter->watch(static_cast<int>(::mysql_get_socket(mysql)));
        return ::mysql_real_connect_cont(&connected, mysql, ready);
      });
  cutter.reset();
  if (outcome == Outcome::kLate || (connected == nullptr && clock_.monotonic_ns() >= deadline_ns)) {
    return base::fail(late("connecting"));
  }
  if (connected != nullptr) {
    // Under TLS the library reads before it waits, which would block for its time-out.
    const int fd = static_cast<int>(::mysql_get_socket(mysql));
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return {};
  }

  const unsigned number = ::mysql_errno(mysql);
  base::Error error = failure("connecting");
  drop();
  if (number == kTlsError) {
    return base::fail(error.code(), error.message() +
                                        "; the server must have TLS on (ssl_cert, ssl_key), and its "
                                        "certificate must be from an authority in tls.ca_file and name "
                                        "the host of the address");
  }
  return base::fail(std::move(error));
}

base::Status Client::ping(std::int64_t deadline_ns) {
  MYSQL* const mysql = &handle_->mysql;
  int failed = 0;
  const auto outcome = drive(
      deadline_ns, [&] { return ::mysql_ping_start(&failed, mysql); },
      [&](int ready) { return ::mysql_ping_cont(&failed, mysql, ready); });
  if (outcome == Outcome::kLate) return base::fail(late("asking whether it is there"));
  if (failed == 0) return {};
  base::Error error = failure("asking whether it is there");
  drop();
  return base::fail(std::move(error));
}

base::Status Client::query(std::string_view sql, Table& answer, std::int64_t deadline_ns, const Limits& limits) {
  answer.clear();
  server_error_ = 0;
  if (handle_ == nullptr) {
    return base::fail(ErrorCode::kUnavailable, fmt::format("{}: the connection is closed", target_.address));
  }
  MYSQL* const mysql = &handle_->mysql;
  int failed = 0;
  const auto outcome = drive(
      deadline_ns, [&] { return ::mysql_real_query_start(&failed, mysql, sql.data(), sql.size()); },
      [&](int ready) { return ::mysql_real_query_cont(&failed, mysql, ready); });
  if (outcome == Outcome::kLate) return base::fail(late(sql));
  if (failed != 0) return base::fail(failure(sql));
  base::Status status = read_rows(answer, deadline_ns, limits);
  if (!status) {
    const std::string message =
        fmt::format("{}: {}: {}", target_.address, sql.substr(0, 200), status.error().message());
    drop();
    return base::fail(status.error().code(), message);
  }
  return {};
}

base::Status Client::read_rows(Table& answer, std::int64_t deadline_ns, const Limits& limits) {
  MYSQL* const mysql = &handle_->mysql;
  MYSQL_RES* const result = ::mysql_use_result(mysql);
  if (result == nullptr) {
    if (::mysql_field_count(mysql) == 0) return {};
    return base::fail(ErrorCode::kCorrupt, shown(::mysql_error(mysql), target_.password));
  }
  // Freeing an answer that is not read to its end reads the rest; on a dead socket there is none.
  const auto give_up = [&](ErrorCode code, std::string message) {
    ::shutdown(static_cast<int>(::mysql_get_socket(mysql)), SHUT_RDWR);
    ::mysql_free_result(result);
    return base::fail(code, std::move(message));
  };

  const unsigned columns = ::mysql_num_fields(result);
  if (columns > kColumnsMax) {
    return give_up(ErrorCode::kLimit, fmt::format("an answer with more than {} columns", kColumnsMax));
  }
  const MYSQL_FIELD* const fields = ::mysql_fetch_fields(result);
  for (unsigned at = 0; at < columns; ++at) {
    answer.add_column({fields[at].name, fields[at].name_length});
  }
  for (std::size_t rows = 0;; ++rows) {
    MYSQL_ROW row = nullptr;
    const auto outcome = drive(
        deadline_ns, [&] { return ::mysql_fetch_row_start(&row, result); },
        [&](int ready) { return ::mysql_fetch_row_cont(&row, result, ready); });
    if (outcome == Outcome::kLate ||
        (rows % kRowsBetweenLooks == kRowsBetweenLooks - 1 && clock_.monotonic_ns() >= deadline_ns)) {
      return give_up(ErrorCode::kTimeout, "the answer did not end in time");
    }
    if (row == nullptr) break;
    if (rows == limits.rows) {
      return give_up(ErrorCode::kLimit, fmt::format("an answer of more than {} rows", limits.rows));
    }
    const unsigned long* const sizes = ::mysql_fetch_lengths(result);
    for (unsigned at = 0; at < columns; ++at) {
      if (row[at] == nullptr) {
        answer.add_null();
        continue;
      }
      if (answer.bytes() + sizes[at] > limits.bytes) {
        return give_up(ErrorCode::kLimit, fmt::format("an answer of more than {} bytes", limits.bytes));
      }
      answer.add_cell({row[at], sizes[at]});
    }
  }
  const unsigned number = ::mysql_errno(mysql);
  if (number != 0) {
    return give_up(code_of(number), fmt::format("{} ({})", shown(::mysql_error(mysql), target_.password), number));
  }
  ::mysql_free_result(result);
  if (::mysql_more_results(mysql) != 0) return base::fail(ErrorCode::kCorrupt, "a second answer to one statement");
  return {};
}

}  // namespace qd::connect::mysql
