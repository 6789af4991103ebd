// Sources: PostgreSQL's manual, "libpq - C Library", chapters on connection control, asynchronous commands and
// retrieving query results in chunks; its appendix of error codes.

#include "connect/postgres/connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "connect/peer_as.h"
#include "connect/postgres/read_watch.h"

namespace qd::connect::postgres {
namespace {

using base::ErrorCode;

constexpr std::size_t kMessageBytesMax = 400;
constexpr std::size_t kGreetingBytesMax = std::size_t{1} << 20;  // of what a server says before it takes statements
constexpr std::string_view kDefaultPort = "5432";
constexpr std::string_view kSocketPrefix = ".s.PGSQL.";
// Where Debian keeps what the system trusts; libpq 15 looks in the user's home directory only.
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (line.size() == kMessageBytesMax) break;
    line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  while (!base::valid_utf8(line) && !line.empty() && line.size() + 4 > kMessageBytesMax) line.pop_back();
  return base::valid_utf8(line) ? line : "(a text that is not UTF-8)";
}

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

ErrorCode code_of(std::string_view sqlstate) {
  if (sqlstate.starts_with("28") || sqlstate == "42501") return ErrorCode::kPermission;
  if (sqlstate.starts_with("57") || sqlstate.starts_with("53") || sqlstate.starts_with("08")) {
    return sqlstate == "57014" ? ErrorCode::kTimeout : ErrorCode::kUnavailable;
  }
  return ErrorCode::kInvalid;
}

std::string number_of(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  const int error = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address.bytes), address.size, host.data(),
                                  host.size(), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? host.data() : "";
}

void ignore_notice(void* /*unused*/, const char* /*message*/) {}

struct ResultFree {
  void operator()(PGresult* result) const { PQclear(result); }
};

}  // namespace

// How much of an answer has come.
struct Connection::Progress {
  std::size_t bytes = 0;
  int reads = 0;
  std::optional<ReadWatch> watch;
};

int Row::columns() const {
  return PQnfields(result_);
}

std::string_view Row::name(int column) const {
  const char* name = PQfname(result_, column);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

std::uint32_t Row::type(int column) const {
  return PQftype(result_, column);
}

std::optional<std::string_view> Row::value(int column) const {
  if (PQgetisnull(result_, 0, column) == 1) return std::nullopt;
  return std::string_view(PQgetvalue(result_, 0, column), static_cast<std::size_t>(PQgetlength(result_, 0, column)));
}

ServerSaid read_error(std::string_view text) {
  // "connection to server at "::1", port 5432 failed: FATAL:  28P01: password …": the word before is in the server's
  // language.
  std::string_view rest = text;
  for (auto at = rest.find(":  "); at != std::string_view::npos; at = rest.find(":  ")) {
    rest.remove_prefix(at + 3);
    if (rest.size() > 7 && is_sqlstate(rest.substr(0, 5)) && rest.substr(5, 2) == ": ") {
      const std::string_view message = rest.substr(7);
      return {std::string(rest.substr(0, 5)), one_line(message.substr(0, message.find('\n')))};
    }
  }
  rest = text;
  if (const auto at = rest.find(" failed: "); rest.starts_with("connection to server") && at != std::string_view::npos)
    rest.remove_prefix(at + 9);
  return {"", one_line(rest.substr(0, rest.find('\n')))};
}

Connection::~Connection() {
  close();
}

void Connection::close() {
  if (connection_ != nullptr) PQfinish(std::exchange(connection_, nullptr));
}

bool Connection::is_idle() const {
  return connection_ != nullptr && PQtransactionStatus(connection_) == PQTRANS_IDLE;
}

int Connection::server_version() const {
  return connection_ == nullptr ? 0 : PQserverVersion(connection_);
}

base::Status Connection::open(const ConnectionOptions& options, std::int64_t deadline_ns) {
  close();
  said_ = {};
  address_ = options.address;
  QD_ASSIGN(const ServerAddress server, parse_server_address(options.address));
  if (server.is_path()) {
    Place place{server.path, "", std::string(kDefaultPort)};
    const auto slash = server.path.rfind('/');
    if (const auto name = std::string_view(server.path).substr(slash + 1); name.starts_with(kSocketPrefix)) {
      place = {server.path.substr(0, std::max<std::size_t>(slash, 1)), "",
               std::string(name.substr(kSocketPrefix.size()))};
    }
    return open_place(options, place, deadline_ns);
  }
  const auto addresses = resolve(server, clock_, deadline_ns);
  if (!addresses) return base::fail(addresses.error().within(address_));
  base::Status status;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    const std::int64_t now_ns = clock_.monotonic_ns();
    if (now_ns >= deadline_ns) break;
    const std::int64_t share_ns = (deadline_ns - now_ns) / static_cast<std::int64_t>(addresses->size() - i);
    status =
        open_place(options, {server.host, number_of((*addresses)[i]), std::to_string(server.port)}, now_ns + share_ns);
    // What the server itself refuses, it refuses at its other addresses.
    if (status || !said_.sqlstate.empty()) return status;
  }
  if (!status) return status;
  return base::fail(ErrorCode::kTimeout, fmt::format("{}: no connection before the deadline", address_));
}

base::Status Connection::open_place(const ConnectionOptions& options, const Place& place, std::int64_t deadline_ns) {
  const bool verifies = options.sslmode.starts_with("verify");
  const char* authorities = options.ca_file.c_str();
  if (verifies && options.ca_file.empty()) authorities = kSystemAuthorities;
  // Empty ones count as not given. Neither files of the user that runs the process nor Kerberos, which would block, are
  // asked for anything.
  const std::array<std::pair<const char*, const char*>, 13> parameters{{
      {"host", place.host.c_str()},
      {"hostaddr", place.host_address.c_str()},
      {"port", place.port.c_str()},
      {"user", options.user.c_str()},
      {"password", options.password.c_str()},
      {"dbname", options.database.c_str()},
      {"sslmode", options.sslmode.c_str()},
      {"sslrootcert", authorities},
      {"application_name", options.application_name.c_str()},
      {"client_encoding", "UTF8"},
      {"passfile", "/dev/null/none"},
      {"gssencmode", "disable"},
      {"options", ""},
  }};
  std::array<const char*, parameters.size() + 1> keys{};
  std::array<const char*, parameters.size() + 1> values{};
  for (std::size_t i = 0; i < parameters.size(); ++i) std::tie(keys[i], values[i]) = parameters[i];

  {
    // It connects within this call.
    const PeerAs peer(options.peer);
    connection_ = PQconnectStartParams(keys.data(), values.data(), 0);
  }
  if (connection_ == nullptr) {
    return base::fail(ErrorCode::kInternal, fmt::format("{}: no memory for a connection", address_));
  }
  if (PQstatus(connection_) == CONNECTION_BAD) return refused(options);
  PQsetNoticeProcessor(connection_, ignore_notice, nullptr);
  PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    if (next == PGRES_POLLING_FAILED) return refused(options);
    if (auto waited = wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns); !waited) {
      close();
      if (waited.error().code() != ErrorCode::kTimeout) return waited;
      return base::fail(ErrorCode::kTimeout, fmt::format("{}: no connection before the deadline", address_));
    }
    const std::uint64_t received = received_bytes(PQsocket(connection_));
    if (received > kGreetingBytesMax) {
      close();
      return base::fail(ErrorCode::kLimit,
                        fmt::format("{}: its greeting has more than {} bytes; is it a PostgreSQL server?", address_,
                                    kGreetingBytesMax));
    }
    std::optional<ReadWatch> watch;
    if (next == PGRES_POLLING_READING) {
      watch.emplace(PQsocket(connection_), kGreetingBytesMax - received, deadline_ns, clock_);
    }
    next = PQconnectPoll(connection_);
  }
  if (PQsetnonblocking(connection_, 1) != 0) return refused(options);
  return {};
}

base::Status Connection::refused(const ConnectionOptions& options) {
  said_ = read_error(PQerrorMessage(connection_));
  close();
  ErrorCode code = said_.sqlstate.empty() ? ErrorCode::kUnavailable : code_of(said_.sqlstate);
  const std::string_view message = said_.message;
  if (said_.sqlstate.empty() &&
      (message.contains("no password supplied") || message.contains("certificate") || message.contains("SSL"))) {
    code = ErrorCode::kPermission;
  }
  // A library that would quote what it was given must not get a password into a log.
  if (!options.password.empty() && message.contains(options.password)) said_.message = "the connection is refused";
  return base::fail(code, fmt::format("{}: {}", address_, said_.message));
}

base::Status Connection::wait(short events, std::int64_t deadline_ns) const {
  // TLS may hold what the socket has no more.
  if (events == POLLIN && PQsslInUse(connection_) == 1) {
    const auto* tls = static_cast<const SSL*>(PQsslStruct(connection_, "OpenSSL"));
    if (tls != nullptr && SSL_pending(tls) > 0) return {};
  }
  for (;;) {
    const std::int64_t left_ns = deadline_ns - clock_.monotonic_ns();
    if (left_ns <= 0) return late();
    pollfd socket{PQsocket(connection_), events, 0};
    const int ready = ::poll(&socket, 1, static_cast<int>(std::min<std::int64_t>(left_ns / 1'000'000 + 1, 60'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return base::fail(base::errno_error(errno, address_));
  }
}

base::Status Connection::late() const {
  return base::fail(ErrorCode::kTimeout, fmt::format("{}: no answer before the deadline", address_));
}

base::Status Connection::broken() {
  said_ = read_error(PQerrorMessage(connection_));
  close();
  return base::fail(ErrorCode::kUnavailable, fmt::format("{}: the connection broke: {}", address_, said_.message));
}

base::Status Connection::send(const std::string& sql, std::int64_t deadline_ns) {
  if (PQsendQuery(connection_, sql.c_str()) != 1) return broken();
  PQsetSingleRowMode(connection_);
  for (;;) {
    const int left = PQflush(connection_);
    if (left == 0) return {};
    if (left < 0) return broken();
    QD_TRY(wait(POLLIN | POLLOUT, deadline_ns));
    if (PQconsumeInput(connection_) != 1) return broken();
  }
}

base::Status Connection::await_answer(std::int64_t deadline_ns, const AnswerLimits& limits, Progress& progress) {
  const auto too_many = [&] {
    return base::fail(ErrorCode::kLimit,
                      fmt::format("{}: the answer has more than {} bytes", address_, limits.bytes_max));
  };
  while (PQisBusy(connection_) == 1) {
    QD_TRY(wait(POLLIN, deadline_ns));
    int here = 0;
    if (::ioctl(PQsocket(connection_), FIONREAD, &here) == 0 && here > 0)
      progress.bytes += static_cast<std::size_t>(here);
    if (progress.bytes > limits.bytes_max) return too_many();
    // The first read is into a buffer of its usual size, which most answers fit.
    if (++progress.reads == 2) {
      progress.watch.emplace(PQsocket(connection_), limits.bytes_max, deadline_ns, clock_);
    }
    const bool read = PQconsumeInput(connection_) == 1;
    if (progress.watch && progress.watch->met_limit()) return too_many();
    if (!read && clock_.monotonic_ns() >= deadline_ns) return late();
    if (!read) return broken();
  }
  return {};
}

std::optional<base::Error> Connection::take(const pg_result* result, std::size_t rows_max, std::size_t& rows,
                                            const std::function<void(const Row&)>& each) {
  switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
      if (++rows > rows_max) {
        return base::Error(ErrorCode::kLimit, fmt::format("{}: the answer has more than {} rows", address_, rows_max));
      }
      each(Row(result));
      return std::nullopt;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      return std::nullopt;
    case PGRES_FATAL_ERROR: {
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
      // Without a code it is the library that speaks, of a connection that broke.
      if (state == nullptr || message == nullptr) {
        said_ = read_error(PQresultErrorMessage(result));
        return base::Error(ErrorCode::kUnavailable,
                           fmt::format("{}: the connection broke: {}", address_, said_.message));
      }
      said_ = {is_sqlstate(state) ? state : "XX000", one_line(message)};
      return base::Error(code_of(said_.sqlstate), fmt::format("{}: {}", address_, said_.message));
    }
    default:
      return base::Error(ErrorCode::kLimit, fmt::format("{}: the statement does not end with an answer in rows: COPY "
                                                        "is not for here",
                                                        address_));
  }
}

base::Status Connection::take_answers(std::int64_t deadline_ns, const AnswerLimits& limits,
                                      const std::function<void(const Row&)>& each) {
  Progress progress;
  std::size_t rows = 0;
  std::optional<base::Error> refusal;
  for (;;) {
    // Rows that have come already are not waited for.
    if (clock_.monotonic_ns() >= deadline_ns) return late();
    QD_TRY(await_answer(deadline_ns, limits, progress));
    const std::unique_ptr<PGresult, ResultFree> result(PQgetResult(connection_));
    if (result == nullptr) break;
    auto error = take(result.get(), limits.rows_max, rows, each);
    if (!error) continue;
    const bool server_spoke = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) != nullptr;
    if (!server_spoke || PQstatus(connection_) == CONNECTION_BAD) return base::fail(std::move(*error));
    if (!refusal) refusal = std::move(error);
  }
  if (refusal) return base::fail(std::move(*refusal));
  return {};
}

base::Status Connection::query(const std::string& sql, std::int64_t deadline_ns, const AnswerLimits& limits,
                               const std::function<void(const Row&)>& each) {
  said_ = {};
  if (connection_ == nullptr) {
    return base::fail(ErrorCode::kUnavailable, fmt::format("{}: there is no connection", address_));
  }
  base::Status status = send(sql, deadline_ns);
  if (status) status = take_answers(deadline_ns, limits, each);
  // After what the server refused, libpq is idle again; after anything else an answer may be on its way.
  if (!status && connection_ != nullptr &&
      (PQstatus(connection_) == CONNECTION_BAD || PQtransactionStatus(connection_) == PQTRANS_ACTIVE)) {
    close();
  }
  return status;
}

}  // namespace qd::connect::postgres
