#include "base/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace qd::base {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kPermission:
      return "permission";
    case ErrorCode::kLimit:
      return "limit";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

Error Error::within(std::string_view what) const {
  return Error(code_, fmt::format("{}: {}", what, message_));
}

namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ESRCH:
      return ErrorCode::kNotFound;
    case EEXIST:
    case EADDRINUSE:
      return ErrorCode::kConflict;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermission;
    case EMFILE:
    case ENFILE:
    case EFBIG:
    case ENOMEM:
      return ErrorCode::kLimit;
    case ETIMEDOUT:
      return ErrorCode::kTimeout;
    case ECANCELED:
      return ErrorCode::kCancelled;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
      return ErrorCode::kInvalid;
    default:
      return ErrorCode::kUnavailable;
  }
}

std::string_view cure_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "; free space on that file system";
    case EACCES:
    case EPERM:
      return "; give the user that runs Quarterdeck access";
    case EROFS:
      return "; mount that file system writable or choose another directory";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (LimitNOFILE= in the unit, or ulimit -n)";
    case EADDRINUSE:
      return "; stop the program that holds it or choose another port";
    default:
      return "";
  }
}

}  // namespace

std::string errno_text(int error_number) {
  return std::generic_category().message(error_number);
}

Error errno_error(int error_number, std::string_view what) {
  return Error(code_of(error_number), fmt::format("{}: {}{}", what, errno_text(error_number), cure_of(error_number)));
}

}  // namespace qd::base
