// What a call that can fail returns.
//
// An Error names the thing, what happened, and what would cure it; people on call read it as it is.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace qd::base {

enum class ErrorCode {
  kInvalid,      // input that cannot be right: a bad query, a malformed line, an unknown key
  kNotFound,     // the named thing is not there
  kConflict,     // it is there already, or somebody else holds it
  kPermission,   // the caller, or this process, may not
  kLimit,        // a bound was met; the message names the setting
  kTimeout,      // the deadline passed
  kCancelled,    // whoever asked no longer wants it
  kUnavailable,  // a peer, a file system or a device does not work now; trying again may help
  kCorrupt,      // bytes on disk or on the wire are not what was written
  kInternal,     // a library failed in a way that we did not foresee
};

std::string_view to_string(ErrorCode code);

class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error, seen from one level up: "reading /etc/x: " + message.
  Error within(std::string_view what) const;

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// std::unexpected with less noise: `return base::fail(ErrorCode::kInvalid, "...")`.
inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(std::in_place, code, std::move(message));
}
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

// "No such file or directory" and the like.
std::string errno_text(int error_number);
// The same, with the code that fits the errno.
Error errno_error(int error_number, std::string_view what);

}  // namespace qd::base

#define QD_CONCAT_INNER(a, b) a##b
#define QD_CONCAT(a, b) QD_CONCAT_INNER(a, b)

// Returns the error of `expression` from the enclosing function, or goes on.
#define QD_TRY(expression)                                              \
  do {                                                                  \
    if (auto qd_try_result = (expression); !qd_try_result) [[unlikely]] \
      return ::std::unexpected(::std::move(qd_try_result).error());     \
  } while (false)

// QD_ASSIGN(auto file, files.open(path)): declares and fills, or returns the error.
#define QD_ASSIGN(declaration, expression) QD_ASSIGN_INNER(QD_CONCAT(qd_assign_, __LINE__), declaration, expression)
#define QD_ASSIGN_INNER(holder, declaration, expression)   \
  auto holder = (expression);                              \
  if (!holder) [[unlikely]]                                \
    return ::std::unexpected(::std::move(holder).error()); \
  declaration = ::std::move(*holder)
