#include "observe/scrape/failure_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/json_text.h"
#include "base/strings.h"

namespace qd::observe::scrape {

base::Status log_failure(const std::string& file, const ScrapeFailure& failure) {
  const std::string line = fmt::format(
      "{{\"time\":\"{}\",\"level\":\"ERROR\",\"msg\":\"scrape failed\",\"scrape_pool\":{},\"target\":{},"
      "\"error\":{}}}\n",
      base::format_time(failure.time_ms), base::json_text(failure.pool), base::json_text(failure.target),
      base::json_text(failure.error));
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return base::fail(base::errno_error(errno, "writing scrape_failure_log_file " + file));
  // One write of one line: lines of several writers do not mix.
  const auto written = ::write(fd, line.data(), line.size());
  const int error = errno;
  ::close(fd);
  if (written == static_cast<ssize_t>(line.size())) return {};
  return base::fail(base::errno_error(written < 0 ? error : ENOSPC, "writing scrape_failure_log_file " + file));
}

}  // namespace qd::observe::scrape
