#include "observe/redis/session.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace qd::observe::redis {
namespace {

constexpr int kPassesUntilAskedAgain = 60;

// What ACL SETUSER has to give for each Ask, in its order. The sentinel's commands stand in one group of the ACL.
constexpr std::array<std::string_view, kAsks> kGrants = {
    "+config|get",  "+cluster|info",   "+latency|latest",          "+latency|histogram", "+slowlog|len",
    "+slowlog|get", "+commandlog|len", "+select +xinfo ~<stream>", "+sentinel"};
constexpr std::string_view kAllGrants = "+info +client|setname +config|get +latency +slowlog";

// The first line, shortened: what a server says may be anything.
std::string_view shown(std::string_view error) {
  return error.substr(0, 200);
}

}  // namespace

base::Status Session::open(std::int64_t deadline_ns) {
  note_.reset();
  refusals_ = {};
  database = 0;
  QD_ASSIGN(stream_, connect::Stream::open({options_.address, options_.tls}, clock_, deadline_ns));
  std::string request;
  const bool login = !options_.password.empty() || !options_.user.empty();
  if (login && options_.user.empty()) {
    append_command(request, {"AUTH", options_.password});
  } else if (login) {
    append_command(request, {"AUTH", options_.user, options_.password});
  }
  // So that people see in CLIENT LIST who this is; a user need not be allowed to.
  append_command(request, {"CLIENT", "SETNAME", "quarterdeck"});
  Replies replies;
  QD_TRY(ask(request, login ? 2 : 1, replies, deadline_ns));
  const auto fail = [&](std::string_view error) {
    close();
    return base::fail(explain(error));
  };
  if (login && replies[0].is_error()) {
    const std::string_view error = replies[0].text();
    // "without any password configured" since Redis 6, "but no password is set" before.
    const bool no_password = error.find("without any password") != std::string_view::npos ||
                             error.find("no password is set") != std::string_view::npos;
    if (!no_password) return fail(error);
    note_ = base::Error(base::ErrorCode::kPermission,
                        fmt::format("{}: the server has no password: remove observe.redis[].password, or set "
                                    "requirepass on the server",
                                    options_.address));
  }
  const Reply named = replies[login ? 1 : 0];
  const std::string_view error = named.is_error() ? named.text() : std::string_view{};
  // With these, the server says that it will not talk at all.
  if (error.starts_with("NOAUTH") || error.starts_with("DENIED") || error.starts_with("ERR max number of clients")) {
    return fail(error);
  }
  return {};
}

base::Status Session::ask(std::string_view request, std::size_t count, Replies& replies, std::int64_t deadline_ns) {
  QD_ASSERT(stream_ != nullptr);
  base::Status status = stream_->write_all(request, deadline_ns);
  for (std::size_t i = 0; i < count && status; ++i) status = replies.read(*stream_, deadline_ns);
  if (status) return {};
  close();
  base::Error error = status.error();
  if (error.code() == base::ErrorCode::kUnavailable && !options_.tls.enabled) {
    return base::fail(error.code(), error.message() + "; if it speaks TLS there, set tls.enabled: true");
  }
  if (error.code() == base::ErrorCode::kUnavailable && options_.tls.enabled && options_.tls.cert_file.empty()) {
    return base::fail(error.code(), error.message() +
                                        "; if it wants a certificate of its clients (tls-auth-clients), "
                                        "set tls.cert_file and tls.key_file");
  }
  return base::fail(std::move(error));
}

void Session::refused(Ask ask, std::string_view error) {
  const bool permission = error.starts_with("NOPERM");
  // Others, such as LOADING, pass by themselves. ERR is a command that the server does not have, or renamed.
  if (!permission && !error.starts_with("ERR")) return;
  refusals_[static_cast<std::size_t>(ask)] = {kPassesUntilAskedAgain, permission};
}

void Session::next_pass() {
  for (Refusal& refusal : refusals_)
    if (refusal.passes_left > 0) --refusal.passes_left;
}

std::optional<base::Error> Session::missing_rights() const {
  std::string grants;
  for (std::size_t i = 0; i < kAsks; ++i) {
    if (refusals_[i].passes_left > 0 && refusals_[i].permission) grants.append(" ").append(kGrants[i]);
  }
  if (grants.empty()) return std::nullopt;
  return base::Error(base::ErrorCode::kPermission,
                     fmt::format("{}: the user {} may not read all: run ACL SETUSER {}{} on the server, and ACL SAVE "
                                 "or CONFIG REWRITE to keep it",
                                 options_.address, user(), user(), grants));
}

base::Error Session::explain(std::string_view error) const {
  const auto said = [&](base::ErrorCode code, std::string cure) {
    return base::Error(code, fmt::format("{}: Redis says {:?}: {}", options_.address, shown(error), cure));
  };
  if (error.starts_with("NOAUTH")) {
    return said(base::ErrorCode::kPermission,
                "set observe.redis[].password to the server's requirepass, or user and password to those of an ACL "
                "user");
  }
  if (error.starts_with("WRONGPASS") || error.starts_with("ERR invalid password")) {
    return said(base::ErrorCode::kPermission,
                options_.user.empty()
                    ? std::string("observe.redis[].password is not the server's requirepass; set it to that, or user "
                                  "and password to those of an ACL user")
                    : fmt::format("there is no such user, or observe.redis[].password is not its own: run ACL SETUSER "
                                  "{} on '><password>' {} on the server",
                                  user(), kAllGrants));
  }
  if (error.starts_with("ERR wrong number of arguments for 'auth'")) {
    return said(base::ErrorCode::kPermission, "before version 6 it has no users: leave observe.redis[].user empty");
  }
  if (error.starts_with("NOPERM")) {
    return said(base::ErrorCode::kPermission,
                fmt::format("run ACL SETUSER {} {} on the server, and ACL SAVE or CONFIG REWRITE to keep it", user(),
                            kAllGrants));
  }
  if (error.starts_with("DENIED")) {
    return said(base::ErrorCode::kPermission,
                "it is in protected mode: connect by its loopback address, or set a password (requirepass) on the "
                "server and in observe.redis[].password");
  }
  if (error.starts_with("ERR max number of clients")) {
    return said(base::ErrorCode::kUnavailable, "raise maxclients on the server, or close clients that are not needed");
  }
  return said(base::ErrorCode::kUnavailable, "it may work again later");
}

}  // namespace qd::observe::redis
